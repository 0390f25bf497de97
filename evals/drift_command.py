"""Compare two windows of outputs: have they drifted apart?

A window is files of kept outputs (or their directory), or the journal of a run of the
suite, answers.jsonl. Exit codes: 0 no drift is seen, 1 there is some, 3 too few outputs.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from evals import drift, recorded
from evals.answers import Answer, Entry, Mode
from evals.drift import Drifts
from evals.errors import SetupError
from evals.options import positive, share

DRIFT: Final = 1
TOO_FEW: Final = 3

_ENTRIES: Final = msgspec.json.Decoder(Entry)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what it can be told."""
    add = parser.add_argument
    add("reference", type=Path, metavar="REFERENCE", help="what it should be like")
    add("newest", type=Path, metavar="NEWEST", help="the window in question")
    add("--reference-model", metavar="REF", help="only this model's outputs there")
    add("--newest-model", metavar="REF", help="only this model's outputs here")
    add("--mode", choices=("free", "constrained"), default="free",
        help="of decoding; the other is left out [%(default)s]")  # fmt: skip
    add("--last", type=positive, default=500, metavar="N",
        help="only the last N outputs of each [%(default)s]")  # fmt: skip
    add("--level", type=share, default=drift.LEVEL, help="of error [%(default)s]")
    add("--permutations", type=positive, default=drift.PERMUTATIONS, metavar="N",
        help="at most [%(default)s]")  # fmt: skip
    add("--seed", type=int, default=0, help="of the permutations [%(default)s]")
    add("--json", action="store_true", help="print the result as JSON")


def run(options: argparse.Namespace, console: Console) -> int:
    """Compare, say, and tell by the exit code.

    Raises:
        SetupError: a window cannot be read, or mixes models.
    """
    last: int = options.last
    reference = window(options.reference, options.reference_model, options.mode)
    newest = window(options.newest, options.newest_model, options.mode)
    found = drift.compare(
        reference[-last:],
        newest[-last:],
        seed=options.seed,
        permutations=options.permutations,
    )
    if found is None:
        console.print(
            f"{len(reference)} and {len(newest)} outputs; {drift.LEAST} each are needed",
            highlight=False,
        )
        return TOO_FEW
    text = msgspec.json.encode(found).decode() if options.json else said(found)
    sys.stdout.write(f"{text}\n")
    return DRIFT if found.found(options.level) else 0


def window(path: Path, model: str | None = None, mode: Mode = "free") -> list[Answer]:
    """Read a window's outputs, in the order of their times.

    Args:
        path: of kept lines, of a directory of them, or of a run's journal.
        model: a ref; of others nothing is taken. None: there has to be one alone.
        mode: the other way of decoding is left out: the two are never pooled.

    Raises:
        SetupError: there is no such file, or several models are in it.
    """
    if not path.exists():
        raise SetupError(f"{path}: there is no such file or directory")
    read = _journal if path.name == "answers.jsonl" else _kept
    answers = read(path, mode)
    models = sorted({answer.model for answer in answers})
    if model is None and len(models) > 1:
        raise SetupError(
            f"{path}: outputs of {', '.join(models)} are in it; name one with"
            " --reference-model or --newest-model"
        )
    return [answer for answer in answers if model in (None, answer.model)]


def said(found: Drifts) -> str:
    """A line a feature, for people."""
    lines = [f"{found.reference} outputs and {found.newest}; p by Holm over all"]
    lines += [
        f"{each.feature:<14}{each.statistic:<5}{each.value:>9.4f}"
        f"  p = {each.adjusted:<8.3g}{each.says}".rstrip()
        for each in found.every
    ]
    return "\n".join(lines)


def _kept(path: Path, mode: Mode) -> list[Answer]:
    records = [
        record
        for file in recorded.files([path])
        for record in recorded.read(file, "en").records
        if record.group.mode == mode
    ]
    return [record.answer for record in sorted(records, key=lambda each: each.key)]


def _journal(path: Path, mode: Mode) -> list[Answer]:
    """Of a run in free decoding; its constrained baseline is told by the verdict."""
    lines = path.read_bytes().splitlines()
    found = [_entry(path, number, line) for number, line in enumerate(lines, start=1)]
    # Of two lines of one key the later counts, as in the journal itself.
    answers = {entry.key: entry.answer for entry in found if entry}.values()
    bound = mode == "constrained"
    return [each for each in answers if (each.verdict == "constrained") == bound]


def _entry(path: Path, number: int, line: bytes) -> Entry | None:
    """A line; None where it is no answer, as the last one of a run that was killed."""
    try:
        return _ENTRIES.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if line.endswith(b"}"):
            raise SetupError(f"{path}:{number}: {error}") from error
        return None
