"""Passages: what states a property, what merely looks like it, and what says nothing."""

from collections.abc import Sequence
from typing import Final

import msgspec

from training.assistant.draw import Draw, Product, filled, holds
from training.assistant.words import Property

PASSAGES: Final = {1: 13, 2: 20, 3: 22, 4: 18, 5: 9, 6: 7, 8: 11}
"""How many passages an example has, by weight."""
PASSAGES_ABROAD: Final = {1: 22, 2: 36, 3: 27, 4: 15}
"""The same where a word costs twice the tokens."""
_FILLED: Final = 0.2
_LONG: Final = 0.14
_LONG_WORDS: Final = (60, 125)
_LONG_ONES: Final = {1: 45, 2: 25, 3: 20, 4: 10}
"""How many passages are long where any is."""
_SAME_PROPERTY: Final = 0.45
_TRIES: Final = 60


class Stated(msgspec.Struct, frozen=True):
    """A passage, and the value that a hasty reader may take from it."""

    text: str
    value: str


def count(draw: Draw) -> int:
    """How many passages."""
    home = draw.words.brand_first
    return draw.weighed(PASSAGES if home else PASSAGES_ABROAD)


def state(draw: Draw, prop: Property, product: Product) -> Stated:
    """A passage on one property with a drawn value."""
    value = draw.value(draw.rng.choice(prop.values))
    said = draw.deal(f"says {prop.noun}", prop.says)
    return Stated(filled(said, product, value), value)


def also(draw: Draw, product: Product, taken: Sequence[Property]) -> Property | None:
    """Another property of a product, none that could be confused with those taken."""
    nouns = {prop.noun for prop in taken}
    kin = {prop.kin for prop in taken} - {""}
    fit = [
        prop
        for prop in draw.words.properties
        if product.letter in prop.on and prop.noun not in nouns and prop.kin not in kin
    ]
    return draw.rng.choice(fit) if fit else None


def distractors(
    draw: Draw, product: Product, asked: Property, size: int, values: Sequence[str]
) -> list[Stated]:
    """Passages that do not answer: neither do they hold any of the values.

    They state the asked property of another product, or other properties of the
    product, or both.
    """
    found: list[Stated] = []
    taken = [asked]
    for _ in range(_TRIES):
        if len(found) == size:
            break
        one = _distractor(draw, product, asked, taken)
        texts = [other.text for other in found]
        if one.text not in texts and not any(holds(one.text, v) for v in values):
            found.append(one)
    return found


def _distractor(
    draw: Draw, product: Product, asked: Property, taken: list[Property]
) -> Stated:
    other = draw.other(product)
    if draw.chance(_SAME_PROPERTY):
        return state(draw, asked, other)
    prop = also(draw, product, taken)
    if prop is None:
        return state(draw, asked, other)
    if draw.chance(0.65):
        taken.append(prop)
        return state(draw, prop, product)
    return state(draw, prop, other)


def padded(draw: Draw, texts: Sequence[str]) -> list[str]:
    """The passages, some with sentences beside them that say nothing."""
    done = [_beside(draw, text) if draw.chance(_FILLED) else text for text in texts]
    if draw.words.brand_first and draw.chance(_LONG):
        ones = min(len(done), draw.weighed(_LONG_ONES))
        for place in draw.rng.sample(range(len(done)), ones):
            words = draw.rng.randrange(*_LONG_WORDS)
            for _ in draw.words.fillers:
                if len(done[place].split()) < words:
                    done[place] = _beside(draw, done[place])
    return done


def _beside(draw: Draw, text: str) -> str:
    filler = draw.deal("filler", draw.words.fillers)
    if filler in text:
        return text
    return f"{text} {filler}" if draw.chance(0.5) else f"{filler} {text}"
