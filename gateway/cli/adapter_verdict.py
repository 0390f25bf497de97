"""`wastegate adapter verdict`: what the evals say of an adapter, filed and shown."""

import argparse
from pathlib import Path
from typing import Any, Final

import msgspec

from adapters.errors import ManifestError
from adapters.manifest import read_json
from adapters.verdict import EvalVerdict, decode
from gateway.cli.arguments import Add
from gateway.cli.client import Admin, Answer, segment
from gateway.cli.errors import CliError
from gateway.cli.run import remote
from gateway.cli.screen import Screen, table

_TEXT: Final = """\
Shows what the evals say of an adapter, gate by gate; with a file, files it as the
verdict from now on. A rollout needs a verdict "pass" on exactly the bytes that are
registered, or a reason in its --override.

examples:
  wastegate adapter verdict acme-behav-lora@v1
  wastegate adapter verdict acme-behav-lora@v1 verdict.json --why "suite of 27 Nov"
"""
_MAKE: Final = "`python -m evals suite` makes one"


def register(within: Add) -> None:
    """Add the command to the group."""
    command = within("verdict", "what the evals say; file it", _TEXT)
    command.add_argument("ref", metavar="REF")
    command.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="of python -m evals suite"
    )
    command.add_argument("--why", default="", metavar="TEXT", help="for the audit log")
    command.set_defaults(run=remote(show))


def show(arguments: argparse.Namespace, admin: Admin, screen: Screen) -> None:
    """File the verdict of a file, if one is given, and show what is filed.

    Raises:
        CliError: the file is none, the gateway refuses it, or there is no verdict.
    """
    path = f"adapters/{segment(arguments.ref)}/verdict"
    if arguments.file is None:
        answer = admin.get(path)
    else:
        answer = admin.put(path, _file(arguments.file) | {"why": arguments.why})
    verdict = _read(answer)
    rows = [
        (
            gate.name,
            gate.verdict,
            gate.asked,
            f"{gate.seen} {gate.bounds}".rstrip(),
            gate.n,
            gate.says,
        )
        for gate in verdict.gates
    ]
    screen.show(
        msgspec.json.decode(answer.body),
        f"{verdict.ref}: {verdict.verdict}",
        table(("gate", "verdict", "asked", "seen", "n", "says"), rows),
        f"made {verdict.made.isoformat(timespec='seconds')} on {verdict.samples} samples"
        f" and {verdict.base} by {verdict.command}; bounds are one-sided, at"
        f" {verdict.confidence * 100:g} %",
        f"digest {verdict.digest}",
        *((f"evidence: {verdict.evidence}",) if verdict.evidence else ()),
    )


def _file(path: Path) -> dict[str, Any]:
    """The fields of a verdict's file, checked as the gateway will."""
    try:
        raw = read_json(path)
        decode(raw, path.name)
    except (ManifestError, OSError) as error:
        raise CliError(f"{path} is no verdict: {error}", _MAKE) from error
    return msgspec.json.decode(raw)


def _read(answer: Answer) -> EvalVerdict:
    try:
        return decode(answer.body, "the answer")
    except ManifestError as error:
        raise CliError(
            f"the answer is not what was expected: {error}",
            "is the gateway of the same version as this command?",
        ) from error
