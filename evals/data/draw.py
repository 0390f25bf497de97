"""One generator of chance for a task, and what is drawn from the words with it."""

import datetime as dt
import re
from collections.abc import Sequence
from random import Random  # noqa: TID251 - draws samples; nobody is bucketed by it
from typing import Final, TypeVar

from evals.data.words import English, Property
from evals.samples import Provenance
from structured.prompt import ContextItem

T = TypeVar("T")

_RANGE: Final = re.compile(r"<(\d+)-(\d+)>")
_SYLLABLES: Final = (
    "bo",
    "ce",
    "du",
    "fy",
    "ga",
    "hi",
    "jo",
    "ku",
    "lo",
    "my",
    "ne",
    "pa",
)
FIRST_DAY: Final = dt.date(2026, 12, 1)
"""What training has is older than this: the temporal hold-out."""
DAYS: Final = 180


class Draw:
    """Chance for one task."""

    def __init__(self, words: English, seed: int, task: str) -> None:
        self.words = words
        self.rng = Random(f"{seed}/{task}")  # noqa: S311 - not a secret

    def pick(self, options: Sequence[T]) -> T:
        """One of the options."""
        return self.rng.choice(options)

    def chance(self, share: float) -> bool:
        """True in `share` of the cases."""
        return self.rng.random() < share

    def value(self, pattern: str) -> str:
        """A pattern with each `<lo-hi>` replaced by a number from that range."""
        return _RANGE.sub(
            lambda match: str(self.rng.randint(int(match[1]), int(match[2]))), pattern
        )

    def product(self, not_of: str = "") -> str:
        """A product; never of the brand of `not_of`, so that no passage is ambiguous."""
        brands = [b for b in self.words.brands if not not_of.startswith(b)]
        return f"{self.pick(brands)} {self.pick(self.words.kinds)}"

    def secret(self) -> str:
        """A word that occurs nowhere by chance: for baits and markers."""
        stem = "".join(self.rng.choices(_SYLLABLES, k=3))
        return f"{stem}-{self.rng.randint(1000, 9999)}"

    def state(self, what: Property, product: str, value: str) -> str:
        """A passage that states one property; sometimes with a sentence beside it."""
        text = filled(self.pick(what.statements), p=product, v=value)
        if not self.chance(0.25):
            return text
        filler = self.pick(self.words.fillers)
        return f"{text} {filler}" if self.chance(0.5) else f"{filler} {text}"

    def others(self, what: Property, product: str, value: str, count: int) -> list[str]:
        """Passages that do not answer.

        They state another product's same property, or the product's other ones.
        """
        texts: list[str] = []
        pool = [each for each in self.words.properties if each.noun != what.noun]
        for each in self.rng.sample(pool, count):
            if self.chance(0.5):
                texts.append(
                    self.state(what, self.product(product), self.unlike(what, value))
                )
            else:
                texts.append(
                    self.state(each, product, self.value(self.pick(each.values)))
                )
        return texts

    def unlike(self, what: Property, value: str) -> str:
        """Another value of a property: no number in common with `value`."""
        while True:
            other = self.value(self.pick(what.values))
            numbers = set(re.findall(r"\d+", value))
            if other != value and not numbers & set(re.findall(r"\d+", other)):
                return other

    def context(
        self, used: Sequence[str], others: Sequence[str]
    ) -> tuple[tuple[ContextItem, ...], tuple[str, ...]]:
        """Passages in random order, and the ids of the used ones."""
        texts = [*used, *others]
        self.rng.shuffle(texts)
        items = tuple(
            ContextItem(id_, text)
            for id_, text in zip(self.ids(len(texts)), texts, strict=True)
        )
        return items, tuple(item.id for item in items if item.text in used)

    def ids(self, count: int) -> list[str]:
        """Different ids in one style."""
        style = self.pick(self.words.id_styles)
        numbers = self.rng.sample(range(1, 60), count)
        return [style.replace("{n}", str(number)) for number in numbers]

    def origin(self, template: str, entity: str) -> Provenance:
        """Where a made sample comes from."""
        day = FIRST_DAY + dt.timedelta(days=self.rng.randrange(DAYS))
        return Provenance("evals.data", "Apache-2.0", template, entity, day.isoformat())


def filled(text: str, **slots: str) -> str:
    """A sentence with its slots filled, beginning with a capital."""
    for name, word in slots.items():
        text = text.replace(f"{{{name}}}", word)
    return upper(text)


def upper(text: str) -> str:
    """A text with its first letter in upper case."""
    return text[:1].upper() + text[1:]
