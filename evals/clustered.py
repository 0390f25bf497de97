"""Bounds on a share when samples share documents.

What is bounded is the share with each document weighing alike: the mean over documents
of the mean over a document's samples. Documents are taken as drawn independently; what
is inside one may depend on each other in any way.

With one sample a document that is a binomial rate, and the bounds are Clopper and
Pearson's. Otherwise a document is a number between 0 and 1, and the bound comes from a
bet: whoever believes that the mean is at most m and takes bets on the documents at fair
odds loses money in the mean, so a stake that has grown twentyfold is evidence at 5 %
against it (Waudby-Smith and Ramdas, "Estimating means of bounded random variables by
betting", JRSS B 2024). Our stake is spread evenly over `BETS` fixed bets, so that the
order of the documents does not matter.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from evals import statistics
from evals.statistics import BISECTIONS, Interval

BETS: Final = 32
"""Fractions of the stake that are bet: 1/32, 2/32, … all of it."""


class Documents(msgspec.Struct, frozen=True):
    """Scores by document."""

    means: tuple[float, ...]
    single: bool
    """Whether each document has one sample, and its score is 0 or 1."""

    @property
    def n(self) -> int:
        """How many documents."""
        return len(self.means)

    @property
    def share(self) -> float:
        """The estimate, each document weighing alike."""
        return math.fsum(self.means) / self.n

    def flipped(self) -> "Documents":
        """The same with right and wrong exchanged."""
        return Documents(tuple(1 - mean for mean in self.means), self.single)


def grouped(scores: Iterable[tuple[str, float]]) -> Documents:
    """Group pairs of document and score, each from 0 to 1; at least one.

    Raises:
        ValueError: there are none, or a score is no share.
    """
    by_document: dict[str, list[float]] = {}
    for document, score in scores:
        if not 0 <= score <= 1:
            raise ValueError(f"{score} of {document}; 0 to 1 is right")
        by_document.setdefault(document, []).append(score)
    if not by_document:
        raise ValueError("no scores; a share needs at least one")
    return of(by_document)


def of(by_document: Mapping[str, Sequence[float]]) -> Documents:
    """Take documents with their scores."""
    single = all(
        len(scores) == 1 and scores[0] in (0.0, 1.0) for scores in by_document.values()
    )
    means = (math.fsum(scores) / len(scores) for scores in by_document.values())
    # Sums of thirds may pass one by a rounding error.
    return Documents(tuple(min(1.0, max(0.0, mean)) for mean in means), single)


def lower(documents: Documents, confidence: float) -> float:
    """The smallest share that is not ruled out, one-sided."""
    if documents.single:
        return statistics.lower(_ones(documents), documents.n, confidence)
    if documents.share == 0:
        return 0.0
    low, high = 0.0, documents.share
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if against(documents, middle) <= 1 - confidence:
            low = middle
        else:
            high = middle
    return low


def upper(documents: Documents, confidence: float) -> float:
    """The largest share that is not ruled out, one-sided."""
    return 1 - lower(documents.flipped(), confidence)


def interval(documents: Documents, confidence: float) -> Interval:
    """The share with its two-sided bounds."""
    side = (1 + confidence) / 2
    return Interval(
        documents.share, lower(documents, side), upper(documents, side), documents.n
    )


def against(documents: Documents, share: float) -> float:
    """A p-value against "the share is `share` or less", 0 to 1."""
    if share >= 1:
        return 1.0
    if documents.single:
        misses = documents.n - _ones(documents)
        return statistics.at_most(misses, documents.n, 1 - share)
    if share <= 0:
        return 0.0 if documents.share > 0 else 1.0
    return min(1.0, math.exp(-_log_stake(documents.means, share)))


def beyond(documents: Documents, share: float) -> float:
    """A p-value against "the share is `share` or more", 0 to 1."""
    return against(documents.flipped(), 1 - share)


def _ones(documents: Documents) -> int:
    return round(math.fsum(documents.means))


def _log_stake(means: Sequence[float], share: float) -> float:
    """The logarithm of what a stake of 1 has become, betting that the mean is above."""
    # Means of few samples have few values.
    counts = Counter(means)
    grown = [_log_growth(counts, share, bet / BETS) for bet in range(1, BETS + 1)]
    most = max(grown)
    if most == -math.inf:
        return most
    return most + math.log(math.fsum(math.exp(each - most) for each in grown) / BETS)


def _log_growth(counts: Mapping[float, int], share: float, fraction: float) -> float:
    total = 0.0
    for mean, count in counts.items():
        factor = 1 + fraction * (mean / share - 1)
        if factor <= 0:
            return -math.inf
        total += count * math.log(factor)
    return total
