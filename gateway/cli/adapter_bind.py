"""`wastegate adapter bind`: which adapter a generator means."""

import argparse
from typing import Final, get_args

from gateway.cli.arguments import Add
from gateway.cli.client import Admin, segment
from gateway.cli.errors import CliError
from gateway.cli.run import remote
from gateway.cli.screen import Screen, table
from routing.rules import Generator

_TEXT: Final = """\
Lets a generator mean another registered adapter from now on, for everybody who gets that
generator, at once and without evidence. For users, a rollout is the way; this is for
what nobody gets yet, such as a tune that the evals are to look at. Without an argument
it shows what is bound.

examples:
  wastegate adapter bind
  wastegate adapter bind lora=acme-behav-lora@v2 --why "to be judged"
"""


def register(within: Add) -> None:
    """Add the command to the group."""
    command = within("bind", "which adapter a generator means", _TEXT)
    command.add_argument("pair", nargs="?", metavar="GENERATOR=REF")
    command.add_argument("--why", default="", metavar="TEXT", help="for the audit log")
    command.set_defaults(run=remote(bind))


def bind(arguments: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    """Bind, if a pair is given, and show what is bound.

    Raises:
        CliError: it is no pair, or the gateway refuses it.
    """
    if arguments.pair is None:
        answer = admin.get("bindings")
    else:
        generator, ref = _pair(arguments.pair)
        body = {"ref": ref, "why": arguments.why}
        answer = admin.put(f"bindings/{segment(generator)}", body)
    found = answer.read(dict[str, str | int])
    rows = [(name, ref) for name, ref in found.items() if name != "version"]
    screen.show(found, table(("generator", "adapter"), rows))


def _pair(text: str) -> tuple[str, str]:
    generator, mark, ref = text.partition("=")
    known = [each for each in get_args(Generator) if each != "base"]
    if not mark or not ref or generator not in known:
        raise CliError(
            f"{text!r} binds nothing",
            f"GENERATOR=REF is right, of {', '.join(known)}, such as"
            f" {known[0]}=acme-behav-lora@v1",
        )
    return generator, ref
