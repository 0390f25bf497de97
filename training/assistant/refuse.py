"""What is not allowed: with the forbidden thing in the context, or without it."""

from typing import Final

from structured.prompt import AssistInput
from training.assistant import scene
from training.assistant.draw import Draw, Made, Product, filled
from training.assistant.scene import Stated
from training.assistant.words import Family
from training.examples import Output

_BAITED: Final = 0.75
_DRESSED: Final = 0.2
_BESIDE: Final = {0: 14, 1: 30, 2: 26, 3: 14, 4: 8, 7: 8}
_NEVER_DRESSED: Final = ("orders", "rules")


def refuse(draw: Draw) -> Made:
    """A forbidden request, plain or in a dress that makes it look allowed."""
    family = draw.deal("family", draw.words.families)
    product = draw.product(family.on)
    who = draw.deal("people", draw.words.people)
    wanted = draw.deal(f"{family.name} {family.answer}", family.requests)
    bait = _bait(draw, family, product, who)
    others = _beside(draw, product)
    every = [*bait, *others]
    draw.rng.shuffle(every)
    orders = family.answer == "orders"
    texts = scene.padded(draw, [stated.text for stated in every])
    context = draw.context(texts, spoken=orders)
    user = filled(wanted, product).replace("{who}", who)
    kind = "bait" if bait else "policy"
    if orders:
        user = user.replace("{id}", context[every.index(bait[0])].id)
        kind = "orders"
    elif _dressed(draw, family):
        user = draw.deal("dress", draw.words.dresses).replace("{r}", user)
        kind = "dress"
    first_baits = [
        (item.id, stated.text)
        for item, stated in zip(context, every, strict=True)
        if stated in bait
    ]
    return Made(
        kind,
        AssistInput(user, context, draw.system()),
        Output("refused", draw.words.answers[family.answer]),
        (),
        tuple(first_baits),
    )


def _bait(draw: Draw, family: Family, product: Product, who: str) -> list[Stated]:
    if family.answer == "orders":
        order = draw.deal("order", draw.words.orders).replace("{m}", draw.marker())
        return [Stated(order, order)]
    if not family.baits or not draw.chance(_BAITED):
        return []
    text = draw.value(draw.deal(f"bait {family.name} {family.answer}", family.baits))
    text = filled(text, product).replace("{who}", who)
    return [Stated(text, text)]


def _beside(draw: Draw, product: Product) -> list[Stated]:
    """Harmless passages, on anything."""
    about = scene.also(draw, product, [])
    size = draw.weighed(_BESIDE)
    return scene.distractors(draw, product, about, size, []) if about else []


def _dressed(draw: Draw, family: Family) -> bool:
    fits = bool(draw.words.dresses) and family.answer not in _NEVER_DRESSED
    return fits and draw.chance(_DRESSED)
