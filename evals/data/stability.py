"""Stability: one document asked in eight ways; the answer must not change."""

from typing import Final

import msgspec

from evals.data.draw import Draw, bare, clean, fill, near_misses, strangers
from evals.data.grounding import sentence
from evals.data.words import Properties, Property, Stability, read
from evals.samples import Expected, Sample
from structured.prompt import AssistInput, ContextItem

VARIANTS: Final = (
    "k=1",
    "k=2",
    "k=4",
    "k=8",
    "long",
    "distractors",
    "shuffled",
    "paraphrase",
)
MOST: Final = 8
WITH: Final = 4
"""Passages of the variants that are not about their number."""
PADDING: Final = 6
"""Sentences added to each passage of `long`: about 420 words in all."""


class _Drawn(msgspec.Struct, frozen=True):
    """A document: its passages under their ids, the answering one at `at`."""

    number: int
    product: str
    asked: Property
    value: str
    fact: ContextItem
    others: tuple[ContextItem, ...]
    misses: tuple[ContextItem, ...]
    padded: tuple[ContextItem, ...]
    shuffled: tuple[ContextItem, ...]
    at: int
    """Where the answer stands among four passages."""
    answer: str


def stability(draw: Draw, count: int) -> tuple[Sample, ...]:
    """`count` documents in each variant; a passage keeps its id in all of them."""
    made: list[Sample] = []
    for number in range(count):
        asked, product = draw.pick(read(Properties).properties), draw.product()

        def make(
            number: int = number, asked: Property = asked, product: str = product
        ) -> tuple[Sample, ...]:
            return _samples(_draw(draw, number, asked, product))

        samples = draw.until(make, lambda made: all(clean(each) for each in made))
        made += [draw.sealed(each, each.variant, product) for each in samples]
    return tuple(made)


def _draw(draw: Draw, number: int, asked: Property, product: str) -> _Drawn:
    pool = read(Properties).properties
    value = draw.value(draw.pick(asked.values))
    ids = draw.ids(MOST + 3)
    draw.rng.shuffle(ids)  # else a counting style would tell which one answers
    text = fill(draw.pick(asked.states), p=product, v=value)
    fact = ContextItem(ids[0], text)
    unasked = [each for each in pool if each is not asked]
    texts = strangers(draw, unasked, product, MOST - 1)
    misses = near_misses(draw, pool, asked, product, 3)
    others = tuple(map(ContextItem, ids[1:MOST], texts))
    at = draw.rng.randrange(WITH)
    four = _around(fact, others[: WITH - 1], at)
    return _Drawn(
        number=number,
        product=product,
        asked=asked,
        value=value,
        fact=fact,
        others=others,
        misses=tuple(map(ContextItem, ids[MOST:], misses)),
        padded=_padded(draw, four),
        shuffled=_shuffled(draw, four),
        at=at,
        answer=sentence(draw, product, asked, value),
    )


def _padded(draw: Draw, four: tuple[ContextItem, ...]) -> tuple[ContextItem, ...]:
    """The same passages, each amid sentences that say nothing."""
    said = draw.rng.sample(read(Stability).padding, PADDING * len(four))
    long: list[ContextItem] = []
    for number, item in enumerate(four):
        sentences = said[number * PADDING : (number + 1) * PADDING]
        sentences.insert(draw.rng.randint(0, PADDING), item.text)
        long.append(ContextItem(item.id, " ".join(sentences)))
    return tuple(long)


def _shuffled(draw: Draw, four: tuple[ContextItem, ...]) -> tuple[ContextItem, ...]:
    """Another order, in which the answer also stands elsewhere than before."""
    turn = draw.rng.randrange(1, len(four))
    return (*four[turn:], *four[:turn])


def _around(
    fact: ContextItem, others: tuple[ContextItem, ...], at: int
) -> tuple[ContextItem, ...]:
    return (*others[:at], fact, *others[at:])


def _samples(drawn: _Drawn) -> tuple[Sample, ...]:
    first, _, third = drawn.asked.asks
    ask, other = (fill(each, p=drawn.product) for each in (first, third))
    four = _around(drawn.fact, drawn.others[: WITH - 1], drawn.at)
    return (
        _sample(drawn, "k=1", ask, (drawn.fact,)),
        _sample(drawn, "k=2", ask, _around(drawn.fact, drawn.others[:1], drawn.at)),
        _sample(drawn, "k=4", ask, four),
        _sample(drawn, "k=8", ask, _around(drawn.fact, drawn.others, drawn.at * 2)),
        _sample(drawn, "long", ask, drawn.padded),
        _sample(drawn, "distractors", ask, _around(drawn.fact, drawn.misses, drawn.at)),
        _sample(drawn, "shuffled", ask, drawn.shuffled),
        _sample(drawn, "paraphrase", other, four),
    )


def _sample(
    drawn: _Drawn, variant: str, ask: str, context: tuple[ContextItem, ...]
) -> Sample:
    return Sample(
        id=f"stability-{drawn.number:04d}-{variant}",
        intent="extract",
        input=AssistInput(ask, context),
        expected=Expected("ok", drawn.answer, (drawn.fact.id,)),
        task="stability",
        document=f"stability-{drawn.number:04d}",
        variant=variant,
        accepted=(bare(drawn.value),),
    )
