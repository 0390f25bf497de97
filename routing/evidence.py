"""Evidence that may be looked at at any time: e-values out of counts.

An e-value's mean is at most 1 while its null hypothesis is true, at whatever moment one
looks; so by Ville's inequality the chance that it *ever* reaches 1/alpha is at most
alpha. Those of counts are means over fixed alternatives k of likelihood ratios,

    E = mean over k of  product over trials i of  P_k(trial i) / P_0(trial i)

and a trial has two ends, a hit or a miss. What a trial is depends on the test:

- a rate (`rate`): a hit is a failure; P_0 is the failure rate of the null.
- a ratio to a control (`ratio`): among the failures of both arms a hit is one of the
  candidate's. With the share p of the units and failure rates whose ratio is r, that
  has the chance p r / (p r + 1 - p), whatever the rates are.
- a share (`share`): among the units a hit is one that got the candidate.

The alternatives stay the same when p or the null changes on the way, so trials of
different stages multiply within each alternative and the counts of a slow stage are
not lost. Source: Ville 1939; Ramdas et al., "Game-theoretic statistics and safe
anytime-valid inference", 2023, for mixtures; Shin, Ramdas, Rinaldo, "E-detectors",
2024, for `Cusum`; Johari et al., "Always valid inference", 2022, for `log_shift`.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import erfc, exp, log, log1p, pi, sqrt
from typing import Final, Literal

import msgspec

Side = Literal["harm", "good", "change"]
"""What is to be proved: that a rate is above its bound, that it is below, or, by a
`Cusum`, that it is above since some moment."""

TIMES: Final[Mapping[Side, tuple[float, ...]]] = {
    "harm": (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0),
    "good": (0.8, 0.6, 0.4, 0.25, 0.1, 0.03),
    "change": (2.0, 3.0, 5.0),
}
TILTED: Final = (0.3, 0.5, 0.7, 0.85, 1 / 0.85, 1 / 0.7, 2.0, 1 / 0.3)
"""Alternatives as multiples of the null: of a rate, of a ratio, of a split's odds."""

LEAST: Final = 50
"""Values of each arm, below which a mean is not taken to be normal."""

WIDTH: Final = 0.05
"""Of the differences of logarithms that `log_shift` is best at."""

MOST: Final = 0.9
"""No alternative is a rate above this."""

_FAR: Final = -30.0


class Odds(msgspec.Struct, frozen=True):
    """Log-likelihood ratios of one trial, for each alternative."""

    hit: tuple[float, ...]
    miss: tuple[float, ...]


class Trials(msgspec.Struct, frozen=True):
    """Counts of trials with the same odds."""

    odds: Odds
    hits: int
    misses: int


def rate(null: float, side: Side) -> Odds:
    """Odds of a failure rate above (harm, change) or below (good) `null`.

    Args:
        null: above 0 and below `MOST`.
        side: what is to be proved.
    """
    return _odds(null, [min(MOST, null * times) for times in TIMES[side]])


def ratio(null: float, side: Side, part: float) -> Odds:
    """Odds of failures that are `null` times as frequent as the control's.

    Args:
        null: ratio of the two failure rates, above 0.
        side: what is to be proved.
        part: the candidate's share of all units, between 0 and 1.
    """
    others = [among(null * times, part) for times in TIMES[side]]
    return _odds(among(null, part), others)


def share(part: float) -> Odds:
    """Odds of units that are split otherwise than by the share `part`, either way."""
    return _odds(part, [among(each, part) for each in TILTED])


def among(times: float, part: float) -> float:
    """Return the candidate's share of all failures, if it fails `times` as often."""
    return part * times / (part * times + 1 - part)


def _odds(null: float, alternatives: Sequence[float]) -> Odds:
    return Odds(
        tuple(log(each / null) for each in alternatives),
        tuple(log1p(-each) - log1p(-null) for each in alternatives),
    )


