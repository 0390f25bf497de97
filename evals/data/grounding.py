"""Grounding: one fact, two facts, a label, a short summary out of two to four passages."""

from typing import Final

from evals.data.draw import (
    Draw,
    bare,
    clean,
    fill,
    near_misses,
    statement,
    strangers,
    upper,
)
from evals.data.words import Notes, Properties, Property, read
from evals.samples import Expected, Sample
from structured.prompt import AssistInput

TERSE: Final = 0.4
"""Share of reference answers that are the bare value; both are the house's style."""


def grounding(draw: Draw, count: int) -> tuple[Sample, ...]:
    """Samples whose answer stands in the context, each about a product of its own."""
    makers = (value, value, summary, value, pair, value, label)
    return tuple(
        makers[number % len(makers)](draw, f"grounding-{number:04d}")
        for number in range(count)
    )


def value(draw: Draw, name: str) -> Sample:
    """A question on one fact; near misses stand beside it."""
    pool = read(Properties).properties
    asked, product = draw.pick(pool), draw.product()
    ask = draw.pick(asked.asks)

    def make() -> Sample:
        found = draw.value(draw.pick(asked.values))
        others = near_misses(draw, pool, asked, product, draw.pick((1, 2, 2, 3)))
        context, ids = draw.shuffled([statement(draw, asked, product, found)], others)
        answer = sentence(draw, product, asked, found)
        return Sample(
            id=name,
            intent="extract",
            input=AssistInput(fill(ask, p=product), context),
            expected=Expected("ok", answer, ids),
            document=name,
            accepted=(bare(found),),
        )

    return draw.sealed(draw.until(make, clean), ask, product)


def pair(draw: Draw, name: str) -> Sample:
    """A question on two facts, which stand in two passages."""
    pool = read(Properties).properties
    product = draw.product()
    ask = draw.pick(read(Notes).pairs)

    def make() -> Sample:
        one, two = draw.rng.sample(pool, 2)
        values = [draw.value(draw.pick(asked.values)) for asked in (one, two)]
        used = [
            statement(draw, asked, product, found)
            for asked, found in zip((one, two), values, strict=True)
        ]
        others = strangers(draw, pool, product, draw.pick((0, 1, 2)))
        context, ids = draw.shuffled(used, others)
        user = fill(ask, p=product, a=one.noun, b=two.noun)
        answer = f"{one.noun} {values[0]}; {two.noun} {values[1]}."
        return Sample(
            id=name,
            intent="extract",
            input=AssistInput(user, context),
            expected=Expected("ok", upper(answer), ids),
            document=name,
            accepted=tuple(bare(found) for found in values),
        )

    return draw.sealed(draw.until(make, clean), ask, product)


def summary(draw: Draw, name: str) -> Sample:
    """All notes on one product in brief; passages on others stay out of it."""
    words = read(Notes)
    product = draw.product()
    ask = draw.pick(words.requests)

    def make() -> Sample:
        notes = draw.rng.sample(words.notes, draw.pick((1, 2)))
        used = [fill(note.text, p=product) for note in notes]
        pool = read(Properties).properties
        others = strangers(draw, pool, product, draw.pick((1, 2)))
        context, ids = draw.shuffled(used, others)
        answer = " ".join(fill(note.core, p=product) for note in notes)
        return Sample(
            id=name,
            intent="summarise",
            input=AssistInput(fill(ask, p=product), context),
            expected=Expected("ok", answer, ids),
            document=name,
            accepted=tuple(key for note in notes for key in note.keys),
        )

    return draw.sealed(draw.until(make, clean), ask, product)


def label(draw: Draw, name: str) -> Sample:
    """One label of those offered, for one passage of several."""
    words = read(Notes)
    texts = draw.pick(words.labels).texts
    offered = list(texts)
    draw.rng.shuffle(offered)
    product = draw.product()
    abouts = [product, *(draw.other(product) for _ in range(draw.pick((1, 2, 3))))]
    kinds = [draw.pick(offered) for _ in abouts]
    context = draw.context(
        [
            fill(draw.pick(texts[kind]), p=about)
            for kind, about in zip(kinds, abouts, strict=True)
        ]
    )
    target = draw.rng.randrange(len(abouts))
    ask = draw.pick(words.sorts)
    offer = f"{', '.join(offered[:-1])} or {offered[-1]}"
    sample = Sample(
        id=name,
        intent="classify",
        input=AssistInput(fill(ask, id=context[target].id, labels=offer), context),
        expected=Expected("ok", upper(f"{kinds[target]}."), (context[target].id,)),
        document=name,
        accepted=(kinds[target],),
    )
    return draw.sealed(sample, ask, abouts[target])


def sentence(draw: Draw, product: str, asked: Property, found: str) -> str:
    """A reference answer: the bare value, or the house's full sentence."""
    if draw.chance(TERSE):
        return upper(f"{found}.")
    return f"The {asked.noun} of the {product} is {found}."
