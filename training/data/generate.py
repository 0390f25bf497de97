"""Make the examples of a split from its words.

What is taught is behaviour: answer from the passages, cite the ids that were used,
say `uncertain` when they lack the answer, refuse what is not allowed. Products and
values are invented and drawn, so no answer can be known without its context.

All chance comes from one generator, seeded per split; the same split, count and seed
give the same bytes on every machine.
"""

import re
from random import Random  # noqa: TID251 - draws examples; nobody is bucketed by it
from typing import Final, Literal

from structured.prompt import AssistInput, ContextItem
from training.data.held_words import HELD
from training.data.train_words import TRAIN
from training.data.vocabulary import Vocabulary
from training.data.wide_words import WIDE
from training.errors import DataError
from training.examples import INTENTS, Example, Intent, Output, Split

VALIDATION_BRANDS: Final = 6
"""Brands kept from training for validation, which shares training's sentences."""

DEFAULT_SEED: Final = 20_261
DEFAULT_COUNTS: Final[dict[Split, int]] = {"train": 800, "val": 60, "test": 400}

TERSE: Final = 0.3
"""Share of answers that give the bare value instead of a sentence. Preference pairs
ask for the same inputs with 0 and with 1, and prefer the terse ones."""

_RANGE: Final = re.compile(r"<(\d+)-(\d+)>")


class Draw:
    """One example's choices: words of a split, and the chance to pick from them."""

    def __init__(
        self, words: Vocabulary, brands: tuple[str, ...], rng: Random, share: float
    ) -> None:
        self.words = words
        self.brands = brands
        self.rng = rng
        self._share = share

    def pick(self, options: tuple[str, ...]) -> str:
        """One of the options."""
        return self.rng.choice(options)

    def chance(self, share: float) -> bool:
        """True in `share` of the cases."""
        return self.rng.random() < share

    def terse(self) -> bool:
        """Whether this answer gives the bare value; costs one draw at any share."""
        return self.chance(self._share)

    def product(self) -> str:
        """A product, brand and kind."""
        return f"{self.pick(self.brands)} {self.pick(self.words.kinds)}"

    def products(self, count: int) -> list[str]:
        """Different products."""
        brands = self.rng.sample(self.brands, count)
        return [f"{brand} {self.pick(self.words.kinds)}" for brand in brands]

    def value(self, pattern: str) -> str:
        """A pattern with each `<lo-hi>` replaced by a number from that range."""
        return _RANGE.sub(
            lambda match: str(self.rng.randint(int(match[1]), int(match[2]))), pattern
        )

    def ids(self, count: int) -> list[str]:
        """Different ids in one style."""
        style = self.pick(self.words.id_styles)
        if "{n}" in style:
            return [style.replace("{n}", str(n + 1)) for n in range(count)]
        digits = int(style[style.index("{") + 1])
        numbers = self.rng.sample(range(10 ** (digits - 1), 10**digits), count)
        stem = style[: style.index("{")]
        return [f"{stem}{number}" for number in numbers]

    def system(self) -> str | None:
        """Now and then a system text of the request's own."""
        return (
            self.pick(self.words.systems)
            if self.chance(self.words.own_system)
            else None
        )

    def context(self, texts: list[str]) -> tuple[ContextItem, ...]:
        """Passages under ids, in the given order."""
        return tuple(
            ContextItem(id=name, text=text)
            for name, text in zip(self.ids(len(texts)), texts, strict=True)
        )

    def shuffled(
        self, used: list[str], others: list[str]
    ) -> tuple[tuple[ContextItem, ...], tuple[str, ...]]:
        """A context of all texts in random order, and the ids of the used ones."""
        texts = [*used, *others]
        self.rng.shuffle(texts)
        context = self.context(texts)
        return context, tuple(item.id for item in context if item.text in used)


Made = tuple[str, AssistInput, Output]
"""Kind, input, output."""


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
    from training.data.intents import MAKERS  # noqa: PLC0415 - it builds on Draw

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
