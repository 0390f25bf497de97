"""`python -m evals`: measure the generators of a running gateway.

Exit codes: 0 done, 1 the run failed, 2 bad usage or set-up, 130 interrupted.
"""

import argparse
import asyncio
import contextlib
import datetime as dt
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from evals import report, samples
from evals.answers import Params
from evals.environment import access
from evals.errors import EvalError, SetupError
from evals.progress import shown
from evals.report import Origin
from evals.table import GENERATORS, Plan, Table, compare
from evals.target import connect

HOME: Final = Path("var/evals")
INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, write; the exit code."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    try:
        asked = samples.load(options.samples)
        plan = _plan(options, asked)
        table = asyncio.run(_run(plan, options.fresh, console))
        _write(table, _origin(options), options)
    except SetupError as error:
        console.print(f"evals: {error}", markup=False, highlight=False)
        return 2
    except EvalError as error:
        console.print(f"evals: {error}", markup=False, highlight=False)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("interrupted; the same command goes on where it stopped")
        return INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m evals",
        description="Measure the generators of a running gateway. Its addresses and"
        " keys come from WASTEGATE_URL, WASTEGATE_ADMIN_URL, WASTEGATE_KEY and"
        " WASTEGATE_ADMIN_KEY, or from var/local.env.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    table = commands.add_parser(
        "table", help="put the same samples to each generator and compare"
    )
    add = table.add_argument
    add("--samples", type=Path, required=True, help="held-out samples, JSON lines")
    add("--out", type=Path, help="write the report here, e.g. docs/results.md")
    add("--json", action="store_true", help="print everything as JSON")
    add("--tenant", default="acme", help="whom the key belongs to [%(default)s]")
    add("--surface", default="assist", help="[%(default)s]")
    add("--max-tokens", type=_positive, default=256, help="[%(default)s]")
    add("--concurrency", type=_positive, default=8, help="[%(default)s]")
    add("--limit", type=_positive, help="only the first N samples")
    add("--generators", nargs="+", choices=GENERATORS, default=list(GENERATORS))
    add("--fresh", action="store_true", help="ask again what is recorded")
    add("--engine", default="vLLM", help="what stands behind, for the report")
    add("--date", default=_today(), help="for the report [today]")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("1 or more is right")
    return value


def _today() -> str:
    return dt.datetime.now(tz=dt.UTC).date().isoformat()  # noqa: TID251 -- the program's edge, where the wall clock comes in


def _plan(options: argparse.Namespace, asked: tuple[samples.Sample, ...]) -> Plan:
    return Plan(
        asked[: options.limit],
        options.tenant,
        Params(options.surface, options.max_tokens),
        tuple(options.generators),
        options.concurrency,
    )


async def _run(plan: Plan, fresh: bool, console: Console) -> Table:  # noqa: FBT001 -- a flag of the command line, handed through
    running = asyncio.current_task()
    if running:
        # A plain SIGTERM would leave the tenant on the generator under test.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    if fresh:
        with contextlib.suppress(FileNotFoundError):
            (HOME / plan.run / "answers.jsonl").unlink()
    with shown(console) as watch:
        async with connect(access(os.environ), plan.concurrency) as gateway:
            return await compare(plan, gateway, HOME, watch)


def _origin(options: argparse.Namespace) -> Origin:
    return Origin(
        shlex.join(("python", "-m", "evals", *sys.argv[1:])),
        options.date,
        options.engine,
        _machine(),
    )


def _machine() -> str:
    """The processor's name and how many cores this process may use."""
    cores = len(os.sched_getaffinity(0))
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2] for line in lines if line.startswith("model name")]
    name = " ".join(names[0].split()) if names else "unknown processor"
    return f"{name}, {cores} cores"


def _write(table: Table, origin: Origin, options: argparse.Namespace) -> None:
    encoded = report.as_json(table, origin)
    (HOME / table.run / "table.json").write_bytes(encoded)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(report.markdown(table, origin), encoding="utf-8")
    text = encoded.decode() if options.json else report.terminal(table)
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
