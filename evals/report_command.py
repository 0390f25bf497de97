"""Make the reports of a run again, out of its result.json."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from evals.reports import load, render
from evals.reports.markdown import terminal


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
    result = load(path)
    home = options.out or path.parent
    render(result, home)
    sys.stdout.write(f"{terminal(result)}\n")
    console.print(f"reports: {home / 'report.html'}", markup=False, highlight=False)
    return 0
