"""`python -m evals`: may this tune ship?

Exit codes: 0 done, or every gate passed; 1 a gate failed, or samples are not held out;
2 bad usage or set-up; 3 inconclusive; 4 the run failed; 130 interrupted.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Final

from rich.console import Console

from evals import (
    data_command,
    drift_command,
    perf_command,
    report_command,
    suite_command,
    watch_command,
)
from evals.errors import EvalError, SetupError

FAILED: Final = 4
INTERRUPTED: Final = 130

Run = Callable[[argparse.Namespace, Console], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse and run a command; the exit code."""
    options = parser().parse_args(arguments)
    run: Run = options.run
    console = Console(stderr=True)
    try:
        return run(options, console)
    except SetupError as error:
        console.print(f"evals: {error}", markup=False, highlight=False)
        return 2
    except EvalError as error:
        console.print(f"evals: {error}", markup=False, highlight=False)
        return FAILED
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("interrupted; the same command goes on where it stopped")
        return INTERRUPTED


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m evals",
        description="Measure the generators of a running gateway, and judge whether their"
        " adapters may ship. Its addresses and keys come from WASTEGATE_URL,"
        " WASTEGATE_ADMIN_URL, WASTEGATE_KEY and WASTEGATE_ADMIN_KEY, or from"
        " var/local.env.",
        epilog="Exit codes: 0 done, or all gates passed; 1 a gate failed; 2 bad usage;"
        " 3 inconclusive; 4 the run failed; 130 interrupted.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, what, command in (
        (
            "suite",
            "put the suite to each generator, and judge by the gates",
            suite_command,
        ),
        (
            "data",
            "make the suite's samples, or look whether they are held out",
            data_command,
        ),
        ("report", "make the reports of a run again", report_command),
        ("perf", "load a generator, and measure its times and cost", perf_command),
        ("drift", "compare two windows of outputs, or two versions", drift_command),
        ("watch", "score what production has kept, again and again", watch_command),
    ):
        each = commands.add_parser(name, help=what, description=command.__doc__)
        command.arguments(each)
        each.set_defaults(run=command.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
