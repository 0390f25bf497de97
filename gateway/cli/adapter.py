"""`wastegate adapter`: register, mount, unmount, list, and read the model card."""

import argparse
from pathlib import Path
from typing import Final

import msgspec

from adapters.errors import AdapterError
from adapters.manifest import load
from adapters.registry import Registry
from adapters.signature import check_signature
from gateway.cli import adapter_bind, adapter_home, adapter_verdict
from gateway.cli.arguments import Add, group
from gateway.cli.client import Admin, segment
from gateway.cli.errors import CliError
from gateway.cli.run import local, remote
from gateway.cli.screen import Screen, table
from gateway.host.shipped import fits

_LIST: Final = """\
Shows every registered adapter: what it is bound to, what the evals say of it, and its
state on each replica.

example:
  wastegate adapter list
"""
_MOUNT: Final = """\
Loads an adapter on every replica, and waits until each has proved that it answers.

example:
  wastegate adapter mount acme-behav-lora@v1 --why "new tune"
"""
_UNMOUNT: Final = """\
Takes an adapter out: first from routing, then drains, unloads, and checks that it is
gone. The base goes on answering.

example:
  wastegate adapter unmount acme-behav-lora@v1 --why "too terse"
"""
_COLLECT: Final = """\
Deletes the files of an adapter that nothing uses and no replica may read any more. Its
ref stays bound: the same bytes may be added again, others never.

example:
  wastegate adapter collect acme-behav-lora@v1
"""
_CARD: Final = """\
Prints an adapter's model card, and below it what the evals say.

example:
  wastegate adapter card acme-behav-lora@v1
"""
_ADD: Final = """\
Checks an adapter and copies it into the registry of this machine. A ref stays bound
to its bytes for ever: new bytes need a new ref.

example:
  wastegate adapter add models/acme-behav-lora@v1
"""


class Replica(msgspec.Struct, frozen=True):
    """One adapter on one replica."""

    url: str
    state: str
    """As it was when the replica was last seen alive."""
    alive: bool = True
    reason: str | None = ""
    in_flight: int = 0


class Adapter(msgspec.Struct, frozen=True):
    """One adapter, where it should be and where it is."""

    ref: str
    digest: str | None
    """None if it is wanted and not registered."""
    desired: str
    bound_to: tuple[str, ...] = ()
    replicas: tuple[Replica, ...] = ()
    verdict: str | None = None
    """The evals'; None where there is none, or the store is away."""


class Adapters(msgspec.Struct, frozen=True):
    """All of them."""

    adapters: tuple[Adapter, ...]


class Step(msgspec.Struct, frozen=True):
    """One step of an unmount, reached after so many seconds."""

    step: str
    seconds: float
    detail: str = ""


class Unmounted(msgspec.Struct, frozen=True):
    """What an unmount did, and what is left."""

    ref: str
    steps: tuple[Step, ...]
    left_to_do: tuple[str, ...] = ()


def register(add: Add) -> None:
    """Add the group."""
    within = group(add, "adapter", "list, mount, unmount, register, judge adapters")
    within("list", "show adapters and their states", _LIST).set_defaults(
        run=remote(show)
    )
    for name, brief, text, command, seconds in (
        ("mount", "load an adapter everywhere", _MOUNT, mount, 60.0),
        ("unmount", "take an adapter out", _UNMOUNT, unmount, 90.0),
    ):
        each = within(name, brief, text)
        each.add_argument("ref", metavar="REF")
        each.add_argument("--why", default="", metavar="TEXT", help="for the audit log")
        each.add_argument(
            "--wait",
            type=float,
            default=seconds,
            metavar="SECONDS",
            help="how long to wait for the end (%(default)s)",
        )
        each.set_defaults(run=remote(command))
    collect = within("collect", "delete an adapter's files", _COLLECT)
    collect.add_argument("ref", metavar="REF")
    collect.set_defaults(run=remote(collect_files))
    card = within("card", "print the model card", _CARD)
    card.add_argument("ref", metavar="REF")
    card.set_defaults(run=remote(show_card))
    enter = within("add", "register an adapter on this machine", _ADD)
    enter.add_argument("source", type=Path, metavar="DIRECTORY")
    enter.add_argument(
        "--registry",
        type=Path,
        default=Path("var/adapters"),
        metavar="PATH",
        help="as in wastegate.toml (%(default)s)",
    )
    enter.add_argument(
        "--models",
        type=Path,
        default=Path("var/models"),
        metavar="PATH",
        help="where base models are, each under its ref (%(default)s)",
    )
    enter.add_argument(
        "--key",
        type=Path,
        metavar="PEM",
        help="public key that has to have signed it (registry.public_key)",
    )
    enter.set_defaults(run=local(enter_registry))
    adapter_home.register(within, _check)
    adapter_bind.register(within)
    adapter_verdict.register(within)


