"""Make the examples of a split from its words.

What is taught is behaviour: answer from the passages, cite the ids that were used,
say `uncertain` when they lack the answer, refuse what is not allowed. Products and
values are invented and drawn, so no answer can be known without its context.

All chance comes from one generator, seeded per split; the same split, count and seed
give the same bytes on every machine.
"""

from random import Random  # noqa: TID251 - draws examples; nobody is bucketed by it
from typing import Final, Literal

from training.data.draw import Draw
from training.data.held_words import HELD
from training.data.intents import MAKERS
from training.data.train_words import TRAIN
from training.data.vocabulary import Vocabulary
from training.data.wide_words import WIDE
from training.errors import DataError
from training.examples import INTENTS, Example, Intent, Split

VALIDATION_BRANDS: Final = 6
"""Brands kept from training for validation, which shares training's sentences."""

DEFAULT_SEED: Final = 20_261
DEFAULT_COUNTS: Final[dict[Split, int]] = {"train": 800, "val": 60, "test": 400}

TERSE: Final = 0.3
"""Share of answers that give the bare value instead of a sentence. Preference pairs
ask for the same inputs with 0 and with 1, and prefer the terse ones."""

Words = Literal["deep", "wide"]
"""Which training words: few subjects said in many ways, or the reverse."""


def words_of(split: Split, words: Words = "deep") -> tuple[Vocabulary, tuple[str, ...]]:
    """The vocabulary of a split, and the brands that it may use."""
    if split == "test":
        return HELD, HELD.brands
    chosen = WIDE if words == "wide" else TRAIN
    if split == "val":
        return chosen, chosen.brands[-VALIDATION_BRANDS:]
    return chosen, chosen.brands[:-VALIDATION_BRANDS]


def generate(
    split: Split,
    *,
    count: int | None = None,
    seed: int = DEFAULT_SEED,
    terse: float = TERSE,
    words: Words = "deep",
) -> tuple[Example, ...]:
    """Examples of a split, intents in turn, no two with the same input.

    Args:
        split: whose words.
        count: how many; the split's default when None.
        seed: the same seed gives the same inputs, whatever `terse` is.
        terse: share of bare answers, 0 to 1.
        words: which of the training vocabularies; the test split has but one.

    Raises:
        DataError: the words cannot give so many different examples.
    """
    wanted = DEFAULT_COUNTS[split] if count is None else count
    vocabulary, brands = words_of(split, words)
    rng = Random(f"{seed}/{split}{'' if words == 'deep' else words}")  # noqa: S311 - not a secret
    draw = Draw(vocabulary, brands, rng, terse)
    seen: set[tuple[str, ...]] = set()
    examples: list[Example] = []
    attempts = 0
    while len(examples) < wanted:
        attempts += 1
        if attempts > wanted * 50:
            raise DataError(f"{split}: only {len(examples)} different examples exist")
        intent: Intent = INTENTS[len(examples) % len(INTENTS)]
        kind, given, output = MAKERS[intent](draw)
        key = (given.user, *sorted(item.text for item in given.context))
        if key in seen:
            continue
        seen.add(key)
        name = f"{split}-{len(examples):04d}-{intent}-{kind}"
        examples.append(Example(name, intent, split, given, output))
    return tuple(examples)