def log_evidence(trials: Iterable[Trials]) -> float:
    """Return the natural logarithm of E; 0 where there are no trials.

    All of `trials` have alternatives of the same kind and number.
    """
    sums: list[float] = []
    for each in trials:
        more = [
            each.hits * hit + each.misses * miss
            for hit, miss in zip(each.odds.hit, each.odds.miss, strict=True)
        ]
        sums = [a + b for a, b in zip(sums, more, strict=True)] if sums else more
    return log_mean(sums) if sums else 0.0


def log_mean(values: Sequence[float]) -> float:
    """Return the logarithm of the mean of what the values are the logarithms of."""
    most = max(values)
    return most + log(sum(exp(each - most) for each in values) / len(values))


class Cusum(msgspec.Struct, frozen=True):
    """A detector of a change for the worse after a long good time.

    For each alternative, the evidence since the moment that speaks most for it. A
    batch is one step: its order within is unknown, and a change is only looked for
    at its beginning, which can only make the detector slower, never more nervous.
    """

    sums: tuple[float, ...] = ()

    def after(self, trials: Trials) -> "Cusum":
        """The detector after a further batch; itself if that is empty."""
        if not trials.hits and not trials.misses:
            return self
        sums = self.sums or (0.0,) * len(trials.odds.hit)
        return Cusum(
            tuple(
                max(held, 0.0) + trials.hits * hit + trials.misses * miss
                for held, hit, miss in zip(
                    sums, trials.odds.hit, trials.odds.miss, strict=True
                )
            )
        )

    @property
    def log_evidence(self) -> float:
        """Logarithm of the mean over the alternatives.

        The time between two false alarms is on average at least the threshold, in
        trials.
        """
        return log_mean(self.sums) if self.sums else 0.0


class Estimate(msgspec.Struct, frozen=True):
    """A logarithm of a ratio of two means, and the variance of that."""

    value: float
    variance: float

    @property
    def ratio(self) -> float:
        """The ratio itself."""
        return exp(self.value)


def log_ratio(
    candidate: tuple[int, float, float], control: tuple[int, float, float]
) -> Estimate | None:
    """Return the logarithm of the ratio of two means, by the delta method.

    Args:
        candidate: number, sum and sum of squares of positive values.
        control: the same.

    Returns:
        None where an arm has fewer than `LEAST` values, or values all alike in both.
    """
    total = variance = 0.0
    for sign, (n, values, squares) in ((1, candidate), (-1, control)):
        if n < LEAST:
            return None
        mean = values / n
        spread = max(0.0, (squares - n * mean * mean) / (n - 1))
        total += sign * log(mean)
        variance += spread / (n * mean * mean)
    return Estimate(total, variance) if variance else None


def pooled(estimates: Sequence[Estimate]) -> Estimate:
    """Return the mean of at least one estimate, weighted by the inverse variances."""
    weight = sum(1 / each.variance for each in estimates)
    value = sum(each.value / each.variance for each in estimates) / weight
    return Estimate(value, 1 / weight)


def log_shift(
    estimate: Estimate, bound: float, side: Literal["above", "below"]
) -> float:
    """Return the logarithm of the evidence that a mean lies beyond a bound.

    A mixture of normal likelihood ratios over a half-normal of width `WIDTH`; valid at
    any time as far as the estimate is normal, which `LEAST` is for.
    """
    distance = estimate.value - bound if side == "above" else bound - estimate.value
    v, w = estimate.variance, WIDTH * WIDTH
    tail = distance * WIDTH / sqrt(v * (v + w))
    return (
        log(2.0)
        + 0.5 * log(v / (v + w))
        + w * distance * distance / (2 * v * (v + w))
        + _log_normal_cdf(tail)
    )


def _log_normal_cdf(z: float) -> float:
    if z < _FAR:  # erfc is about to be 0: its asymptote
        return -z * z / 2 - log(-z * sqrt(2 * pi))
    return log(erfc(-z / sqrt(2)) / 2)
