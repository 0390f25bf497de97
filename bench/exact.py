"""The exact chance that evidence ever reaches its threshold, by dynamic programming."""

from math import log

import numpy as np

from routing.evidence import Odds, Trials, log_evidence


def ever(odds: Odds, hit: float, alpha: float, looks: int) -> float:
    """Return the chance that E >= 1 / alpha at any of so many looks.

    The state is the number of hits so far; those numbers that have reached the
    threshold are taken out. The logarithm of E is convex in the hits, so those that
    have not are an interval, and either end of it only grows with the trials.

    Args:
        odds: of one trial.
        hit: the true chance of a hit.
        alpha: the chance that is meant to be the most.
        looks: trials, with a look after each.
    """
    threshold = -log(alpha)

    def reached(hits: int, trials: int) -> bool:
        return log_evidence([Trials(odds, hits, trials - hits)]) >= threshold

    chances = np.array([1.0])
    crossed, low, high = 0.0, 0, 1
    for trials in range(1, looks + 1):
        chances = np.append(chances, 0.0) * (1 - hit) + np.append(0.0, chances) * hit
        while low <= trials and reached(low, trials):
            low += 1
        high = max(high, low)
        while high <= trials and not reached(high, trials):
            high += 1
        crossed += float(chances[:low].sum() + chances[high:].sum())
        chances[:low] = 0.0
        chances = chances[:high]
    return crossed
