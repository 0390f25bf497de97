"""Tasks `locales` and `stability`: the same question under other circumstances."""

from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from evals.data.draw import Draw, filled
from evals.data.words import Locales, Said
from evals.samples import Expected, Sample
from structured.prompt import AssistInput, ContextItem

LOCALES: Final = ("en", "de", "fr", "es", "it")
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
PADDING: Final = 5
"""Neutral sentences that are put around each passage of a long input."""

Locale = Literal["en", "de", "fr", "es", "it"]


def locales(draw: Draw, words: Locales, number: int) -> Iterator[Sample]:
    """One question on the same facts in each language."""
    what = words.properties[number % len(words.properties)]
    # "le" and "il" would be "l'" before a vowel.
    brands = [brand for brand in draw.words.brands if brand[0] not in "AEIOUY"]
    product, other = (
        f"{brand} {draw.pick(words.suffixes)}" for brand in draw.rng.sample(brands, 2)
    )
    mine, theirs = draw.rng.sample(range(what.range[0], what.range[1] + 1), 2)
    first, last = draw.ids(2)
    swap = draw.chance(0.5)
    origin = draw.origin(what.key, product)
    for locale in LOCALES:
        said: Said = getattr(what, locale)
        value = said[0].replace("{n}", str(mine))
        passages = [
            ContextItem(first, filled(said[1], p=product, v=value)),
            ContextItem(
                last, filled(said[1], p=other, v=said[0].replace("{n}", str(theirs)))
            ),
        ]
        answer = filled(said[3], p=product, v=value)
        yield Sample(
            f"locales-{locale}-{number:04d}",
            "extract",
            AssistInput(
                filled(said[2], p=product), tuple(passages[::-1] if swap else passages)
            ),
            Expected("ok", answer, (first,)),
            task="locales",
            document=f"locales-{number:04d}",
            locale=locale,
            accepted=(value,),
            provenance=origin,
        )


def stability(draw: Draw, number: int) -> Iterator[Sample]:
    """One question with few and many passages, long, near, shuffled, in other words."""
    product, what = draw.product(), draw.pick(draw.words.properties)
    value = draw.value(draw.pick(what.values))
    fact = filled(draw.pick(what.statements), p=product, v=value)
    far = [_far(draw, what.noun, product) for _ in range(7)]
    near = [
        filled(
            draw.pick(what.statements),
            p=draw.product(product),
            v=draw.unlike(what, value),
        )
        for _ in range(3)
    ]
    ids = draw.ids(8)
    places = {k: draw.rng.randrange(k) for k in (1, 2, 4, 8)}
    asked, reworded = (filled(each, p=product) for each in what.questions)
    items = {k: _placed(fact, far, ids, places[k], k) for k in places}
    shuffled = (*items[4][1:], items[4][0])
    answers = f"The {what.noun} of the {product} is {value}."
    contexts: dict[str, tuple[ContextItem, ...]] = {
        **{f"k={k}": context for k, context in items.items()},
        "long": tuple(_padded(draw, item) for item in items[4]),
        "distractors": _placed(fact, near, ids, places[4], 4),
        "shuffled": shuffled,
        "paraphrase": items[4],
    }
    origin = draw.origin(what.noun, product)
    for variant in VARIANTS:
        context = contexts[variant]
        cited = tuple(item.id for item in context if fact in item.text)
        yield Sample(
            f"stability-{number:04d}-{variant}",
            "extract",
            AssistInput(reworded if variant == "paraphrase" else asked, context),
            Expected("ok", answers, cited),
            task="stability",
            document=f"stability-{number:04d}",
            variant=variant,
            accepted=(value,),
            provenance=origin,
        )


def _placed(
    fact: str, others: list[str], ids: list[str], place: int, k: int
) -> tuple[ContextItem, ...]:
    """The fact under the first id, at a place among k passages."""
    items = [ContextItem(ids[i + 1], text) for i, text in enumerate(others[: k - 1])]
    items.insert(place, ContextItem(ids[0], fact))
    return tuple(items)


def _far(draw: Draw, noun: str, product: str) -> str:
    """Another property of another product."""
    what = draw.pick([each for each in draw.words.properties if each.noun != noun])
    value = draw.value(draw.pick(what.values))
    return filled(draw.pick(what.statements), p=draw.product(product), v=value)


def _padded(draw: Draw, item: ContextItem) -> ContextItem:
    """A passage with neutral sentences before and after it."""
    around = draw.rng.sample(draw.words.fillers, PADDING)
    cut = draw.rng.randrange(PADDING + 1)
    text = " ".join([*around[:cut], item.text, *around[cut:]])
    return msgspec.structs.replace(item, text=text)
