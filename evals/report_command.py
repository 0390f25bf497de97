"""Make the reports of a run again, out of its result.json."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from evals import reports
from evals.errors import SetupError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what it can be told."""
    add = parser.add_argument
    add(
        "result",
        metavar="RESULT",
        type=Path,
        help="result.json of a run, or its directory",
    )
    add("--out", type=Path, metavar="DIR", help="where to [beside it]")


def run(options: argparse.Namespace, console: Console) -> int:
    """Read, write, show the summary."""
    path: Path = (
        options.result / "result.json" if options.result.is_dir() else options.result
    )
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}; `suite` makes it") from error
    result = reports.from_json(raw, path.name)
    home = options.out or path.parent
    reports.write(result, home)
    sys.stdout.write(f"{reports.terminal(result)}\n")
    console.print(f"reports: {home / 'report.html'}", markup=False, highlight=False)
    return 0
