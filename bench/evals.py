"""Whether the evals' bounds keep what they promise: `python -m bench evals`.

The error of a gate at a tune that misses its demand, its power at one that is worth
shipping, and how often each kind of bound holds the truth on data whose documents have
several samples that go right or wrong together. Written to docs/eval-gates.md.
"""

import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random  # noqa: TID251 - simulates data; nobody is bucketed by it
from typing import Final, NamedTuple

from evals import clustered, gates, power, ratio
from evals.data.generate import MAKERS

OUT: Final = Path("docs/eval-gates.md")
CONFIDENCE: Final = 0.95
DRAWS: Final = 4_000
"""Simulated data sets for each row; the error of 95 % is then 0.35 points."""
RATIO_DRAWS: Final = 1_000
DEMAND: Final = 0.99
"""The demand of the gates whose error and power are shown."""


class Kind(NamedTuple):
    """A kind of clustered data."""

    title: str
    documents: int
    size: Callable[[Random, float], int]
    """Samples of a document, given the document's own share."""
    together: float
    """How much a document's samples go together: 0 not at all, 1 all or none."""


def _always(size: int) -> Callable[[Random, float], int]:
    return lambda _rng, _share: size


def _one_to_nine(rng: Random, _share: float) -> int:
    return rng.randint(1, 9)


def _harder_larger(_rng: Random, share: float) -> int:
    return 1 if share > 0.5 else 9  # noqa: PLR2004 -- easy and hard


KINDS: Final = (
    Kind("60 documents of 5, independent", 60, _always(5), 0.0),
    Kind("60 documents of 5, half together", 60, _always(5), 0.5),
    Kind("60 documents of 5, all or none", 60, _always(5), 1.0),
    Kind("40 documents of 8, half together", 40, _always(8), 0.5),
    Kind(
        "200 documents of 1 to 9, half together",
        200,
        _one_to_nine,
        0.5,
    ),
    Kind(
        "200 documents, the harder the larger",
        200,
        _harder_larger,
        0.5,
    ),
)


class Row(NamedTuple):
    """How often a bound held the truth."""

    title: str
    truth: float
    low: float
    high: float


def main(seed: int) -> int:
    """Simulate, print and write; the exit code."""
    lines = [*_head(seed), *_exact(), *_clustered(seed), *_ratios(seed)]
    OUT.write_text("\n".join([*lines, ""]), encoding="utf-8")
    sys.stdout.write("\n".join([*lines, "", f"Written to {OUT}", ""]))
    return 0


def _head(seed: int) -> Iterator[str]:
    yield "# What the evals' gates get wrong"
    yield ""
    yield (
        f"Made by `python -m bench evals --seed {seed}`. Bounds are one-sided, 95 % each;"
        " a gate passes when its bound is beyond the demand."
    )
    yield ""


def _exact() -> Iterator[str]:
    yield "## How often a gate at 99 % passes"
    yield ""
    yield "Reckoned from the binomial distribution, one sample a document."
    yield ""
    yield "| gate | n | may fail | true 97 % | true 98.9 % | true 99.8 % |"
    yield "|---|--:|--:|--:|--:|--:|"
    for name, gate in gates.load().gates.items():
        if gate.at_least != DEMAND:
            continue
        n = sum(MAKERS[task][1] for task in gate.tasks)
        rates = (power.power(n, DEMAND, CONFIDENCE, p) for p in (0.97, 0.989, 0.998))
        shown = " | ".join(f"{rate * 100:.2g} %" for rate in rates)
        yield f"| {name} | {n} | {power.allowed(n, DEMAND, CONFIDENCE)} | {shown} |"
    yield ""


def _clustered(seed: int) -> Iterator[str]:
    yield "## How often a bound on a share holds the truth"
    yield ""
    yield (
        f"{DRAWS:,} data sets a row. Truth is the share with each document weighing"
        " alike. The last row's hard documents have nine times the samples."
    )
    yield ""
    yield "| data | truth | lower bound | upper bound |"
    yield "|---|--:|--:|--:|"
    for kind in KINDS:
        for share in (0.85, 0.95, 0.99):
            row = _cover(kind, share, Random(f"{seed}/{kind.title}/{share}"))  # noqa: S311 -- a simulation
            _say(row.title)
            yield (
                f"| {row.title} | {row.truth * 100:g} % | {row.low * 100:.1f} % |"
                f" {row.high * 100:.1f} % |"
            )
    yield ""


def _cover(kind: Kind, share: float, rng: Random) -> Row:
    low = high = 0
    for _ in range(DRAWS):
        documents = clustered.of(
            {str(i): _document(kind, share, rng) for i in range(kind.documents)}
        )
        # A bound holds the truth when the truth is not ruled out.
        low += clustered.against(documents, share) > 1 - CONFIDENCE
        high += clustered.beyond(documents, share) > 1 - CONFIDENCE
    return Row(kind.title, share, low / DRAWS, high / DRAWS)


def _document(kind: Kind, share: float, rng: Random) -> list[float]:
    """One document's scores: its own share is beta-distributed around the truth."""
    own = share
    if kind.together == 1:
        own = float(rng.random() < share)
    elif kind.together > 0:
        spread = 1 / kind.together - 1
        own = rng.betavariate(share * spread, (1 - share) * spread)
    return [float(rng.random() < own) for _ in range(kind.size(rng, own))]


def _ratios(seed: int) -> Iterator[str]:
    yield "## How often a bound on the ratio of tokens holds the truth"
    yield ""
    yield (
        f"{RATIO_DRAWS:,} data sets a row, {ratio.RESAMPLES:,} resamples each; log-ratios"
        " of two samples a document, half of their variance the document's."
    )
    yield ""
    yield "| documents | log-ratios | lower bound | upper bound |"
    yield "|--:|---|--:|--:|"
    for documents in (25, 60, 150):
        for name, draw in (("normal", _normal), ("skewed", _skewed)):
            rng = Random(f"{seed}/{documents}/{name}")  # noqa: S311 -- a simulation
            low, high = _cover_ratio(documents, draw, rng)
            _say(f"{documents} documents, {name}")
            yield f"| {documents} | {name} | {low * 100:.1f} % | {high * 100:.1f} % |"


def _normal(rng: Random) -> float:
    return rng.gauss(0.0, 0.25)


def _skewed(rng: Random) -> float:
    return 0.25 * (rng.expovariate(1.0) - 1)


def _cover_ratio(
    documents: int, draw: Callable[[Random], float], rng: Random
) -> tuple[float, float]:
    low = high = 0
    for _ in range(RATIO_DRAWS):
        pairs: dict[str, list[tuple[float, float]]] = {}
        for i in range(documents):
            own = draw(rng)
            pairs[str(i)] = [(math.exp(own + draw(rng)), 1.0) for _ in range(2)]
        found = ratio.paired(pairs, CONFIDENCE)
        if found is None or found.low is None or found.high is None:
            raise AssertionError("enough documents, and no bounds")
        low += found.low <= 1
        high += found.high >= 1
    return low / RATIO_DRAWS, high / RATIO_DRAWS


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
