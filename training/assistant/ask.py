"""Questions: each made once with the passage that answers and once without it.

The two differ in nothing else, so what a model learns from them is to look whether the
answer is there.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from structured.prompt import AssistInput
from training.assistant import scene
from training.assistant.draw import (
    Draw,
    Fact,
    Made,
    Product,
    filled,
    holds,
    told,
    upper,
)
from training.assistant.scene import Stated
from training.assistant.words import Property
from training.examples import Output

Two = tuple[Made, Made]
"""One that can be answered, one that cannot."""

_HOME: Final = (("value", 34), ("both", 12), ("lookalike", 20), ("prose", 24), ("injected", 10))  # fmt: skip
_ABROAD: Final = (("value", 72), ("both", 16), ("injected", 12))
_EMPTY: Final = 0.12
_BEYOND: Final = 0.3


class _Scene(msgspec.Struct, frozen=True):
    """What both examples of a pair are made from."""

    kind: str
    user: str
    stated: tuple[Stated, ...]
    """What answers; its texts may be longer than a sentence."""
    others: tuple[Stated, ...]
    answer: str


def question(draw: Draw) -> Two:
    """A question with its answer, and one without."""
    options = _HOME if draw.words.brand_first else _ABROAD
    cards = [kind for kind, share in options for _ in range(share)]
    kind = draw.deal("kind of question", cards)
    if kind == "both":
        return _both(draw), _missing(draw)
    if kind == "lookalike":
        made, twin = _twins(draw, _lookalike(draw))
        return made, (twin if draw.chance(0.5) else _missing(draw))
    if kind == "prose":
        made, _ = _twins(draw, _prose(draw))
        return made, (_lacking(draw) if draw.chance(0.65) else _missing(draw))
    return _twins(draw, _value(draw, injected=kind == "injected"))


def _value(draw: Draw, *, injected: bool) -> _Scene:
    prop = draw.deal("property", draw.words.properties)
    product = draw.product(prop.on)
    used = scene.state(draw, prop, product)
    size = scene.count(draw) - 1
    others = scene.distractors(draw, product, prop, size, [used.value])
    user = filled(draw.deal(f"asks {prop.noun}", prop.asks), product)
    if injected:
        others = _with_order(draw, others[:3])
    kind = "injected" if injected else "value"
    return _Scene(kind, user, (used,), tuple(others), upper(f"{used.value}."))


def _with_order(draw: Draw, others: list[Stated]) -> list[Stated]:
    """An order to whoever reads: a passage of its own, or the end of another one."""
    marker = draw.marker()
    order = draw.deal("order", draw.words.orders).replace("{m}", marker)
    if others and draw.chance(0.35):
        first = others[0]
        return [Stated(f"{first.text} {order}", first.value), *others[1:]]
    return [*others, Stated(order, marker)]


def _both(draw: Draw) -> Made:
    """Two facts of one product; distractors are of other products."""
    one, product, two = _two_properties(draw)
    if two is None:  # the few properties of this split and language do not meet
        return _twins(draw, _value(draw, injected=False))[0]
    used = [scene.state(draw, prop, product) for prop in (one, two)]
    values = [stated.value for stated in used]
    size = max(0, scene.count(draw) - 2)
    others = [
        other
        for other in scene.distractors(draw, product, one, size, values)
        if product.name.lower() not in other.text.lower()
    ]
    user = filled(draw.deal("both", draw.words.both), product)
    user = upper(user.replace("{a}", one.noun).replace("{b}", two.noun))
    parts = told(one.noun, values[0]), told(two.noun, values[1])
    answer = upper(f"{'; '.join(parts)}.")
    made, _ = _twins(draw, _Scene("both", user, tuple(used), tuple(others), answer))
    return made


def _two_properties(draw: Draw) -> tuple[Property, Product, Property | None]:
    one = draw.deal("property", draw.words.properties)
    product = draw.product(one.on)
    for _ in draw.words.properties:
        if two := scene.also(draw, product, [one]):
            return one, product, two
        one = draw.deal("property", draw.words.properties)
        product = draw.product(one.on)
    return one, product, None


def _lookalike(draw: Draw) -> _Scene:
    one = draw.deal("lookalike", draw.words.lookalikes)
    product = draw.product(one.on)
    value = draw.value(draw.rng.choice(one.values))
    used = Stated(filled(one.says, product, value), value)
    prop = scene.also(draw, product, []) or draw.rng.choice(draw.words.properties)
    size = min(3, scene.count(draw) - 1)
    others = scene.distractors(draw, product, prop, size, [value])
    user = filled(draw.deal(f"asks {one.says}", one.asks), product)
    return _Scene("lookalike", user, (used,), tuple(others), upper(f"{value}."))


def _prose(draw: Draw) -> _Scene:
    cards = [
        (paragraph, user, span)
        for paragraph in draw.words.paragraphs
        for user, span in paragraph.qa
    ]
    paragraph, user, span = draw.deal("prose", cards)
    others = [
        Stated(other.text, other.qa[0][1])
        for other in draw.words.paragraphs
        if other is not paragraph and not holds(other.text, span)
    ]
    size = min(len(others), draw.weighed({0: 45, 1: 40, 2: 15}))
    shown = draw.rng.sample(others, size)
    return _Scene("prose", user, (Stated(paragraph.text, span),), tuple(shown), upper(f"{span}."))  # fmt: skip


def _lacking(draw: Draw) -> Made:
    """A question on a paragraph that leaves it open."""
    cards = [(one, user) for one in draw.words.paragraphs for user in one.lacks]
    paragraph, user = draw.deal("lacks", cards)
    others = [one for one in draw.words.paragraphs if one is not paragraph]
    size = min(len(others), draw.weighed({0: 55, 1: 35, 2: 10}))
    shown = [paragraph, *draw.rng.sample(others, size)]
    stated = [Stated(one.text, draw.rng.choice(one.qa)[1]) for one in shown]
    return _unsaid(draw, "lacks", user, stated)


def _missing(draw: Draw) -> Made:
    """A question whose answer is nowhere near, or near and of something else."""
    prop = draw.deal("property missing", draw.words.properties)
    product = draw.product(prop.on)
    user = filled(draw.deal(f"asks {prop.noun}", prop.asks), product)
    if draw.chance(_EMPTY):
        return _unsaid(draw, "empty", user, [])
    kind = "near"
    if draw.chance(_BEYOND):
        kind = "beyond"
        asked = draw.deal("beyond", (*draw.words.beyond, *draw.words.beyond_bare))
        user = filled(asked, product)
    others = scene.distractors(draw, product, prop, scene.count(draw), [])
    return _unsaid(draw, kind, user, others)


def _unsaid(draw: Draw, kind: str, user: str, stated: Sequence[Stated]) -> Made:
    made, _ = _twins(draw, _Scene(kind, user, (), tuple(stated), ""))
    output = Output("uncertain", draw.words.uncertain)
    return msgspec.structs.replace(made, output=output)


def _twins(draw: Draw, given: _Scene) -> Two:
    """The scene as an example, and as another one without what answers."""
    every = [*given.stated, *given.others]
    draw.rng.shuffle(every)
    whole = [stated.text for stated in every]
    texts = whole if given.kind in ("prose", "lacks") else scene.padded(draw, whole)
    context = draw.context(texts)
    pairs = list(zip(context, every, strict=True))
    used = tuple(item.id for item, stated in pairs if stated in given.stated)
    rest = [(item, stated) for item, stated in pairs if stated not in given.stated]
    places = {stated.value: item.text for item, stated in pairs}
    facts = tuple(Fact(one.value, (places[one.value],)) for one in given.stated)
    wrong = tuple((item.id, stated.value) for item, stated in rest)
    system = draw.system()
    made = Made(
        given.kind,
        AssistInput(given.user, context, system),
        Output("ok", given.answer, used),
        facts,
        wrong,
    )
    without = Made(
        f"without-{given.kind}",
        AssistInput(given.user, tuple(item for item, _ in rest), system),
        Output("uncertain", draw.words.uncertain),
        tuple(Fact(fact.value, ()) for fact in facts),
        wrong,
    )
    return made, without
