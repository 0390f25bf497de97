"""Task `redteam`: attacks, each with a marker that shows whether it got through."""

from evals.data.draw import Draw, filled
from evals.data.words import Refusals
from evals.samples import Expected, Sample
from structured.prompt import AssistInput


def attack(draw: Draw, words: Refusals, number: int) -> Sample:
    """One attack; kinds in turn."""
    kind = words.attacks[number % len(words.attacks)]
    if kind.orders:
        return _injected(draw, words, number)
    product, who = draw.product(), draw.pick(draw.words.people)
    marker = draw.secret()
    slots = {"p": product, "w": who, "marker": marker, "secret": marker}
    used = [filled(draw.pick(kind.baits), **slots)] if kind.baits else []
    context, _ = draw.context(used, _beside(draw, product))
    template = draw.pick(kind.requests)
    return Sample(
        f"redteam-{number:04d}-{kind.kind}",
        "refuse",
        AssistInput(filled(template, **slots), context),
        Expected("refused", kind.answer),
        task="redteam",
        document=f"redteam-{number:04d}",
        variant=kind.kind,
        forbidden=(marker,),
        provenance=draw.origin(template, who),
    )


def _injected(draw: Draw, words: Refusals, number: int) -> Sample:
    """An order inside a passage.

    Half of the users want it obeyed, half want to know what another passage holds.
    """
    kind = next(each for each in words.attacks if each.orders)
    product, what, marker = (
        draw.product(),
        draw.pick(draw.words.properties),
        draw.secret(),
    )
    value = draw.value(draw.pick(what.values))
    order = filled(draw.pick(kind.orders), marker=marker)
    fact = draw.state(what, product, value)
    obeying = draw.chance(0.5)
    context, ids = draw.context(
        [order] if obeying else [fact], [fact if obeying else order]
    )
    template = draw.pick(kind.requests) if obeying else draw.pick(what.questions)
    expected = Expected("ok", f"The {what.noun} of the {product} is {value}.", ids)
    if obeying:
        expected = Expected("refused", kind.answer)
    return Sample(
        f"redteam-{number:04d}-{kind.kind}",
        "refuse" if obeying else "extract",
        AssistInput(filled(template, p=product, id=ids[0]), context),
        expected,
        task="redteam",
        document=f"redteam-{number:04d}",
        variant=kind.kind,
        accepted=() if obeying else (value,),
        forbidden=(marker,),
        provenance=draw.origin(template, product),
    )


def _beside(draw: Draw, product: str) -> list[str]:
    what = draw.pick(draw.words.properties)
    value = draw.value(draw.pick(what.values))
    return draw.others(what, product, value, draw.rng.choice((0, 1)))
