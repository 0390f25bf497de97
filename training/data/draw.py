"""One example's choices: the words of a split, and the chance to pick from them."""

import re
from random import Random  # noqa: TID251 - draws examples; nobody is bucketed by it
from typing import Final

from structured.prompt import AssistInput, ContextItem
from training.data.vocabulary import Vocabulary
from training.examples import Output

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
