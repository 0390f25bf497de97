"""`wastegate store`: whether the store holds what is in force, and writing it back."""

import argparse
from typing import Final

import msgspec

from gateway.cli.arguments import Add, group
from gateway.cli.client import Admin
from gateway.cli.run import remote
from gateway.cli.screen import Screen, table

_STATUS: Final = """\
Says whether the store answers, and whether it holds what is in force on this gateway.

example:
  wastegate store status
"""
_RESTORE: Final = """\
Writes what is in force on this gateway over a store that was emptied, exchanged, or
restored from an old copy. Every gateway follows it then. Run it against the gateway
whose flags are right.

example:
  wastegate store restore --why "redis lost its volume"
"""


class Versions(msgspec.Struct, frozen=True):
    """Of the documents."""

    flags: int
    bindings: int
    adapters: int


class OnlyHere(msgspec.Struct, frozen=True):
    """What is in force on this gateway, and not in the store."""

    kills: tuple[str, ...]
    unmounted: tuple[str, ...]


class State(msgspec.Struct, frozen=True):
    """What a gateway says of its store."""

    up: bool
    behind: bool
    stale: bool
    id: str
    epoch: int
    versions: Versions
    only_here: OnlyHere


def register(add: Add) -> None:
    """Add the group."""
    within = group(add, "store", "whether the store holds what is in force")
    within("status", "how the store is", _STATUS).set_defaults(run=remote(show))
    put = within("restore", "write back what it has lost", _RESTORE)
    put.add_argument("--why", default="", metavar="TEXT", help="for the audit log")
    put.set_defaults(run=remote(restore))


def show(arguments: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    """Ask, and show the answer."""
    _show(admin.get("store").read(State), screen)


def restore(arguments: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    """Write back, and show how it is then."""
    _show(admin.post("store/restore", {"why": arguments.why}).read(State), screen)


def _show(state: State, screen: Screen) -> None:
    health = "answers" if state.up else "is away: the last known flags are in force"
    if state.up and state.behind:
        health = "has lost what is in force: wastegate store restore writes it back"
    if not state.up and state.stale:
        health += ", without canaries"
    versions = state.versions
    rows = [
        ("store", f"{state.id or 'none known'}, epoch {state.epoch}"),
        ("it", health),
        ("flags", f"version {versions.flags}"),
        ("bindings", f"version {versions.bindings}"),
        ("adapters", f"version {versions.adapters}"),
        *(("only here", f"kill {kill}") for kill in state.only_here.kills),
        *(("only here", f"unmount {ref}") for ref in state.only_here.unmounted),
    ]
    screen.show(state, table(("", ""), rows))
