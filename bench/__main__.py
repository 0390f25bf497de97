"""Benchmarks: `python -m bench [WHAT]`.

overhead: what the gateway adds to a request, beside a direct call and nginx.
micro: its pieces, one by one.
structured: what repair makes of broken texts, beside json_repair; docs/structured.md.
stalls: how long bad days hold other clients up; docs/stalls.md.
gates: how often a rollout's gates are wrong, and how soon right; docs/gates.md.
evals: how often the evals' bounds hold; docs/eval-gates.md.
flips: how soon a flag's change is everywhere; docs/flips.md.
canary: on a running stack, a rollout from its start to its end; docs/canary.md.
cycles: adapters that come and go under load, on a vLLM of its own; docs/cycles.md.
record: puts the canary's record at the end of docs/results.md.
kills: what is lost when writers of the flag are killed; docs/kills.md.
modes: on a running vLLM, verdicts of the base model by mode; docs/verdicts.md.
operations: what an adapter's part of a step costs on the CPU, beside vLLM's own.
restarts: vLLM killed on a running stack, and back; docs/restarts.md.
swap: on a running stack, what an adapter's coming and going costs the base.

Exit codes: 0 done, 1 no number, 2 bad usage, 3 a canary was rolled back, 130 interrupted.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import httpx

from bench import (
    canary,
    cycles,
    evals,
    flips,
    gates,
    kills,
    micro,
    modes,
    operations,
    overhead,
    record,
    report,
    restarts,
    stack,
    stalls,
    structured,
    swap,
    tools,
)
from bench.errors import BenchError
from bench.load import Generator
from bench.stack import Cores
from evals.environment import access
from evals.errors import SetupError

LAST: Final = Path("var/bench/last.json")
INTERRUPTED: Final = 130
CORES_NEEDED: Final = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse and run; the exit code."""
    options = parser().parse_args(arguments)
    # An ordinary SIGTERM would leave the children to the kernel's mercy.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _RUNS[options.what](options)
    except (BenchError, SetupError) as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    except httpx.ConnectError as error:
        where = error.request.url.copy_with(path="/", query=None)
        sys.stderr.write(f"bench: nothing answers at {where}; is it up? `make up`\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("bench: interrupted, everything is stopped\n")
        return INTERRUPTED


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    add = parser.add_argument
    add(
        "what",
        nargs="?",
        choices=tuple(_RUNS),
        default="overhead",
    )
    add("--rounds", type=int, default=3, help="[%(default)s]")
    add("--seconds", type=int, default=5, help="a measurement [%(default)s]")
    add(
        "--phase",
        type=float,
        default=90,
        help="seconds of swap before it swaps [%(default)s]",
    )
    add("--engine", default="http://127.0.0.1:8000", help="vLLM of modes [%(default)s]")
    add("--questions", type=int, default=100, help="of modes [%(default)s]")
    add("--candidate", default=canary.CANDIDATE, help="of canary [%(default)s]")
    add("--out", type=Path, default=canary.OUT, help="of canary [%(default)s]")
    add("--samples", type=Path, default=canary.SAMPLES, help="of canary [%(default)s]")
    add("--cycles", type=int, default=500, help="of cycles [%(default)s]")
    add("--restarts", type=int, default=5, help="[%(default)s]")
    add("--seed", type=int, default=2026, help="of structured and gates [%(default)s]")
    add("--repeat", type=int, default=5, help="of a micro-benchmark [%(default)s]")
    return parser


def _micro(options: argparse.Namespace) -> int:
    _say(micro.report(micro.run(options.repeat)))
    return 0


def _operations(_: argparse.Namespace) -> int:
    _say(operations.report(operations.run()))
    return 0


def _swap(options: argparse.Namespace) -> int:
    _say(asyncio.run(swap.run(access(os.environ), options.phase)))
    return 0


def _restarts(options: argparse.Namespace) -> int:
    _say(asyncio.run(restarts.run(access(os.environ), options.restarts)))
    return 0


def _overhead(options: argparse.Namespace) -> int:
    rounds: int = options.rounds
    seconds: int = options.seconds
    found = tools.find()
    cores = _cores()
    machine = report.host()
    how = f"{rounds} rounds of {seconds} s, interleaved"
    for line in report.noise(machine):
        sys.stderr.write(f"{line}\n")
    with tempfile.TemporaryDirectory(prefix="wastegate-bench-") as directory:
        home = Path(directory)
        with stack.up(found, cores, home) as rows:
            generator = Generator(found["wrk"], cores.others, seconds, home)
            done = overhead.rounds(rows, generator, rounds, _progress)
            lines = overhead.summarise(rows, done)
    report.save(LAST, machine, how, lines, done)
    _say(f"{report.overhead(lines, machine, how)}\n\nIn full: {LAST}")
    return 0


def _cores() -> Cores:
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < CORES_NEEDED:
        raise BenchError("one core only; the measured program needs one for itself")
    return Cores(usable[0], usable[1])


def _progress(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


_RUNS: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = {
    "overhead": _overhead,
    "micro": _micro,
    "structured": lambda options: structured.main(options.seed),
    "stalls": lambda _: stalls.main(),
    "modes": lambda options: modes.main(options.engine, options.questions),
    "operations": _operations,
    "restarts": _restarts,
    "swap": _swap,
    "canary": lambda options: canary.main(
        access(os.environ),
        canary.canary(options.candidate, options.out, options.samples),
    ),
    "record": lambda _: record.main(),
    "cycles": lambda options: cycles.main(options.cycles),
    "flips": lambda _: flips.main(),
    "kills": lambda _: kills.main(),
    "gates": lambda options: gates.main(options.seed),
    "evals": lambda options: evals.main(options.seed),
}

if __name__ == "__main__":
    sys.exit(main())
