"""Chance: what a maker of samples draws, and how it puts a sample together."""

import datetime as dt
import re
from collections.abc import Callable, Iterable, Sequence
from random import Random  # noqa: TID251 - draws samples; nobody is bucketed by it
from typing import Final, TypeVar

import msgspec

from evals.data.words import Entities, Property, read
from evals.errors import SetupError
from evals.samples import Provenance, Sample
from structured.prompt import ContextItem

_RANGE: Final = re.compile(r"<(\d+)-(\d+)>")
_DIGITS: Final = re.compile(r"\{(\d)\}")
_BEFORE_VOWEL: Final = re.compile(r"\b([Aa]) (?=[AEIOU])")
_FIRST_DAY: Final = dt.date(2026, 12, 1)
_DAYS: Final = 90
_TRIES: Final = 200
T = TypeVar("T")


class Deck:
    """Options in random order; none comes again before all have come."""

    def __init__(self, rng: Random, options: Iterable[str]) -> None:
        self._rng = rng
        self._options = tuple(options)
        self._left: list[str] = []

    def next(self) -> str:
        """The next option."""
        if not self._left:
            self._left = list(self._options)
            self._rng.shuffle(self._left)
        return self._left.pop()


class Draw:
    """The choices of one task: one generator, so one seed gives the same samples."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.entities = read(Entities)
        names = (f"{b} {k}" for b in self.entities.brands for k in self.entities.kinds)
        self._products = Deck(rng, names)
        self._people = Deck(rng, self.entities.people)

    def pick(self, options: Sequence[T]) -> T:
        """One of the options."""
        return self.rng.choice(options)

    def chance(self, share: float) -> bool:
        """True in `share` of the cases."""
        return self.rng.random() < share

    def deck(self, options: Iterable[str]) -> Deck:
        """The options in an order of this generator."""
        return Deck(self.rng, options)

    def product(self) -> str:
        """A product that was not drawn before, as long as there are any."""
        return self._products.next()

    def other(self, product: str) -> str:
        """Any product of another brand, so that no passage is ambiguous."""
        brands = [b for b in self.entities.brands if not product.startswith(b)]
        return f"{self.pick(brands)} {self.pick(self.entities.kinds)}"

    def person(self) -> str:
        """A person."""
        return self._people.next()

    def value(self, pattern: str) -> str:
        """A pattern with each `<lo-hi>` replaced by a number of that range."""
        return _RANGE.sub(
            lambda match: str(self.rng.randint(int(match[1]), int(match[2]))), pattern
        )

    def ids(self, count: int) -> list[str]:
        """Different ids in one style."""
        style = self.pick(self.entities.id_styles)
        found = _DIGITS.search(style)
        if found is None:
            return [style.replace("{n}", str(n + 1)) for n in range(count)]
        digits = int(found[1])
        numbers = self.rng.sample(range(10 ** (digits - 1), 10**digits), count)
        return [style.replace(found[0], str(number)) for number in numbers]

    def context(self, texts: Sequence[str]) -> tuple[ContextItem, ...]:
        """Passages under ids of one style, in the given order."""
        ids = self.ids(len(texts))
        return tuple(ContextItem(i, text) for i, text in zip(ids, texts, strict=True))

    def shuffled(
        self, used: Sequence[str], others: Sequence[str]
    ) -> tuple[tuple[ContextItem, ...], tuple[str, ...]]:
        """A context of all texts in random order, and the ids of the used ones."""
        texts = [*used, *others]
        self.rng.shuffle(texts)
        context = self.context(texts)
        return context, tuple(item.id for item in context if item.text in used)

    def until(self, make: Callable[[], T], holds: Callable[[T], bool]) -> T:
        """Draw again until it holds; `SetupError` when the words do not allow it."""
        for _ in range(_TRIES):
            made = make()
            if holds(made):
                return made
        raise SetupError(
            f"evals.data: {_TRIES} draws and none fit; the words contradict each other"
        )

    def sealed(self, sample: Sample, template: str, entity: str) -> Sample:
        """The sample with where it comes from; its date is drawn like the rest."""
        day = _FIRST_DAY + dt.timedelta(days=self.rng.randrange(_DAYS))
        origin = Provenance(
            "evals.data", "Apache-2.0", template, entity, day.isoformat()
        )
        return msgspec.structs.replace(sample, provenance=origin)


def fill(text: str, **slots: str) -> str:
    """Each `{name}` replaced by its word; `a` becomes `an`, a first letter a capital.

    An `{id}` in front stays as it is: `Entry1` is no id of the context.
    """
    named = text.startswith("{id}")
    for name, word in slots.items():
        text = text.replace(f"{{{name}}}", word)
    text = _BEFORE_VOWEL.sub(r"\1n ", text)
    return text if named else upper(text)


def upper(text: str) -> str:
    """The same text with a capital first letter."""
    return text[:1].upper() + text[1:]


def bare(value: str) -> str:
    """A value as an answer has to hold it: without its article."""
    return re.sub(r"^(the|an?) ", "", value)


def statement(draw: Draw, asked: Property, product: str, value: str) -> str:
    """A passage that states one property; now and then with a sentence beside it."""
    text = fill(draw.pick(asked.states), p=product, v=value)
    if not draw.chance(0.3):
        return text
    filler = draw.pick(draw.entities.fillers)
    return f"{text} {filler}" if draw.chance(0.5) else f"{filler} {text}"


def near_misses(
    draw: Draw, pool: Sequence[Property], asked: Property, product: str, count: int
) -> list[str]:
    """Passages that do not answer, each with a property of its own.

    They state another property of the product or, which is harder, the asked
    property of another product.
    """
    texts: list[str] = []
    for other in draw.rng.sample([p for p in pool if p is not asked], count):
        roll = draw.rng.random()
        stated = asked if roll < 0.45 else other  # noqa: PLR2004 - a share of the kinds
        about = product if roll > 0.65 else draw.other(product)  # noqa: PLR2004 - as above
        texts.append(
            statement(draw, stated, about, draw.value(draw.pick(stated.values)))
        )
    return texts


def strangers(
    draw: Draw, pool: Sequence[Property], product: str, count: int
) -> list[str]:
    """Passages on other products, each with a property of its own."""
    texts: list[str] = []
    for other in draw.rng.sample(pool, count):
        found = draw.value(draw.pick(other.values))
        texts.append(statement(draw, other, draw.other(product), found))
    return texts


def clean(sample: Sample) -> bool:
    """Whether the accepted values point to the cited passages, and nowhere else.

    Each value is in a cited passage, each cited passage holds one, no other does;
    and no two passages are the same text.
    """
    context, cited = sample.input.context, set(sample.expected.citations)
    values = [value.casefold() for value in sample.accepted]
    texts = {item.id: item.text.casefold() for item in context}
    holding = {name for name, text in texts.items() if any(v in text for v in values)}
    everywhere = " ".join(texts.values())
    return (
        holding == cited
        and all(value in everywhere for value in values)
        and len(set(texts.values())) == len(context)
    )
