"""Benchmark results for people and for programs."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from bench.overhead import Line, Round

QUIET: Final = 0.3
"""Load average (1 min) above which something else uses the cores."""

MEANING: Final = """\
added: the row's latency at one connection less its baseline's, in the same round.
req/s, CPU and ratio are at 32 connections; CPU is the row's own server's, per request.
`gateway assist` asks the mock for a stream, so its baseline is a direct stream.
Medians over the rounds; spread is (largest - smallest) / median of req/s.
The gateway and nginx had a core alone; mock upstream and wrk shared another."""


class Host(msgspec.Struct, frozen=True):
    """The machine, as far as it bears on a number."""

    processor: str
    cores: int
    kernel: str
    python: str
    load: float
    """Load average over the minute before the run."""

    @property
    def quiet(self) -> bool:
        """Whether the cores were free when the run began."""
        return self.load <= QUIET


def host() -> Host:
    """Describe this machine."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2] for line in lines if line.startswith("model name")]
    return Host(
        processor=" ".join(names[0].split()) if names else platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        kernel=platform.release(),
        python=platform.python_version(),
        load=os.getloadavg()[0],
    )


def overhead(lines: Sequence[Line], machine: Host, how: str) -> str:
    """The table of `make bench`."""
    head = (
        f"{'':<15}{'added p50':>10}{'added p99':>10}{'p50':>8}{'p99':>8}"
        f"{'req/s':>9}{'CPU µs':>8}{'ratio':>7}{'spread':>8}"
    )
    unit = f"{'':<15}{'ms':>10}{'ms':>10}{'ms':>8}{'ms':>8}"
    rows = [_row(line) for line in lines]
    about = (
        f"{machine.processor}, {machine.cores} cores, Python {machine.python}; {how}"
    )
    return "\n".join([head, unit, *rows, "", about, *noise(machine), "", MEANING])


def noise(machine: Host) -> list[str]:
    """A warning where the machine was busy before the run began."""
    if machine.quiet:
        return []
    return [
        (
            f"WARNING: load average {machine.load:.1f} before the run: other processes"
            " use the cores, and the numbers are worth nothing."
        )
    ]


def save(
    path: Path, machine: Host, how: str, lines: Sequence[Line], done: Sequence[Round]
) -> None:
    """Everything that was measured, each round included."""
    content = {"host": machine, "how": how, "lines": lines, "rounds": done}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content)) + b"\n")


def _row(line: Line) -> str:
    own = line.name == line.baseline
    p50 = "" if own else f"{line.added_p50_ms:.3f}"
    p99 = "" if own else f"{line.added_p99_ms:.3f}"
    ratio = "" if own else f"{line.ratio:.2f}"
    return (
        f"{line.name:<15}{p50:>10}{p99:>10}{line.p50_ms:>8.3f}{line.p99_ms:>8.3f}"
        f"{line.per_second:>9,.0f}{line.cpu_us:>8.0f}{ratio:>7}{line.spread:>8.0%}"
    )
