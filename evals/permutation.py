"""Permutation tests of "both windows are drawn from the same": PSI and MMD.

If they are, the labels are exchangeable, and the statistic of the true labels is one
among those of shuffled ones: the p-value is exact for any n and any distribution. All
of it is pure Python.
"""

import itertools
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from random import Random  # noqa: TID251 - draws the permutations
from typing import Final

import msgspec

ENOUGH: Final = 20
"""Shuffles that reach the statistic after which a p-value is certain enough."""

BINS: Final = 10

_TIE: Final = 1e-12
"""Sums in another order differ by rounding: as much is no difference."""

Statistic = Callable[[Sequence[bool]], float]
"""Of labels, one an output, true for the reference."""


class Test(msgspec.Struct, frozen=True):
    """A statistic, and how probable one as large is without a difference."""

    value: float
    p_value: float


def test(
    statistics: Mapping[str, Statistic],
    reference: int,
    newest: int,
    draw: Random,
    permutations: int,
) -> dict[str, Test]:
    """Compare the true labels with shuffled ones, the same for each statistic.

    p = (1 + as large) / (1 + permutations), which is never nought (Phipson and Smyth
    2010). A statistic is done with once `ENOUGH` were as large: then p = as large /
    drawn, and the test stays valid (Besag and Clifford 1991).

    Args:
        statistics: by name; each is large where the windows differ.
        reference: how many outputs it has; they come first.
        newest: how many the newest has.
        draw: gives the permutations.
        permutations: at most so many.
    """
    labels = [True] * reference + [False] * newest
    seen = {name: statistic(labels) for name, statistic in statistics.items()}
    large = dict.fromkeys(statistics, 0)
    found: dict[str, Test] = {}
    for drawn in range(1, permutations + 1):
        draw.shuffle(labels)
        for name in statistics.keys() - found.keys():
            least = seen[name] - _TIE * max(1.0, abs(seen[name]))
            large[name] += statistics[name](labels) >= least
            if large[name] == ENOUGH:
                found[name] = Test(seen[name], ENOUGH / drawn)
        if len(found) == len(statistics):
            break
    return {
        name: found.get(name, Test(seen[name], (large[name] + 1) / (permutations + 1)))
        for name in statistics
    }


def psi(weights: Sequence[Sequence[float]]) -> Statistic:
    """Population stability index: sum over bins of (p - q) ln(p / q).

    Siddiqi, Credit Risk Scorecards (2006); the symmetric divergence of Jeffreys. Half
    a count is added to each bin, so that an empty one is not infinitely far.

    Args:
        weights: for each bin, how much of each output is in it.
    """
    totals = [math.fsum(weight) for weight in weights]
    everything, extra = math.fsum(totals), 0.5 * len(totals)

    def statistic(labels: Sequence[bool]) -> float:
        ours = [sum(itertools.compress(weight, labels)) for weight in weights]
        mine = sum(ours)
        p_all, q_all = mine + extra, everything - mine + extra
        found = 0.0
        for count, total in zip(ours, totals, strict=True):
            p, q = (count + 0.5) / p_all, (total - count + 0.5) / q_all
            found += (p - q) * math.log(p / q)
        return found

    return statistic


def bins(values: Sequence[float | None]) -> list[list[float]]:
    """Sort numbers into deciles of all of them together; None into a bin of its own.

    The bins are of both windows, not of the reference as is usual: bins that depend on
    the labels would have to be drawn anew for each permutation.
    """
    known = [value for value in values if value is not None]
    cuts: list[float] = []
    if len(known) > 1:
        cuts = sorted(set(statistics.quantiles(known, n=BINS, method="inclusive")))
    places = [
        -1 if value is None else sum(cut <= value for cut in cuts) for value in values
    ]
    return categories(places)


def categories(values: Sequence[object]) -> list[list[float]]:
    """Return a bin for each value that occurs."""
    kinds = list(dict.fromkeys(values))
    return [[float(value == kind) for value in values] for kind in kinds]


def mmd(points: Sequence[Sequence[float]]) -> Statistic:
    """Maximum mean discrepancy squared, unbiased, with a Gaussian kernel.

    Gretton et al., "A Kernel Two-Sample Test", JMLR 13 (2012), lemma 6: the mean of
    k(x, x') and of k(y, y') over pairs of different points, less twice that of k(x, y);
    k(x, y) = exp(-|x - y|^2 / 2 s^2), s the median distance of all points together
    (section 8). An estimate without bias may be below nought.
    """
    below = _kernel(points)
    sums = _sums(below)
    everything = math.fsum(sums)

    def statistic(labels: Sequence[bool]) -> float:
        m = sum(labels)
        n = len(labels) - m
        # Inner pairs of the first alone are summed; the rest follows from the rows'
        # sums. `compress` ends with the row, before the diagonal.
        inner = 2 * sum(
            sum(itertools.compress(row, labels))
            for row in itertools.compress(below, labels)
        )
        between = sum(itertools.compress(sums, labels)) - inner
        other = everything - inner - 2 * between
        return inner / (m * (m - 1)) + other / (n * (n - 1)) - 2 * between / (m * n)

    return statistic


def _kernel(points: Sequence[Sequence[float]]) -> list[list[float]]:
    """The kernel of each point with those before it."""
    far = [
        [math.dist(point, points[j]) for j in range(i)]
        for i, point in enumerate(points)
    ]
    # Where most outputs are alike the median itself would be nought.
    apart = [distance for row in far for distance in row if distance]
    scale = (2 * statistics.median(apart) ** 2 if apart else 0.0) or 1.0
    return [[math.exp(-each * each / scale) for each in row] for row in far]


def _sums(below: Sequence[Sequence[float]]) -> list[float]:
    """Of each point with all others, itself left out."""
    sums = [math.fsum(row) for row in below]
    for row in below:
        for j, value in enumerate(row):
            sums[j] += value
    return sums
