"""One example's choices, and the small things that any example is made of."""

import re
from collections.abc import Sequence
from random import Random  # noqa: TID251 - draws examples; nobody is bucketed by it
from typing import Final, TypeVar

import msgspec

from structured.prompt import AssistInput, ContextItem
from training.assistant.words import Words
from training.examples import Output

_RANGE: Final = re.compile(r"<(\d+)-(\d+)>")
_SLOT: Final = re.compile(r"\{([n\dh])\}")
_BARE_ID: Final = re.compile(r"[\dn{}]+b?")
OWN_SYSTEM: Final = 0.1
_COUNTING: Final = 0.4
_MIXED: Final = 0.08
_Any = TypeVar("_Any")


class Product(msgspec.Struct, frozen=True):
    """What an example is about."""

    letter: str
    """Of its kind: device, service, place, writing, event."""
    name: str
    """As it stands in a sentence; beside English with its article."""
    brand: str
    kind: str
    model: str = ""


class Fact(msgspec.Struct, frozen=True):
    """A value, and the passages of the context that state it."""

    value: str
    texts: tuple[str, ...]


class Made(msgspec.Struct, frozen=True):
    """An example with what is known of it."""

    kind: str
    input: AssistInput
    output: Output
    facts: tuple[Fact, ...] = ()
    """What was asked for, stated or missing."""
    wrong: tuple[tuple[str, str], ...] = ()
    """Ids of passages that do not answer, each with a value from it."""


class Draw:
    """Draws from the words of one split and language."""

    def __init__(self, words: Words, rng: Random) -> None:
        self.words = words
        self.rng = rng
        self._decks: dict[str, list[object]] = {}

    def deal(self, name: str, options: Sequence[_Any]) -> _Any:
        """One of the options; each comes once before any comes twice."""
        deck = self._decks.setdefault(name, [])
        if not deck:
            deck += self.rng.sample(options, len(options))
        return deck.pop()  # pyright: ignore[reportReturnType] - of the options it was filled with

    def chance(self, share: float) -> bool:
        """True in `share` of the cases."""
        return self.rng.random() < share

    def weighed(self, options: dict[int, int]) -> int:
        """One of the numbers, by weight."""
        return self.rng.choices(list(options), list(options.values()))[0]

    def value(self, pattern: str) -> str:
        """A pattern with each `<lo-hi>` replaced by a number of that range."""
        return _RANGE.sub(
            lambda match: str(self.rng.randint(int(match[1]), int(match[2]))), pattern
        )

    def product(self, letters: str) -> Product:
        """A product of one of the kinds."""
        letter = self.rng.choice([one for one in letters if one in self.words.kinds])
        kind = self.deal(f"kind {letter}", self.words.kinds[letter])
        brand = self.deal("brand", self.words.brands)
        model = self._model() if self.chance(0.15) and letter in "DS" else ""
        return self._named(letter, brand, kind, model)

    def other(self, product: Product) -> Product:
        """Another product; often one that a hasty reader takes for the first."""
        roll = self.rng.random()
        brand, kind, model = product.brand, product.kind, product.model
        if model and roll < 0.5:  # noqa: PLR2004 - a share
            while model == product.model:
                model = self._model()
            return self._named(product.letter, brand, kind, model)
        others = [k for k in self.words.kinds[product.letter] if k != kind]
        if others and roll < 0.25:  # noqa: PLR2004 - a share
            return self._named(product.letter, brand, self.rng.choice(others), "")
        brand = self.rng.choice([b for b in self.words.brands if b != brand])
        if others and self.chance(0.5):
            kind = self.rng.choice(others)
        return self._named(product.letter, brand, kind, model)

    def system(self) -> str | None:
        """Now and then a system text of the request's own."""
        if not self.chance(OWN_SYSTEM):
            return None
        return self.deal("system", self.words.systems)

    def context(
        self, texts: Sequence[str], *, spoken: bool = False
    ) -> tuple[ContextItem, ...]:
        """Passages under ids, in the given order.

        Args:
            texts: the passages.
            spoken: the request names ids, so a bare number will not do.
        """
        styles = self.words.id_styles
        if spoken:
            styles = tuple(s for s in styles if not _BARE_ID.fullmatch(s))
        style = self.rng.choice(styles)
        numbers = self._numbers(len(texts))
        ids: list[str] = []
        mixed = self.chance(_MIXED)
        for number in numbers:
            while (name := self._id(style, number)) in ids:
                pass
            ids.append(name)
            style = self.rng.choice(styles) if mixed else style
        return tuple(
            ContextItem(id=name, text=text)
            for name, text in zip(ids, texts, strict=True)
        )

    def marker(self) -> str:
        """What an order in a passage wants to read in the answer."""
        return self._id(self.rng.choice(self.words.markers), 0)

    def _numbers(self, count: int) -> list[int]:
        """Counting up from 1, or any small numbers in any order."""
        if self.chance(_COUNTING):
            return list(range(1, count + 1))
        return self.rng.sample(range(1, 3 * count + 9), count)

    def _id(self, style: str, number: int) -> str:
        def fill(match: re.Match[str]) -> str:
            what = match[1]
            if what == "n":
                return str(number)
            if what == "h":
                return f"{self.rng.randrange(10, 16):x}{self.rng.randrange(16**3):03x}"
            digits = int(what)
            return str(self.rng.randrange(10 ** (digits - 1), 10**digits))

        return _SLOT.sub(fill, style)

    def _named(self, letter: str, brand: str, kind: str, model: str) -> Product:
        name = f"{brand} {kind}" if self.words.brand_first else f"{kind} {brand}"
        return Product(letter, f"{name} {model}".strip(), brand, kind, model)

    def _model(self) -> str:
        return f"{self.rng.choice('ABCEGKMRTX')}{self.rng.randrange(2, 10)}"


def filled(text: str, product: Product, value: str = "") -> str:
    """A sentence about a product."""
    return upper(text.replace("{p}", product.name).replace("{v}", value))


def told(noun: str, value: str) -> str:
    """A property with its value: `price 30 euros`, but not `port port 8443`."""
    return value if noun.lower() in value.lower() else f"{noun} {value}"


def upper(text: str) -> str:
    """With a capital letter at its beginning."""
    return text[:1].upper() + text[1:]


def holds(text: str, value: str) -> bool:
    """Whether a text has a value in it, as words of its own."""
    return bool(re.search(rf"(?<!\w){re.escape(value.lower())}(?!\w)", text.lower()))
