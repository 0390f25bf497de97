"""What the gateway adds to a request: all rows in turn, several rounds, medians.

Rows are interleaved (A B C A B C …), so that a machine that slows down slows all of
them, and what is added is the difference within a round.
"""

import statistics
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from bench.load import Generator, Sample
from bench.stack import Row

ONE: Final = 1
MANY: Final = 32
"""Connections: one for what a request waits, many for what a core can do."""

WARM_SECONDS: Final = 1


class Measured(msgspec.Struct, frozen=True):
    """A row in one round."""

    one: Sample
    many: Sample
    cpu_us: float
    """CPU time of the row's server for each of the many's requests."""


class Line(msgspec.Struct, frozen=True):
    """A row of the result: medians over the rounds; latencies in milliseconds."""

    name: str
    baseline: str
    p50_ms: float
    p99_ms: float
    added_p50_ms: float
    added_p99_ms: float
    per_second: float
    cpu_us: float
    ratio: float
    """Requests per second as a share of the baseline's."""
    spread: float
    """Largest less smallest requests per second over the rounds, to the median."""


Round = dict[str, Measured]
Watch = Callable[[str], None]


def rounds(
    rows: Sequence[Row], generator: Generator, count: int, watch: Watch
) -> list[Round]:
    """Measure every row `count` times, in turn, after a short warm-up."""
    warm = msgspec.structs.replace(generator, seconds=WARM_SECONDS)
    for row in rows:
        warm.measure(row.target, MANY)
    done: list[Round] = []
    for number in range(1, count + 1):
        found: Round = {}
        for row in rows:
            watch(f"round {number} of {count}: {row.target.name}")
            found[row.target.name] = _measure(row, generator)
        done.append(found)
    return done


def summarise(rows: Sequence[Row], done: Sequence[Round]) -> list[Line]:
    """Medians over the rounds; differences and ratios are taken within a round."""
    return [_line(row.target.name, row.baseline, done) for row in rows]


def _measure(row: Row, generator: Generator) -> Measured:
    one = generator.measure(row.target, ONE)
    before = row.server.cpu_seconds()
    many = generator.measure(row.target, MANY)
    spent = row.server.cpu_seconds() - before
    return Measured(one, many, spent / many.requests * 1e6)


def _line(name: str, baseline: str, done: Sequence[Round]) -> Line:
    own = [found[name] for found in done]
    base = [found[baseline] for found in done]
    pairs = list(zip(own, base, strict=True))
    middle = statistics.median
    rates = [m.many.per_second for m in own]
    return Line(
        name=name,
        baseline=baseline,
        p50_ms=middle(m.one.p50 for m in own) / 1e3,
        p99_ms=middle(m.one.p99 for m in own) / 1e3,
        added_p50_ms=middle(m.one.p50 - b.one.p50 for m, b in pairs) / 1e3,
        added_p99_ms=middle(m.one.p99 - b.one.p99 for m, b in pairs) / 1e3,
        per_second=middle(rates),
        cpu_us=middle(m.cpu_us for m in own),
        ratio=middle(m.many.per_second / b.many.per_second for m, b in pairs),
        spread=(max(rates) - min(rates)) / middle(rates),
    )
