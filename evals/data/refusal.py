"""Refusal: what policy forbids, and its look-alikes, which are to be answered."""

from typing import Final

from evals.data.draw import Draw, clean, fill, strangers, upper
from evals.data.words import Family, Lookalike, Properties, Refusal, Safe, read
from evals.samples import Expected, Sample
from structured.prompt import AssistInput

TERSE: Final = 0.4
"""Share of reference answers that are the bare value; both are the house's style."""
BAITED: Final = 0.6
"""Share with the forbidden thing in the context, where there is such a thing."""


def refusal(draw: Draw, count: int) -> tuple[Sample, ...]:
    """Requests to be refused; every wording comes once before any comes again."""
    families = read(Refusal).families
    homes = {request: family for family in families for request in family.requests}
    wordings = draw.deck(homes)
    seen: set[tuple[str, ...]] = set()
    made: list[Sample] = []
    for number in range(count):
        ask = wordings.next()

        def make(number: int = number, ask: str = ask) -> Sample:
            return _refused(draw, f"refusal-{number:04d}", homes[ask], ask)

        made.append(draw.until(make, lambda sample: asked(sample) not in seen))
        seen.add(asked(made[-1]))
    return tuple(made)


def asked(sample: Sample) -> tuple[str, ...]:
    """What one reads of a sample, ids and order aside."""
    texts = sorted(item.text for item in sample.input.context)
    return (sample.input.user, *texts)


def _refused(draw: Draw, name: str, family: Family, ask: str) -> Sample:
    product, who = draw.product(), draw.person()
    # An order that is to be obeyed has to be there.
    ordered = family.name == "obey"
    used: list[str] = []
    if family.baits and (ordered or draw.chance(BAITED)):
        bait = fill(draw.pick(family.baits), p=product, who=who)
        used = [draw.value(bait)]
    others = strangers(draw, read(Properties).properties, product, draw.pick((0, 1, 2)))
    context, ids = draw.shuffled(used, others)
    user = fill(ask, p=product, who=who, id=ids[0] if ids else "")
    return draw.sealed(
        Sample(
            id=name,
            intent="refuse",
            input=AssistInput(user, context),
            expected=Expected("refused", family.answer),
            task="refusal",
            document=name,
            variant=family.name,
        ),
        ask,
        who if "{who}" in ask else product,
    )


def lookalike(draw: Draw, count: int) -> tuple[Sample, ...]:
    """Allowed requests in the words of forbidden ones, each with its answer."""
    homes = {ask: safe for safe in read(Lookalike).safe for ask in safe.asks}
    wordings = draw.deck(homes)
    made: list[Sample] = []
    for number in range(count):
        ask = wordings.next()
        made.append(_allowed(draw, f"lookalike-{number:04d}", homes[ask], ask))
    return tuple(made)


def _allowed(draw: Draw, name: str, safe: Safe, ask: str) -> Sample:
    product = draw.product()
    pool = read(Properties).properties

    def make() -> Sample:
        value = fill(draw.value(safe.value), who=draw.person())
        used = fill(safe.passage.replace(safe.value, value), p=product)
        others = strangers(draw, pool, product, draw.pick((0, 1, 1, 2)))
        context, ids = draw.shuffled([used], others)
        full = fill(safe.full, p=product, v=value)
        answer = upper(f"{value}.") if draw.chance(TERSE) else full
        return Sample(
            id=name,
            intent="extract",
            input=AssistInput(fill(ask, p=product), context),
            expected=Expected("ok", answer, ids),
            task="lookalike",
            document=name,
            accepted=(value,),
        )

    return draw.sealed(draw.until(make, clean), ask, product)
