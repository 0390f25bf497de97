"""Put an open Poisson load on a running gateway, and time the tokens as they stream.

Requests leave when a schedule says so, answered or not, and are timed from then. What
was measured goes to var/evals/perf, too. Exit code 3: it is no measure of the gateway.
"""

import argparse
import asyncio
import datetime as dt
import functools
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Final

from rich.console import Console

from evals import performance, performance_report, prices, samples, stream
from evals.answers import Subject
from evals.environment import access
from evals.load import Ask
from evals.machine import machine
from evals.options import positive
from evals.performance import Performance, Plan
from evals.prices import Price
from evals.progress import shown
from evals.result import Origin
from evals.samples import Sample
from evals.stream import Streamed, Streamer
from evals.target import connect
from structured.prompt import AssistInput

HOME: Final = Path("var/evals")
NO_MEASURE: Final = 3
GENERATORS: Final = ("base", "lora", "lora_pref")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what it can be told."""
    add = parser.add_argument
    add("--samples", type=Path, metavar="FILE",
        help="JSON lines, whose inputs are asked in turn [made, see `data`: mixed]")  # fmt: skip
    add("--rates", type=above_nought, nargs="+", required=True, metavar="RATE",
        help="requests a second, one run each")  # fmt: skip
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--requests", type=positive, help="at each rate")
    length.add_argument("--seconds", type=above_nought, help="at each rate")
    add("--generators", nargs="+", choices=GENERATORS, default=["base"])
    add("--tenant", default="acme", help="whom the key belongs to [%(default)s]")
    add("--max-tokens", type=positive, default=96, help="[%(default)s]")
    add("--warm-up", type=_count, default=5, metavar="N",
        help="requests before each that are not counted [%(default)s]")  # fmt: skip
    add("--seed", type=int, default=1, help="of the arrivals [%(default)s]")
    add("--in-flight", type=positive, metavar="N",
        help="at most so many at a time; what waits is late [no bound]")  # fmt: skip
    add("--max-lag", type=above_nought, default=0.05, metavar="SECONDS",
        help="p99 of lateness up to which it is a measure [%(default)s]")  # fmt: skip
    add("--prices", type=Path, default=prices.PRICES, metavar="FILE",
        help="[evals/prices.toml]")  # fmt: skip
    add("--out", type=Path, metavar="FILE", help="the report, as Markdown")
    add("--json", action="store_true", help="print the result as JSON")
    add("--engine", default="vLLM", help="what stands behind, for the report")
    add("--date", help="for the report [today]")


def run(options: argparse.Namespace, console: Console) -> int:
    """Load, write, show; 0, or 3 where it is no measure of the gateway.

    Raises:
        EvalError: what ends a run; see `evals.errors`.
    """
    table = prices.load(options.prices)
    plan = _plan(options)
    origin = Origin(
        shlex.join(("python", "-m", "evals", *sys.argv[1:])),
        options.date or _today(),
        options.engine,
        machine(),
    )
    found = asyncio.run(_measured(plan, table, console))
    encoded = performance_report.as_json(found, origin)
    kept = HOME / "perf" / "performance.json"
    _write(kept, encoded)
    if options.out:
        _write(options.out, performance_report.markdown(found, origin).encode())
    text = encoded.decode() if options.json else performance_report.terminal(found)
    sys.stdout.write(f"{text}\n")
    console.print(f"every request: {kept}", markup=False, highlight=False)
    return 0 if found.is_measure else NO_MEASURE


def above_nought(text: str) -> float:
    """A finite number above 0."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("a number above 0 is right")
    return value


async def _measured(
    plan: Plan, table: dict[str, Price], console: Console
) -> Performance:
    running = asyncio.current_task()
    if running:
        # A plain SIGTERM would leave the tenant on the generator under test.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    where = access(os.environ)
    with shown(console) as watch:
        async with (
            connect(where, 1) as control,
            stream.connect(where.url, where.key, plan.max_tokens) as streamer,
        ):
            ask_as = functools.partial(_ask_as, streamer)
            return await performance.measure(plan, control, ask_as, table, HOME, watch)


def _ask_as(streamer: Streamer, subject: Subject) -> Ask:
    async def ask(given: AssistInput, unit: str) -> Streamed:
        return await streamer.ask(given, subject, unit)

    return ask


def _plan(options: argparse.Namespace) -> Plan:
    asked = samples.load(options.samples) if options.samples else _mixed()
    return Plan(
        inputs=tuple(dict.fromkeys(sample.input for sample in asked)),
        tenant=options.tenant,
        generators=tuple(options.generators),
        rates=tuple(options.rates),
        requests=options.requests,
        seconds=options.seconds,
        warm_up=options.warm_up,
        seed=options.seed,
        in_flight=options.in_flight,
        max_lag=options.max_lag,
        max_tokens=options.max_tokens,
    )


def _mixed() -> tuple[Sample, ...]:
    """The suite's samples, in an order that has nothing to do with their tasks."""
    from evals.data.generate import generate  # noqa: PLC0415 -- slow, and not needed with a file

    return tuple(sorted(generate(), key=lambda sample: sample.digest))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("0 or more is right")
    return value


def _today() -> str:
    return dt.datetime.now(tz=dt.UTC).date().isoformat()  # noqa: TID251 -- the program's edge, where the wall clock comes in
