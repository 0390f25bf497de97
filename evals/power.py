"""How many samples a gate takes, and how often it passes when it should."""

from typing import Final

from evals import statistics

NEARER: Final = 0.8
"""A tune that is worth shipping has gone this much of the way from the demand to
perfection: 99.8 % where 99 % is asked. docs/eval-gates.md shows the power at such a one."""


def worth_shipping(demand: float) -> float:
    """The true share at which a gate of `demand` should pass."""
    return demand + NEARER * (1 - demand)


def allowed(n: int, demand: float, confidence: float) -> int:
    """How many failures of n still prove the demand; -1 when not even none does."""
    failures = -1
    while (
        failures + 1 < n and statistics.lower(n - failures - 1, n, confidence) >= demand
    ):
        failures += 1
    return failures


def power(n: int, demand: float, confidence: float, true: float) -> float:
    """How often a gate with n independent samples passes at a true share."""
    failures = allowed(n, demand, confidence)
    return 0.0 if failures < 0 else statistics.at_most(failures, n, 1 - true)