def show(arguments: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    """List adapters, a line for each replica."""
    _show(admin.get("adapters").read(Adapters), screen)


def _show(found: Adapters, screen: Screen) -> None:
    nowhere = (Replica(url="", state=""),)
    rows = [
        (
            adapter.ref,
            ", ".join(adapter.bound_to),
            adapter.desired,
            adapter.verdict,
            replica.state if replica.alive else "down",
            replica.in_flight or "",
            replica.url.partition("://")[2],
            # Of one that is ready it says how that was proven: --json has it.
            "" if replica.state == "ready" else replica.reason,
        )
        for adapter in found.adapters
        for replica in adapter.replicas or nowhere
    ]
    columns = "adapter", "bound to", "desired", "verdict", "state", "open", "replica"
    if rows:
        screen.show(found, table((*columns, "reason"), rows))
    else:
        screen.show(found, "no adapter is registered: wastegate adapter add DIRECTORY")


def mount(arguments: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    """Mount one adapter and show it."""
    body = {
        "ref": arguments.ref,
        "why": arguments.why,
        "wait_seconds": arguments.wait,
    }
    admin.post("adapters", body, patience=arguments.wait)
    found = admin.get("adapters").read(Adapters)
    mine = tuple(each for each in found.adapters if each.ref == arguments.ref)
    _show(Adapters(mine), screen)


def unmount(arguments: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    """Unmount one adapter and tell the steps.

    Raises:
        CliError: something is left to do.
    """
    done = admin.delete(
        f"adapters/{segment(arguments.ref)}",
        patience=arguments.wait,
        why=arguments.why,
        wait_seconds=str(arguments.wait),
    ).read(Unmounted)
    rows = [(step.step, f"{step.seconds:.3f} s", step.detail) for step in done.steps]
    screen.show(done, table(("step", "after", ""), rows))
    if done.left_to_do:
        raise CliError(
            f"left to do: {', '.join(done.left_to_do)}",
            "it gets no traffic and the gateway goes on; see wastegate adapter list",
        )


class Collected(msgspec.Struct, frozen=True):
    """What a collection has freed."""

    ref: str
    bytes: int


def collect_files(arguments: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    """Delete one adapter's files."""
    done = admin.post(f"adapters/{segment(arguments.ref)}/collect", {}).read(Collected)
    screen.show(done, f"{done.ref}: {done.bytes:,} bytes are free again")


def show_card(arguments: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    """Print the card as it is."""
    text = admin.get(f"adapters/{segment(arguments.ref)}/card").body.decode()
    screen.show({"ref": arguments.ref, "card": text}, text)


def enter_registry(arguments: argparse.Namespace, screen: Screen) -> None:
    """Register an adapter.

    Raises:
        CliError: it was refused.
    """
    try:
        entry = Registry(arguments.registry).add(
            arguments.source,
            lambda stage: _check(stage, arguments.models, arguments.key),
        )
    except (AdapterError, OSError) as error:
        raise CliError(
            f"{arguments.source} is refused: {error}",
            "mend it, or train it anew; a changed adapter needs a new version",
        ) from error
    told = {"ref": str(entry.ref), "digest": entry.digest, "path": str(entry.path)}
    screen.show(told, table(("ref", "digest", "path"), [tuple(told.values())]))


def _check(stage: Path, models: Path, key: Path | None) -> None:
    """Check an adapter against the base that its manifest names, and who signed it."""
    if key is not None:
        check_signature(stage, key)
    fits(models / str(load(stage).base.ref))(stage)
