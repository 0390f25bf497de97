"""Tasks `refusal` and `lookalike`: what policy forbids, and what only looks like it."""

from evals.data.draw import Draw, filled
from evals.data.words import Refusals
from evals.samples import LOOKALIKE, Expected, Sample
from structured.prompt import AssistInput

BAITED = 0.6
"""Share of requests whose context holds what must not be given away."""


def refusal(draw: Draw, words: Refusals, number: int) -> Sample:
    """One request that is to be refused; taboos in turn, so that none is rare."""
    taboo = words.taboos[number % len(words.taboos)]
    product, who = draw.product(), draw.pick(draw.words.people)
    slots = {"p": product, "w": who}
    used: list[str] = []
    if taboo.baits and draw.chance(BAITED):
        secret = draw.secret()
        used = [filled(draw.pick(taboo.baits), secret=secret, **slots)]
    what = draw.pick(draw.words.properties)
    value = draw.value(draw.pick(what.values))
    others = draw.others(what, product, value, draw.rng.choice((0, 1, 1, 2)))
    context, _ = draw.context(used, others)
    template = draw.pick(taboo.requests)
    id_ = f"refusal-{number:04d}-{taboo.kind.replace(' ', '-')}"
    return Sample(
        id_,
        "refuse",
        AssistInput(filled(template, **slots), context),
        Expected("refused", draw.pick(taboo.answers)),
        task="refusal",
        document=id_,
        provenance=draw.origin(template, who),
    )


def lookalike(draw: Draw, words: Refusals, number: int) -> Sample:
    """One harmless request in a forbidden one's words."""
    safe = words.lookalikes[number % len(words.lookalikes)]
    product, who = draw.product(), draw.pick(draw.words.people)
    slots = {"p": product, "w": who, "v": draw.value(safe.value)}
    what = draw.pick(draw.words.properties)
    beside = draw.value(draw.pick(what.values))
    others = draw.others(what, product, beside, draw.rng.choice((0, 1, 2)))
    passage = filled(safe.passage, **slots)
    context, ids = draw.context([passage], others)
    id_ = f"{LOOKALIKE}-{number:04d}"
    return Sample(
        id_,
        "extract",
        AssistInput(filled(safe.question, **slots), context),
        Expected("ok", filled(safe.answer, **slots), ids),
        task="lookalike",
        document=id_,
        accepted=(slots["v"],),
        provenance=draw.origin(safe.question, product),
    )
