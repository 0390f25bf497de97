"""Features of outputs: what drift is looked for in.

No right answer is needed for any of them, so that they can be taken of production's
outputs as of the suite's answers.
"""

import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from evals.answers import Answer
from evals.scorers.style import reading_grade

BUCKETS: Final = 64
"""Into so many numbers the n-grams of a text are hashed."""

N: Final = 3
"""Characters of an n-gram."""

_BLANKS: Final = re.compile(r"\s+")

Vector = tuple[float, ...]


class Feature(msgspec.Struct, frozen=True):
    """One property of an output; a number, or the name of a category."""

    name: str
    of: Callable[[Answer], float | str | None]
    """None: this output has none, as one that was not delivered has no words."""


def digits(text: str) -> float:
    """The share of digits among the characters that are not blank."""
    shown = [character for character in text if not character.isspace()]
    return sum(map(str.isdigit, shown)) / len(shown) if shown else 0.0


FEATURES: Final = (
    Feature("words", lambda a: None if a.text is None else len(a.text.split())),
    Feature("tokens", lambda a: a.completion_tokens),
    Feature("citations", lambda a: None if a.text is None else len(a.citations)),
    Feature("status", lambda a: a.status or "none"),
    Feature("verdict", lambda a: a.verdict),
    Feature(
        "reading_level", lambda a: None if a.text is None else reading_grade(a.text)
    ),
    Feature("digits", lambda a: None if a.text is None else digits(a.text)),
)

NGRAMS: Final = "ngrams"
"""The name of what `hashed` gives, among the features."""


def hashed(text: str) -> Counter[int]:
    """Count a text's character n-grams by bucket.

    Hashing without a vocabulary: Weinberger et al. 2009. CRC-32 gives the same buckets
    in each process, which Python's own hash does not.
    """
    plain = f" {_BLANKS.sub(' ', text.casefold()).strip()} "
    grams = (plain[i : i + N] for i in range(len(plain) - N + 1))
    return Counter(zlib.crc32(gram.encode()) % BUCKETS for gram in grams)


def vectors(answers: Sequence[Answer]) -> list[Vector]:
    """All features of each output as one vector, comparable across these outputs.

    A number counts by its logarithm, and stands at the mean where an output has none; a
    category is a 1 in a column of its own; n-grams are shares, scaled to length 1. Each
    feature is then scaled to a total variance of 1 over all outputs, so that none
    drowns the others for its unit or for how many columns it takes.
    """
    size = range(len(answers))
    columns: list[list[float]] = []
    for feature in FEATURES:
        values = [feature.of(answer) for answer in answers]
        if any(isinstance(value, str) for value in values):
            kinds = sorted({str(value) for value in values})
            block = [[float(value == kind) for value in values] for kind in kinds]
        else:
            block = [_logarithms(values)]
        columns += _scaled(block)
    texts = [_unit(hashed(answer.text or "")) for answer in answers]
    columns += _scaled([[text[bucket] for text in texts] for bucket in range(BUCKETS)])
    return [tuple(column[i] for column in columns) for i in size]


def _logarithms(values: Sequence[float | str | None]) -> list[float]:
    logs = [
        None if v is None else math.copysign(math.log1p(abs(float(v))), float(v))
        for v in values
    ]
    known = [value for value in logs if value is not None]
    mean = math.fsum(known) / len(known) if known else 0.0
    return [mean if value is None else value for value in logs]


def _scaled(block: list[list[float]]) -> list[list[float]]:
    """Divide by the standard deviation of all columns together, where there is one."""
    variance = math.fsum(map(_variance, block))
    scale = math.sqrt(variance) or 1.0
    return [[value / scale for value in column] for column in block]


def _variance(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values) / len(values)


def _unit(counts: Counter[int]) -> Vector:
    length = math.sqrt(sum(count * count for count in counts.values())) or 1.0
    return tuple(counts[bucket] / length for bucket in range(BUCKETS))
