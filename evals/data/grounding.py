"""Tasks `grounding` and `doubt`: answer from the passages, or say that they lack it."""

from typing import Final

import msgspec

from evals.data.draw import Draw, filled, upper
from evals.samples import Expected, Sample
from structured.prompt import AssistInput, ContextItem

TERSE: Final = 0.3
"""Share of expected answers that give the bare value."""


def grounding(draw: Draw, number: int) -> Sample:
    """One question whose answer the passages hold."""
    roll = number % 10
    if roll < 6:  # noqa: PLR2004 - a share of the kinds
        return _extract(draw, number)
    if roll == 6:  # noqa: PLR2004 - a share of the kinds
        return _pair(draw, number)
    if roll == 7:  # noqa: PLR2004 - a share of the kinds
        return _summarise(draw, number)
    return _classify(draw, number)


def _extract(draw: Draw, number: int) -> Sample:
    product, what = draw.product(), draw.pick(draw.words.properties)
    value = draw.value(draw.pick(what.values))
    used = [draw.state(what, product, value)]
    others = draw.others(what, product, value, draw.rng.choice((1, 1, 2, 3)))
    context, ids = draw.context(used, others)
    answer = f"The {what.noun} of the {product} is {value}."
    if draw.chance(TERSE):
        answer = upper(f"{value}.")
    user = filled(draw.pick(what.questions), p=product)
    given = AssistInput(user, context)
    expected = Expected("ok", answer, ids)
    made = Sample("", "extract", given, expected, accepted=(value,))
    return _named(draw, number, what.noun, made)


def _pair(draw: Draw, number: int) -> Sample:
    product = draw.product()
    one, two = draw.rng.sample(draw.words.properties, 2)
    first, second = (draw.value(draw.pick(each.values)) for each in (one, two))
    used = [draw.state(one, product, first), draw.state(two, product, second)]
    other = draw.product(product)
    context, ids = draw.context(used, [draw.state(one, other, draw.unlike(one, first))])
    user = filled(
        draw.pick(draw.words.requests.pair), p=product, a=one.noun, b=two.noun
    )
    answer = f"The {product} has {one.noun} {first} and {two.noun} {second}."
    given, expected = AssistInput(user, context), Expected("ok", answer, ids)
    made = Sample("", "extract", given, expected, accepted=(second,))
    return _named(draw, number, "pair", made)


def _summarise(draw: Draw, number: int) -> Sample:
    product, event = draw.product(), draw.pick(draw.words.events)
    what = draw.pick(draw.words.properties)
    other = draw.product(product)
    beside = draw.state(what, other, draw.value(draw.pick(what.values)))
    context, ids = draw.context([filled(event.note, p=product)], [beside])
    user = filled(draw.pick(draw.words.requests.summary), p=product)
    expected = Expected("ok", filled(event.core, p=product), ids)
    given = AssistInput(user, context)
    made = Sample("", "summarise", given, expected, accepted=event.keys)
    return _named(draw, number, "event", made)


def _classify(draw: Draw, number: int) -> Sample:
    texts = draw.pick(draw.words.labels).texts
    labels = list(texts)
    draw.rng.shuffle(labels)
    count = draw.rng.choice((2, 2, 3))
    kinds = [draw.pick(labels) for _ in range(count)]
    brands = draw.rng.sample(draw.words.brands, count)
    items = tuple(
        ContextItem(
            id_,
            filled(draw.pick(texts[kind]), p=f"{brand} {draw.pick(draw.words.kinds)}"),
        )
        for id_, kind, brand in zip(draw.ids(count), kinds, brands, strict=True)
    )
    target = draw.rng.randrange(count)
    offer = f"{', '.join(labels[:-1])} or {labels[-1]}"
    user = filled(
        draw.pick(draw.words.requests.label), id=items[target].id, labels=offer
    )
    label = kinds[target]
    expected = Expected("ok", upper(f"{label}."), (items[target].id,))
    given = AssistInput(user, items)
    made = Sample("", "classify", given, expected, accepted=(label,))
    return _named(draw, number, "label", made)


def doubt(draw: Draw, number: int) -> Sample:
    """One fair question whose answer the context lacks."""
    product, what = draw.product(), draw.pick(draw.words.properties)
    roll = number % 8
    template = what.noun
    answer = f"The context does not give the {what.noun} of the {product}."
    user = filled(draw.pick(what.questions), p=product)
    others = [draw.pick([p for p in draw.words.properties if p != what])]
    passages = [
        draw.state(each, product, draw.value(draw.pick(each.values))) for each in others
    ]
    if roll == 0:
        passages = []
    elif roll in (1, 2):
        user, template = (
            filled(draw.pick(draw.words.requests.beyond), p=product),
            "beyond",
        )
        answer = "The context does not say."
    else:
        near = draw.product(product)
        passages.append(draw.state(what, near, draw.value(draw.pick(what.values))))
    context, _ = draw.context([], passages)
    if draw.chance(TERSE):
        answer = "The context does not say."
    given, expected = AssistInput(user, context), Expected("uncertain", answer)
    made = Sample("", "uncertain", given, expected, task="doubt")
    return _named(draw, number, template, made)


def _named(draw: Draw, number: int, template: str, made: Sample) -> Sample:
    """A sample under its name, alone in its document."""
    id_ = f"{made.task}-{number:04d}-{template.replace(' ', '-')}"
    origin = draw.origin(template, made.input.user)
    return msgspec.structs.replace(made, id=id_, document=id_, provenance=origin)
