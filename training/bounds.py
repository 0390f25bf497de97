"""Exact bounds for a share, from the binomial distribution itself."""

import math
from collections.abc import Callable

STEPS = 60
"""Bisections; each halves the error, so this is beyond float's precision."""


def exact_bounds(
    successes: int, n: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Two-sided Clopper-Pearson interval (Biometrika 1934).

    Args:
        successes: 0 to n.
        n: at least 1.
        confidence: of the interval, 0 to 1.
    """
    tail = (1 - confidence) / 2
    lower = (
        0.0
        if successes == 0
        else _solve(lambda p: 1 - _below(successes - 1, n, p), tail, rising=True)
    )
    upper = (
        1.0
        if successes == n
        else _solve(lambda p: _below(successes, n, p), tail, rising=False)
    )
    return lower, upper


def _below(most: int, n: int, p: float) -> float:
    """P(X <= most) for a binomial X."""
    return math.fsum(
        math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(most + 1)
    )


def _solve(chance: Callable[[float], float], wanted: float, *, rising: bool) -> float:
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        if (chance(middle) < wanted) == rising:
            low = middle
        else:
            high = middle
    return (low + high) / 2
