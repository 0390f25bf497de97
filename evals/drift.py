"""Drift: do two windows of outputs differ, and in what?

Each feature by PSI, and all of them together by MMD, which sees what no single feature
shows. Each has a permutation p-value, and Holm's correction over all of them: where
nothing has changed, the chance of any false alarm in one comparison stays below the
level. It does not say that outputs became worse, nor whether the model or what it was
asked is the cause.
"""

from collections import Counter
from collections.abc import Sequence
from random import Random  # noqa: TID251 - draws the permutations
from typing import Final, Literal

import msgspec

from evals import features, permutation
from evals.answers import Answer
from evals.features import FEATURES, NGRAMS, Feature
from evals.judging import holm

OVERALL: Final = "overall"
LEVEL: Final = 0.05
PERMUTATIONS: Final = 999
LEAST: Final = 20
"""Outputs of a window below which no test is made."""


class Drift(msgspec.Struct, frozen=True):
    """What was found in one feature, or over all."""

    feature: str
    statistic: Literal["psi", "mmd2"]
    value: float
    p_value: float
    adjusted: float
    """Holm's: small where the windows differ, however many features were looked at."""
    says: str
    """What it was, and what it is."""


class Drifts(msgspec.Struct, frozen=True):
    """Two windows, compared."""

    reference: int
    """How many outputs."""
    newest: int
    overall: Drift
    features: tuple[Drift, ...]

    @property
    def every(self) -> tuple[Drift, ...]:
        """The overall one first."""
        return (self.overall, *self.features)

    def found(self, level: float = LEVEL) -> tuple[Drift, ...]:
        """Those that are no chance at a level; the chance of any false one is below."""
        return tuple(drift for drift in self.every if drift.adjusted <= level)


def compare(
    reference: Sequence[Answer],
    newest: Sequence[Answer],
    *,
    seed: int = 0,
    permutations: int = PERMUTATIONS,
) -> Drifts | None:
    """Compare two windows; None where one has fewer than `LEAST` outputs.

    Outputs are taken as independent of each other. A feature that no output has is not
    looked at.

    Args:
        reference: what the newest should be like.
        newest: the window in question.
        seed: of the permutations; one gives the same p-values each time.
        permutations: at most; no p-value is below 1 / (1 + permutations).
    """
    if min(len(reference), len(newest)) < LEAST:
        return None
    both = [*reference, *newest]
    statistics = {
        OVERALL: permutation.mmd(features.vectors(both)),
        **{f.name: permutation.psi(_bins(f, both)) for f in FEATURES if _any(f, both)},
        NGRAMS: permutation.psi(_ngrams(both)),
    }
    draw = Random(seed)  # noqa: S311 -- a shuffle, no secret
    sizes = len(reference), len(newest)
    tests = permutation.test(statistics, *sizes, draw, permutations)
    adjusted = holm({name: each.p_value for name, each in tests.items()})
    says = {f.name: _said(f, reference, newest) for f in FEATURES}
    found = [
        Drift(
            feature=name,
            statistic="mmd2" if name == OVERALL else "psi",
            value=each.value,
            p_value=each.p_value,
            adjusted=adjusted[name],
            says=says.get(name, ""),
        )
        for name, each in tests.items()
    ]
    return Drifts(*sizes, found[0], tuple(found[1:]))


def _any(feature: Feature, answers: Sequence[Answer]) -> bool:
    return any(feature.of(answer) is not None for answer in answers)


def _bins(feature: Feature, answers: Sequence[Answer]) -> list[list[float]]:
    values = [feature.of(answer) for answer in answers]
    numbers = [value for value in values if not isinstance(value, str)]
    if len(numbers) == len(values):
        return permutation.bins(numbers)
    return permutation.categories(values)


def _ngrams(answers: Sequence[Answer]) -> list[list[float]]:
    """Each output counts once, however long it is: its shares, not its counts."""
    counts = [features.hashed(answer.text or "") for answer in answers]
    totals = [each.total() or 1 for each in counts]
    return [
        [each[bucket] / total for each, total in zip(counts, totals, strict=True)]
        for bucket in range(features.BUCKETS)
    ]


def _said(
    feature: Feature, reference: Sequence[Answer], newest: Sequence[Answer]
) -> str:
    before = [feature.of(answer) for answer in reference]
    after = [feature.of(answer) for answer in newest]
    if any(isinstance(value, str) for value in before + after):
        counts = Counter(map(str, before)), Counter(map(str, after))
        shares = {
            kind: (counts[0][kind] / len(before), counts[1][kind] / len(after))
            for kind in counts[0] | counts[1]
        }
        kind = max(shares, key=lambda each: abs(shares[each][1] - shares[each][0]))
        return f"{kind}: {shares[kind][0]:.1%} to {shares[kind][1]:.1%}"
    return f"mean {_mean(before)} to {_mean(after)}"


def _mean(values: Sequence[float | str | None]) -> str:
    numbers = [float(value) for value in values if value is not None]
    return f"{sum(numbers) / len(numbers):.3g}" if numbers else "none"
