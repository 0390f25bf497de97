"""Exact intervals: nothing here leans on a normal approximation.

A rate of 150 out of 150 is the ordinary case for a good tune, and it is where the
textbook interval (p ± 2 standard errors) has length nought. The binomial bounds are
those of Clopper and Pearson (1934); the quantile bounds are order statistics, which
hold for any continuous distribution (David and Nagaraja, Order Statistics, 7.1).
"""

import bisect
import math
from collections.abc import Sequence
from typing import Final

import msgspec

CONFIDENCE: Final = 0.95
BISECTIONS: Final = 60
"""Halvings of [0, 1]: more than a double has digits."""


class Interval(msgspec.Struct, frozen=True):
    """A point estimate and its two-sided bounds; `high` is None when n is too small."""

    point: float
    low: float | None
    high: float | None
    n: int


def upper(failures: int, n: int, confidence: float = CONFIDENCE) -> float:
    """The largest rate that `failures` out of `n` do not rule out, one-sided.

    The p that solves P(X ≤ failures | n, p) = 1 - confidence.
    """
    _check(failures, n)
    if failures == n:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if at_most(failures, n, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def lower(successes: int, n: int, confidence: float = CONFIDENCE) -> float:
    """The smallest rate that `successes` out of `n` do not rule out, one-sided."""
    return 1 - upper(n - successes, n, confidence)


def rate(successes: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """A rate with its two-sided Clopper-Pearson bounds."""
    side = (1 + confidence) / 2
    low, high = lower(successes, n, side), upper(successes, n, side)
    return Interval(successes / n, low, high, n)


def quantile(
    values: Sequence[float], q: float, confidence: float = CONFIDENCE
) -> Interval:
    """A quantile (the smallest value with at least q at or below it) and its bounds.

    A bound is None where no order statistic reaches the confidence: with fewer than
    72 values nothing observed is above the 95th percentile with enough certainty.
    """
    if not values:
        raise ValueError("no values; a quantile needs at least one")
    ordered, n, tail = sorted(values), len(values), (1 - confidence) / 2
    point = ordered[max(0, math.ceil(n * q - 1e-9) - 1)]
    ranks = range(1, n + 1)
    # X(i) > quantile when fewer than i values lie at or below it: P(B ≤ i - 1).
    i = bisect.bisect_right(ranks, tail, key=lambda rank: at_most(rank - 1, n, q))
    # X(j) < quantile when at least j values lie below it: 1 - P(B ≤ j - 1).
    j = bisect.bisect_left(ranks, 1 - tail, key=lambda rank: at_most(rank - 1, n, q))
    low = ordered[i - 1] if i else None
    high = ordered[j] if j < n else None
    return Interval(point, low, high, n)


def at_most(k: int, n: int, p: float) -> float:
    """P(X ≤ k) for X binomial(n, p), summed in logarithms from the smaller side."""
    if k < 0:
        return 0.0
    if k >= n or p <= 0:
        return 1.0
    if p >= 1:
        return 0.0
    if k > n * p:
        return 1 - _sum(k + 1, n, n, p)
    return _sum(0, k, n, p)


def _sum(first: int, last: int, n: int, p: float) -> float:
    """P(first ≤ X ≤ last)."""
    log_p, log_q = math.log(p), math.log1p(-p)
    return min(
        1.0,
        math.fsum(
            math.exp(
                math.lgamma(n + 1)
                - math.lgamma(i + 1)
                - math.lgamma(n - i + 1)
                + i * log_p
                + (n - i) * log_q
            )
            for i in range(first, last + 1)
        ),
    )


def _check(k: int, n: int) -> None:
    if n < 1 or not 0 <= k <= n:
        raise ValueError(f"{k} out of {n}; 0 ≤ k ≤ n and n ≥ 1 are right")
