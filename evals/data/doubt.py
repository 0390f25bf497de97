"""Doubt: fair questions whose answer the context lacks."""

from typing import Final

from evals.data.draw import Draw, fill, near_misses, statement
from evals.data.words import Doubt, Properties, read
from evals.samples import Expected, Sample
from structured.prompt import AssistInput

EMPTY: Final = 12
"""One in so many has no context at all."""
BEYOND: Final = 5
"""One in so many asks for something that is no property of anything."""


def doubt(draw: Draw, count: int) -> tuple[Sample, ...]:
    """Samples to be answered by `uncertain`: near misses, beyond, no context."""
    made: list[Sample] = []
    beyond = draw.deck(read(Doubt).beyond)
    for number in range(count):
        name = f"doubt-{number:04d}"
        if number % BEYOND == BEYOND - 1:
            made.append(_beyond(draw, name, beyond.next()))
        else:
            misses = 0 if number % EMPTY == EMPTY - 1 else draw.pick((1, 2, 2, 3))
            made.append(_missed(draw, name, misses))
    return tuple(made)


def _missed(draw: Draw, name: str, misses: int) -> Sample:
    """The same product's other properties, the same property of other products."""
    words, pool = read(Doubt), read(Properties).properties
    asked, product = draw.pick(pool), draw.product()
    ask = draw.pick(asked.asks)
    texts = near_misses(draw, pool, asked, product, misses)
    context, _ = draw.shuffled([], texts)
    full = fill(words.full, n=asked.noun, p=product)
    answer = words.short if draw.chance(0.5) else full
    return draw.sealed(
        Sample(
            id=name,
            intent="uncertain",
            input=AssistInput(fill(ask, p=product), context),
            expected=Expected("uncertain", answer),
            task="doubt",
            document=name,
            variant="near-miss" if context else "empty",
        ),
        ask,
        product,
    )


def _beyond(draw: Draw, name: str, ask: str) -> Sample:
    """Passages on the product itself, and a question that none of them touches."""
    words, pool = read(Doubt), read(Properties).properties
    product = draw.product()
    texts = [
        statement(draw, stated, product, draw.value(draw.pick(stated.values)))
        for stated in draw.rng.sample(pool, draw.pick((1, 2, 3)))
    ]
    return draw.sealed(
        Sample(
            id=name,
            intent="uncertain",
            input=AssistInput(fill(ask, p=product), draw.context(texts)),
            expected=Expected("uncertain", words.short),
            task="doubt",
            document=name,
            variant="beyond",
        ),
        ask,
        product,
    )
