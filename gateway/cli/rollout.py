"""`wastegate rollout`: start a canary that judges itself, watch it, end it."""

import argparse
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.cli import rollout_start
from gateway.cli.arguments import Add, group
from gateway.cli.client import Admin, segment
from gateway.cli.errors import CliError
from gateway.cli.rollout_shown import (
    Records,
    Shown,
    decoded,
    named,
    picture,
    scope,
    when,
)
from gateway.cli.run import local, remote
from gateway.cli.screen import Screen, percent, table
from routing.judge import VERSION, replayed

_MOST: Final = 1_000

_LIST: Final = """\
Shows the rollouts that run, and the last that are over.

example:
  wastegate rollout list
"""
_STATUS: Final = """\
Draws a rollout: its steps, the evidence of each gate against what is enough, and what
it waits for. Without an id the newest.

example:
  wastegate rollout status ro-1a2b3c4d
"""
_ORDER: Final = """\
{brief}

example:
  wastegate rollout {name} ro-1a2b3c4d --why "{why}"
"""
_RECORDS: Final = """\
Shows how a rollout was judged, newest first; --json has everything that went in.

example:
  wastegate rollout records ro-1a2b3c4d --json > records.json
"""
_REPLAY: Final = """\
Judges again, on this machine, from the counts that each record holds, and compares: exit
code 1 if one comes to something else. With --file it needs no gateway.

examples:
  wastegate rollout replay ro-1a2b3c4d
  wastegate rollout replay ro-1a2b3c4d --file records.json
"""
_ORDERS: Final = (
    ("pause", "Holds a rollout where it is; harm still rolls it back.", "freeze"),
    ("resume", "Lets a paused rollout go on.", "freeze is over"),
    ("promote", "Gives the whole scope to the candidate.", "all gates passed"),
    ("rollback", "Gives the scope back to the control, at once.", "enough"),
)

_UNHEARD: Final = (
    "  in force on this gateway; the store is away and hears of it when it is back."
    " Another gateway serves no canary either once it has not heard from the store"
    " for 5 seconds"
)


def register(add: Add) -> None:
    """Add the group."""
    within = group(add, "rollout", "canaries that judge themselves")
    rollout_start.arguments(within("start", "start one", rollout_start.TEXT))
    within("list", "all of them", _LIST).set_defaults(run=remote(show_all))
    status = within("status", "one, as a picture", _STATUS)
    status.add_argument("id", nargs="?", metavar="ID")
    status.set_defaults(run=remote(show))
    for name, brief, why in _ORDERS:
        text = _ORDER.format(brief=brief, name=name, why=why)
        command = within(name, brief.rstrip(".").lower(), text)
        command.add_argument("id", metavar="ID")
        command.add_argument("--why", default="", metavar="TEXT", help="for the log")
        if name == "promote":
            command.add_argument(
                "--override", default="", metavar="REASON", help="although unproved"
            )
        command.set_defaults(run=remote(order), order=name)
    records = within("records", "how it was judged", _RECORDS)
    records.add_argument("id", metavar="ID")
    records.set_defaults(run=remote(show_records))
    again = within("replay", "judge again, and compare", _REPLAY)
    again.add_argument("id", metavar="ID")
    again.add_argument("--file", metavar="FILE", help="of `rollout records --json`")
    again.set_defaults(run=_replay)


def show_all(arguments: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    """List them."""
    found = admin.get("rollouts").read(Listed)
    rows = [
        (
            each.id,
            each.phase + (" (paused)" if each.pause else ""),
            percent(each.weight),
            f"{named(each.plan.control)} → {named(each.plan.candidate)}",
            scope(each),
        )
        for each in found.rollouts
    ]
    columns = ("id", "phase", "weight", "what", "whom")
    screen.show(found, table(columns, rows) if rows else "nothing is rolled out")


class Listed(msgspec.Struct, frozen=True):
    """Rollouts, newest first."""

    rollouts: tuple[Shown, ...]


def show(arguments: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    """Draw one."""
    id_: str | None = arguments.id
    if id_ is None:
        listed = admin.get("rollouts").read(Listed).rollouts
        if not listed:
            raise CliError(
                "nothing is rolled out", "start one: wastegate rollout start"
            )
        id_ = listed[0].id
    found = admin.get(f"rollouts/{segment(id_)}").read(Shown)
    screen.show(found, *picture(found))


def order(arguments: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    """Hold one, let it go on, or end it."""
    body = {"why": arguments.why}
    if arguments.order == "promote":
        body["override"] = arguments.override
    path = f"rollouts/{segment(arguments.id)}"
    done = admin.post(f"{path}/{arguments.order}", body).read(Shown)
    if not done.persisted:
        screen.show(done, *picture(done), _UNHEARD)
        return
    found = admin.get(path).read(Shown)
    screen.show(found, *picture(found))


def show_records(arguments: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    """List how it was judged."""
    found = _records(admin, arguments.id)
    rows = [
        (
            look.number,
            when(look.sight.now),
            look.before.phase,
            percent(look.before.weight),
            look.event or "",
            "; ".join(look.missing) or look.after.ended,
        )
        for look in found.records
    ]
    columns = ("no", "when (UTC)", "phase", "weight", "event", "waits for, or why")
    screen.show(found, table(columns, rows) if rows else "it was not looked at yet")


def _records(admin: Admin, id_: str) -> Records:
    return admin.get(f"rollouts/{segment(id_)}/records", limit=_MOST).read(Records)


def _replay(arguments: argparse.Namespace, environ: Any) -> int:
    run = remote(_replay_remote) if arguments.file is None else local(_replay_file)
    return run(arguments, environ)


def _replay_remote(arguments: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    _compare(_records(admin, arguments.id), screen)


def _replay_file(arguments: argparse.Namespace, screen: Screen) -> None:
    try:
        looks = decoded(Path(arguments.file).read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise CliError(
            f"{arguments.file} holds no records: {error}",
            f"wastegate rollout records {arguments.id} --json writes them",
        ) from error
    mine = tuple(look for look in looks if look.before.id == arguments.id)
    _compare(Records(mine), screen)


def _compare(found: Records, screen: Screen) -> None:
    rows: list[tuple[Any, ...]] = []
    differing = 0
    for look in found.records:
        again = replayed(look)
        same = all(
            getattr(again, name) == getattr(look, name)
            for name in again.__struct_fields__
        )
        differing += not same
        came = f"{again.event or 'nothing'}: {'the same' if same else 'DIFFERS'}"
        rows.append((look.number, when(look.sight.now), look.event or "", came))
    columns = ("no", "when (UTC)", "event", "judged again")
    told = {"records": len(rows), "differing": differing, "version": VERSION}
    screen.show(told, table(columns, rows) if rows else "there are no records")
    if differing:
        raise CliError(
            f"{differing} of {len(rows)} records come to something else",
            "they were changed, or written by another version of Wastegate",
        )
