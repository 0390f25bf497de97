"""`wastegate kill`: take the boost away from everybody, a tenant, a surface, a variant."""

import argparse
from typing import Final, get_args

import msgspec

from gateway.cli.arguments import Add, group
from gateway.cli.client import Admin, Answer
from gateway.cli.errors import UsageError
from gateway.cli.run import remote
from gateway.cli.screen import Screen, table
from routing.rules import Kill, Scope

_SCOPES: Final = get_args(Scope)

_ADD: Final = """\
Sends a scope to the base model, whatever else the flag says. Works while the store
is down, too.

examples:
  wastegate kill add global --why "bad answers"
  wastegate kill add tenant acme
  wastegate kill add variant lora_pref
"""
_REMOVE: Final = """\
Takes a kill back.

example:
  wastegate kill remove tenant acme --why "fixed"
"""
_LIST: Final = """\
Shows the kills in force.

example:
  wastegate kill list
"""


class Kills(msgspec.Struct, frozen=True):
    """The kills in force; `persisted` is false until the store has them."""

    kills: tuple[Kill, ...]
    version: int
    persisted: bool = True
    acknowledged: tuple[str, ...] = ()
    """Gateways that have said that they have it in force."""
    stragglers: tuple[str, ...] = ()
    """Those that live and have not said so in time."""


def register(add: Add) -> None:
    """Add the group."""
    within = group(add, "kill", "send a scope to the base model at once")
    for name, brief, text, command in (
        ("add", "kill a scope", _ADD, kill),
        ("remove", "take a kill back", _REMOVE, unkill),
    ):
        each = within(name, brief, text)
        each.add_argument("scope", choices=_SCOPES, metavar="|".join(_SCOPES))
        each.add_argument("name", nargs="?", default="", metavar="NAME")
        each.add_argument("--why", default="", metavar="TEXT", help="for the audit log")
        each.set_defaults(run=remote(command))
    within("list", "show the kills in force", _LIST).set_defaults(run=remote(show))


def _body(arguments: argparse.Namespace) -> dict[str, str]:
    if (arguments.scope == "global") is bool(arguments.name):
        raise UsageError(
            "global takes no name"
            if arguments.name
            else f"which {arguments.scope} is meant?",
            "kill add global, or kill add tenant|surface|variant NAME",
        )
    return {"scope": arguments.scope, "name": arguments.name, "why": arguments.why}


def kill(arguments: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    """Add a kill."""
    _show(admin.post("kill", _body(arguments)), screen)


def unkill(arguments: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    """Remove a kill."""
    _show(admin.delete("kill", _body(arguments)), screen)


def show(arguments: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    """List the kills."""
    _show(admin.get("kill"), screen)


def _show(answer: Answer, screen: Screen) -> None:
    found = answer.read(Kills)
    rows = [(kill.scope, kill.name) for kill in found.kills]
    notes = [] if found.persisted else ["in force here, but not stored yet"]
    notes += [f"in force on {name}" for name in found.acknowledged]
    notes += [
        f"NOT acknowledged by {name}: its canaries stop within 5 s if it is cut off"
        for name in found.stragglers
    ]
    if rows:
        screen.show(found, table(("scope", "name"), rows), *notes)
    else:
        screen.show(found, "no kill is in force", *notes)
