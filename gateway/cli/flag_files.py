"""`wastegate flag export|diff|apply`: the flag as a file, for GitOps."""

import argparse
import difflib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.cli.client import Admin
from gateway.cli.errors import CliError, RefusedError
from gateway.cli.flag_shown import PATH, fetch, show
from gateway.cli.run import remote
from gateway.cli.screen import Screen
from routing.errors import FlagError
from routing.flagd import exported, imported
from routing.flags import FLAG, FlagDocument, decode

_EXPORT: Final = """\
Writes the flag to standard output as flagd's JSON, which flagd evaluates as the gateway
does; `flag apply` reads it again. --document writes the flag document alone, which is
easier to edit.

examples:
  wastegate flag export GENERATOR --document > generator.json
  wastegate flag export GENERATOR > flags.flagd.json
"""
_DIFF: Final = """\
Shows what `flag apply` would change, as a diff; exit code 1 if there is something.
Rollouts are left out on both sides: they are the controller's.

example:
  wastegate flag diff GENERATOR -f generator.json
"""
_APPLY: Final = """\
Makes the flag what a file says: a flag document, or an export. Refused if somebody
changes the flag meanwhile, with who it was. Rollouts stay as they are.

example:
  wastegate flag apply GENERATOR -f generator.json --why "release 17"
"""

Within = Callable[[str, str, str], argparse.ArgumentParser]


def register(within: Within) -> None:
    """Add the commands to the group."""
    export = within("export", "the flag as a file", _EXPORT)
    diff = within("diff", "what a file would change", _DIFF)
    put = within("apply", "make the flag what a file says", _APPLY)
    for command in (export, diff, put):
        command.add_argument("flag", choices=[FLAG], metavar=FLAG)
    for command in (diff, put):
        command.add_argument(
            *("-f", "--file"), required=True, metavar="FILE", help="- is standard input"
        )
    export.add_argument(
        "--document", action="store_true", help="the flag document alone"
    )
    put.add_argument("--why", default="", metavar="TEXT", help="for the audit log")
    export.set_defaults(run=remote(write))
    diff.set_defaults(run=remote(compare))
    put.set_defaults(run=remote(apply))


def write(arguments: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    """Print the file."""
    held = fetch(admin)
    if arguments.document:
        screen.show(_fields(held.document), _text(held.document))
        return
    whole = exported(held.document, int(held.etag.strip('"')))
    screen.show(whole, _pretty(whole))


def compare(arguments: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    """Print a diff; fails if it is not empty."""
    held, wanted = fetch(admin), read(arguments.file)
    lines = list(
        difflib.unified_diff(
            _text(held.document).splitlines(),
            _text(wanted).splitlines(),
            f"{FLAG} {held.etag}",
            arguments.file,
            lineterm="",
        )
    )
    screen.show({"diff": lines}, "\n".join(lines) or "the flag is what the file says")
    if lines:
        raise CliError(
            f"{FLAG} is not what {arguments.file} says",
            f"make it so: wastegate flag apply {FLAG} -f {arguments.file}",
        )


def apply(arguments: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    """Write the file's document over the version that is there now."""
    wanted, held = read(arguments.file), fetch(admin)
    body = _fields(wanted) | {"why": arguments.why}
    try:
        admin.put(PATH, body, etag=held.etag)
    except RefusedError as error:
        if error.code != "conflict":
            raise
        raise CliError(
            f"somebody was faster: {error.message}",
            f"look at it, then decide: wastegate flag diff {FLAG} -f {arguments.file}",
        ) from error
    show(arguments, admin, screen)


def read(name: str) -> FlagDocument:
    """Return the document of a file, which is one or an export of one.

    Raises:
        CliError: the file cannot be read, or is neither.
    """
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise CliError(
            f"{name} cannot be read: {error}", "name another file"
        ) from error
    try:
        return imported(data) if _is_export(data) else decode(data)
    except FlagError as error:
        raise CliError(
            f"{name}: {error}",
            f"see how it has to look: wastegate flag export {FLAG} --document",
        ) from error


def _is_export(data: bytes) -> bool:
    try:
        whole: object = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return isinstance(whole, dict) and "flags" in whole


def _fields(document: FlagDocument) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(document)
    return {name: value for name, value in fields.items() if name != "rollouts"}


def _text(document: FlagDocument) -> str:
    return _pretty(_fields(document))


def _pretty(value: object) -> str:
    raw = msgspec.json.encode(value, order="sorted")
    return msgspec.json.format(raw, indent=2).decode()
