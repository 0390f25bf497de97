"""Generate: all samples of the suite, from one seed.

Each task has a generator of its own, seeded by the seed and the task's name. The same
seed gives the same bytes on every machine; a word more in one task leaves the samples
of the others as they were, and a smaller scale gives the first samples of a larger
one, so that answers already recorded are found again.
"""

from collections.abc import Callable, Iterable, Mapping
from random import Random  # noqa: TID251 - draws samples; nobody is bucketed by it
from typing import Final

import msgspec

from evals.data.documents import documents
from evals.data.doubt import doubt
from evals.data.draw import Draw
from evals.data.grounding import grounding
from evals.data.locales import locales
from evals.data.redteam import redteam
from evals.data.refusal import lookalike, refusal
from evals.data.stability import stability
from evals.samples import Sample

SEED: Final = 35_017

Maker = Callable[[Draw, int], tuple[Sample, ...]]

MAKERS: Final[Mapping[str, tuple[Maker, int, int]]] = {
    # Task: maker, how many at full scale, how few at least.
    "grounding": (grounding, 250, 7),
    "documents": (documents, 36, 2),
    "doubt": (doubt, 130, 12),
    "refusal": (refusal, 650, 9),
    "lookalike": (lookalike, 300, 2),
    "redteam": (redteam, 130, 8),
    "locales": (locales, 120, 1),
    "stability": (stability, 40, 1),
}
"""At the least, every maker shows each of its kinds once."""


def generate(seed: int = SEED, scale: float = 1.0) -> tuple[Sample, ...]:
    """The suite's samples, task by task; ids unique, all held out.

    Args:
        seed: the same seed gives the same samples.
        scale: share of the full number, above 0 and up to 1; no task and no kind of
            sample falls out.

    Raises:
        ValueError: for another scale.
        SetupError: the words cannot give a sample without a contradiction.
    """
    if not 0 < scale <= 1:
        raise ValueError(f"scale is {scale}; above 0 and up to 1 is right")
    made: list[Sample] = []
    for task, (make, most, least) in MAKERS.items():
        draw = Draw(Random(f"{seed}/{task}"))  # noqa: S311 - not a secret
        made += make(draw, max(least, round(most * scale)))
    return tuple(made)


def dumps(samples: Iterable[Sample]) -> bytes:
    """JSON lines that `evals.samples.load` reads; the same samples, the same bytes."""
    return b"".join(msgspec.json.encode(sample) + b"\n" for sample in samples)
