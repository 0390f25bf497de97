"""`wastegate flag`: what GENERATOR is, for everybody, a tenant or a surface."""

import argparse
from typing import Any, Final, get_args

import msgspec

from gateway.cli import flag_files
from gateway.cli.arguments import Add, group
from gateway.cli.client import Admin, segment
from gateway.cli.errors import CliError, RefusedError, UsageError
from gateway.cli.flag_shown import PATH, drawn, fetch, of, show
from gateway.cli.run import remote
from gateway.cli.screen import Screen
from routing.errors import FlagError
from routing.flags import FLAG, FlagDocument
from routing.rules import Generator, SurfaceRule

_TRIES: Final = 5
_GENERATORS: Final = get_args(Generator)

_GET: Final = """\
Shows the flag: default, canary weights, overrides, surface rules and kills.

example:
  wastegate flag get GENERATOR
"""
_SET: Final = """\
Changes what answers; in force for the next request.
A weight for base cannot be set: base, or the default, gets what the others leave.

examples:
  wastegate flag set GENERATOR lora                      the default for everybody
  wastegate flag set GENERATOR lora --tenant acme        one tenant, whatever the rest
  wastegate flag set GENERATOR lora --surface email      all requests of a surface
  wastegate flag set GENERATOR lora --percent 5          a canary of 5 % of the units
  wastegate flag set GENERATOR lora --percent 5 --surface email --why "first step"
"""
_UNSET: Final = """\
Takes a tenant's override or a surface's rule away.

example:
  wastegate flag unset GENERATOR --tenant acme
"""


def register(add: Add) -> None:
    """Add the group."""
    within = group(add, "flag", "read and change GENERATOR")
    get = within("get", "show the flag", _GET)
    get.add_argument("flag", choices=[FLAG], metavar=FLAG)
    get.set_defaults(run=remote(show))
    put = within("set", "change the flag", _SET)
    put.add_argument("flag", choices=[FLAG], metavar=FLAG)
    put.add_argument("variant", choices=_GENERATORS, metavar="|".join(_GENERATORS))
    _scope(put)
    put.add_argument(
        "--percent", type=_percent, metavar="P", help="of the units, 0 to 100"
    )
    put.set_defaults(run=remote(change))
    unset = within("unset", "take an override or a rule away", _UNSET)
    unset.add_argument("flag", choices=[FLAG], metavar=FLAG)
    _scope(unset)
    unset.set_defaults(run=remote(remove))
    flag_files.register(within)


def _scope(command: argparse.ArgumentParser) -> None:
    which = command.add_mutually_exclusive_group()
    which.add_argument("--tenant", metavar="T", help="for this tenant only")
    which.add_argument("--surface", metavar="S", help="for this surface only")
    command.add_argument("--why", default="", metavar="TEXT", help="for the audit log")


def _percent(text: str) -> int:
    """Read a percentage as basis points."""
    try:
        points = float(text.removesuffix("%")) * 100
    except ValueError:
        points = -1.0
    if not 0 <= points <= 10_000 or abs(points - round(points)) > 1e-6:  # noqa: PLR2004 - basis points
        raise argparse.ArgumentTypeError(
            f"{text!r} is no percentage; 0 to 100 in steps of 0.01 is right"
        )
    return round(points)


def change(arguments: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    """Set the default, an override, a surface's rule, or a weight."""
    if arguments.percent is not None and arguments.variant == "base":
        raise UsageError(
            "base has no weight of its own: it gets what the canaries leave",
            "set lora's or lora_pref's: flag set GENERATOR lora --percent 5",
        )
    if arguments.tenant is not None:
        if arguments.percent is not None:
            raise UsageError(
                "--percent and --tenant exclude each other: an override is whole",
                "leave one of them out; --surface may have a weight",
            )
        body = {"variant": arguments.variant, "why": arguments.why}
        admin.put(f"overrides/{segment(arguments.tenant)}", body)
        _confirm(admin, screen)
        return
    _edit(arguments, admin, screen)


def remove(arguments: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    """Take an override or a surface's rule away."""
    if arguments.tenant is not None:
        path = f"overrides/{segment(arguments.tenant)}"
        admin.delete(path, why=arguments.why)
        _confirm(admin, screen)
    elif arguments.surface is not None:
        _edit(arguments, admin, screen)
    else:
        raise UsageError(
            "nothing says what to take away", "give --tenant T or --surface S"
        )


def _confirm(admin: Admin, screen: Screen) -> None:
    flag = fetch(admin)
    screen.show(flag.raw, *drawn(flag))


def _edit(arguments: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    """Change the document on the version that was read; read again when it moved."""
    for tried in range(1, _TRIES + 1):
        flag = fetch(admin)
        body = msgspec.to_builtins(edited(flag.document, arguments))
        try:
            answer = admin.put(PATH, body | {"why": arguments.why}, etag=flag.etag)
        except RefusedError as refused:
            if refused.code != "conflict" or tried == _TRIES:
                raise
        else:
            done = of(answer.read(dict[str, Any]), answer.etag)
            screen.show(done.raw, *drawn(done))
            return


def edited(document: FlagDocument, arguments: argparse.Namespace) -> FlagDocument:
    """Make the document that the arguments ask for.

    Raises:
        CliError: there can be no such document.
    """
    try:
        if arguments.surface is not None:
            return _with_surface(document, arguments)
        if arguments.percent is not None:
            weight = {arguments.variant: arguments.percent}
            return msgspec.structs.replace(document, **weight)
        return msgspec.structs.replace(document, default=arguments.variant)
    except FlagError as error:
        raise CliError(
            str(error), "look at the present weights: wastegate flag get GENERATOR"
        ) from error


def _with_surface(document: FlagDocument, given: argparse.Namespace) -> FlagDocument:
    surfaces = dict(document.surfaces)
    variant: Generator | None = getattr(given, "variant", None)
    weight: int | None = getattr(given, "percent", None)
    if variant is None:
        surfaces.pop(given.surface, None)
    elif weight is None:
        surfaces[given.surface] = SurfaceRule(variant=variant)
    else:
        before = surfaces.get(given.surface, SurfaceRule())
        weights = {"lora": before.lora, "lora_pref": before.lora_pref, variant: weight}
        surfaces[given.surface] = SurfaceRule(
            lora=weights["lora"], lora_pref=weights["lora_pref"]
        )
    return msgspec.structs.replace(document, surfaces=surfaces)
