"""`wastegate resolve` and `wastegate audit`: why it is as it is, and who made it so."""

import argparse
import datetime as dt
from typing import Any, Final

import msgspec

from gateway.cli.arguments import Add
from gateway.cli.client import Admin
from gateway.cli.errors import CliError
from gateway.cli.run import remote
from gateway.cli.screen import Screen, table

_RESOLVE: Final = """\
Says what a tenant's unit would get now, and by which rule.

example:
  wastegate resolve acme conversation-17 --surface assist
"""
_AUDIT: Final = """\
Shows who changed what, newest first. `verify` checks the whole log instead: that every
entry follows from the one before it. Keep the digest that it shows somewhere else, and
a log that was written anew is noticed as well.

examples:
  wastegate audit --limit 10
  wastegate audit verify
"""


class Resolution(msgspec.Struct, frozen=True):
    """What a unit gets; `bucket` is 0 to 9999 where a percentage decides."""

    generator: str
    model: str
    reason: str
    rule: str
    bucket: int | None
    version: int
    ready: bool


class Entry(msgspec.Struct, frozen=True):
    """One change."""

    seq: int
    at: str | float
    who: str
    what: str
    why: str
    key: str
    before: Any = None
    after: Any = None


class Entries(msgspec.Struct, frozen=True):
    """Changes, newest first."""

    entries: tuple[Entry, ...]


class Verified(msgspec.Struct, frozen=True):
    """What checking the log came to."""

    entries: int
    digest: str | None = None
    """Of the newest entry."""
    broken_at: int | None = None
    reason: str | None = None


def register(add: Add) -> None:
    """Add both commands."""
    resolve = add("resolve", "what would this unit get, and why", _RESOLVE)
    resolve.add_argument("tenant", metavar="TENANT")
    resolve.add_argument("unit", metavar="UNIT", help="a conversation's id, mostly")
    resolve.add_argument("--surface", metavar="S")
    resolve.set_defaults(run=remote(show_resolution))
    audit = add("audit", "who changed what", _AUDIT)
    audit.add_argument("what", nargs="?", choices=["verify"], metavar="verify")
    audit.add_argument(
        "--limit", type=int, default=50, metavar="N", help="entries (%(default)s)"
    )
    audit.set_defaults(run=remote(show_audit))


def show_resolution(
    arguments: argparse.Namespace, admin: Admin, screen: Screen
) -> None:
    """Ask the gateway, and show its answer."""
    query: dict[str, str] = {"tenant": arguments.tenant, "unit": arguments.unit}
    if arguments.surface is not None:
        query["surface"] = arguments.surface
    found = admin.get("resolve", **query).read(Resolution)
    rows = [
        ("generator", found.generator),
        ("model", found.model),
        ("reason", found.reason),
        ("ready", "yes" if found.ready else "no: it would not be answered by this"),
    ]
    screen.show(found, table(("", ""), rows))


def show_audit(arguments: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    """Show the log's newest entries, or check all of it."""
    if arguments.what == "verify":
        _verify(admin, screen)
        return
    found = admin.get("audit", limit=arguments.limit).read(Entries)
    rows = [
        (entry.seq, _when(entry.at), entry.who, entry.what, entry.why)
        for entry in found.entries
    ]
    columns = ("no", "when (UTC)", "who", "what", "why")
    screen.show(found, table(columns, rows) if rows else "nothing has been changed")


def _verify(admin: Admin, screen: Screen) -> None:
    found = admin.get("audit/verify").read(Verified)
    if found.broken_at is not None:
        raise CliError(
            f"the audit log is broken at entry {found.broken_at}: it {found.reason}",
            "somebody changed the store by hand; compare it with a backup",
        )
    rows = [("entries", found.entries), ("digest", found.digest or "none yet")]
    screen.show(
        found, "every entry follows from the one before it", table(("", ""), rows)
    )


def _when(at: str | float) -> str:
    if isinstance(at, str):
        # RFC 3339 in UTC; a person reads seconds, --json has the rest.
        return at[:19].replace("T", " ")
    moment = dt.datetime.fromtimestamp(at, tz=dt.UTC)
    return moment.isoformat(sep=" ", timespec="seconds")
