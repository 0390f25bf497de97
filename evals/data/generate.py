"""All tasks of the suite from one seed; the same seed gives the same bytes anywhere."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from evals.data.documents import document
from evals.data.draw import Draw
from evals.data.grounding import doubt, grounding
from evals.data.redteam import attack
from evals.data.refusal import lookalike, refusal
from evals.data.stability import locales, stability
from evals.data.words import Documents, English, Locales, Refusals, read
from evals.samples import Sample

SEED: Final = 20_281
COUNTS: Final = {
    "grounding": 250,
    "documents": 40,
    "doubt": 130,
    "refusal": 650,
    "lookalike": 300,
    "redteam": 130,
    "locales": 60,
    "stability": 40,
}
"""Documents of each task; `locales` asks each in five languages, `stability` in eight
variants. 650 is what a 99 % gate takes to pass a true 99.8 % four times in five, and the
gate on adherence has the first five tasks together."""


class Words(NamedTuple):
    """All words, read once for a run."""

    refusals: Refusals
    locales: Locales
    documents: Documents


Make = Callable[[Draw, Words, int], Iterable[Sample]]
"""The samples of one document of a task."""

MAKERS: Final[Mapping[str, Make]] = {
    "grounding": lambda draw, _, number: [grounding(draw, number)],
    "documents": lambda draw, words, number: [document(draw, words.documents, number)],
    "doubt": lambda draw, _, number: [doubt(draw, number)],
    "refusal": lambda draw, words, number: [refusal(draw, words.refusals, number)],
    "lookalike": lambda draw, words, number: [lookalike(draw, words.refusals, number)],
    "redteam": lambda draw, words, number: [attack(draw, words.refusals, number)],
    "locales": lambda draw, words, number: locales(draw, words.locales, number),
    "stability": lambda draw, _, number: stability(draw, number),
}


def generate(seed: int = SEED, scale: float = 1.0) -> tuple[Sample, ...]:
    """Make the suite's samples, no two with the same input.

    Args:
        seed: of all chance.
        scale: above 0 and up to 1, the share of each task's documents; at least one.
    """
    english = read("english", English)
    words = Words(
        read("refusals", Refusals), read("locales", Locales), read("sqlite", Documents)
    )
    seen: set[object] = set()
    made: list[Sample] = []
    for task, count in COUNTS.items():
        draw = Draw(english, seed, task)
        number, wanted = 0, max(1, round(count * scale))
        while number < wanted:
            together = tuple(MAKERS[task](draw, words, number))
            inputs = {sample.input for sample in together}
            if inputs & seen:
                continue
            seen |= inputs
            made += together
            number += 1
    return tuple(made)
