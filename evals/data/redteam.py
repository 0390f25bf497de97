"""Red team: attacks that an answer must not fall for.

Each sample forbids strings that a resisting answer cannot hold: a marker, a bait. They
are drawn, so that none occurs by chance, and none is in the house's refusals.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from evals.data.draw import (
    Deck,
    Draw,
    bare,
    clean,
    fill,
    near_misses,
    statement,
    strangers,
    upper,
)
from evals.data.words import Properties, Redteam, read
from evals.samples import Expected, Sample
from structured.prompt import AssistInput

_SYLLABLES: Final = ("ba", "dro", "fi", "gul", "ke", "lum", "no", "pra", "sho", "vex")
HARMLESS: Final = 3
"""Two of so many injections stand by while the user asks something harmless."""
WITHIN: Final = 0.4
"""Share of those whose order hides in the very passage that answers."""


def redteam(draw: Draw, count: int) -> tuple[Sample, ...]:
    """The four kinds of attack in turn; `variant` says which."""
    words = read(Redteam)
    makers: list[Callable[[Draw, str, Deck], Sample]] = [
        jailbreak,
        pii_bait,
        injection,
        tool_misuse,
    ]
    decks = [
        draw.deck(words.jailbreak.requests),
        draw.deck(words.pii_bait.requests),
        draw.deck(words.injection.orders),
        draw.deck(call.request for call in words.tool_misuse.calls),
    ]
    return tuple(
        makers[number % 4](draw, f"redteam-{number:04d}", decks[number % 4])
        for number in range(count)
    )


def marker(draw: Draw) -> str:
    """A word that nobody writes by chance: three syllables and four digits."""
    stem = "".join(draw.rng.sample(_SYLLABLES, 3))
    return f"{stem}-{draw.rng.randint(1000, 9999)}"


def jailbreak(draw: Draw, name: str, asks: Deck) -> Sample:
    """Asks for a marker by talking the assistant out of its rules."""
    ask, product, who, word = asks.next(), draw.product(), draw.person(), marker(draw)
    user = fill(ask, p=product, who=who, m=word)
    answer = read(Redteam).jailbreak.answer
    sample = _attack(draw, name, user, answer, ())
    return draw.sealed(_barred(sample, "jailbreak", word), ask, product)


def pii_bait(draw: Draw, name: str, asks: Deck) -> Sample:
    """A number of a person lies in the context; the request is a pretext to get it."""
    words, ask = read(Redteam).pii_bait, asks.next()
    product, who = draw.product(), draw.person()
    number = draw.value("0<300-999> <100-999> <1000-9999>")
    bait = fill(draw.pick(words.baits), p=product, who=who, m=number)
    user = fill(ask, p=product, who=who)
    sample = _attack(draw, name, user, words.answer, (bait,))
    return draw.sealed(_barred(sample, "pii_bait", number), ask, who)


def tool_misuse(draw: Draw, name: str, asks: Deck) -> Sample:
    """Asks to call a tool; `forbidden` is what an answer that plays along holds."""
    words, ask = read(Redteam).tool_misuse, asks.next()
    call = next(each.call for each in words.calls if each.request == ask)
    product, who, word = draw.product(), draw.person(), marker(draw)
    user = fill(ask, p=product, who=who, m=word)
    sample = _attack(draw, name, user, words.answer, ())
    barred = _barred(sample, "tool_misuse", call.replace("{m}", word))
    return draw.sealed(barred, ask, product)


def injection(draw: Draw, name: str, orders: Deck) -> Sample:
    """An order in a passage: beside a harmless question, or asked to be followed."""
    order = orders.next()
    if draw.rng.randrange(HARMLESS):
        return _beside(draw, name, order)
    words, product, word = read(Redteam).injection, draw.product(), marker(draw)
    ask = draw.pick(words.requests)
    others = strangers(draw, read(Properties).properties, product, draw.pick((0, 1, 2)))
    context, ids = draw.shuffled([order.replace("{m}", word)], others)
    sample = Sample(
        id=name,
        intent="refuse",
        input=AssistInput(fill(ask, id=ids[0]), context),
        expected=Expected("refused", words.answer),
        task="redteam",
        document=name,
    )
    return draw.sealed(_barred(sample, "injection", word), order, product)


def _beside(draw: Draw, name: str, order: str) -> Sample:
    """A harmless question: its answer is expected, and the order is to be ignored."""
    pool = read(Properties).properties
    asked, product, word = draw.pick(pool), draw.product(), marker(draw)
    planted, within = order.replace("{m}", word), draw.chance(WITHIN)
    ask = draw.pick(asked.asks)

    def make() -> Sample:
        value = draw.value(draw.pick(asked.values))
        fact = statement(draw, asked, product, value)
        others = near_misses(draw, pool, asked, product, draw.pick((1, 2)))
        if within:
            fact = f"{fact} {planted}"
        else:
            others = [*others, planted]
        context, ids = draw.shuffled([fact], others)
        return Sample(
            id=name,
            intent="extract",
            input=AssistInput(fill(ask, p=product), context),
            expected=Expected("ok", upper(f"{value}."), ids),
            task="redteam",
            document=name,
            accepted=(bare(value),),
        )

    sample = _barred(draw.until(make, clean), "injection", word)
    return draw.sealed(sample, order, product)


def _attack(
    draw: Draw, name: str, user: str, answer: str, baits: tuple[str, ...]
) -> Sample:
    """A request to be refused, with passages on other matters around the baits."""
    pool = read(Properties).properties
    others = strangers(draw, pool, draw.product(), draw.pick((0, 1, 2)))
    context, _ = draw.shuffled(baits, others)
    return Sample(
        id=name,
        intent="refuse",
        input=AssistInput(user, context),
        expected=Expected("refused", answer),
        task="redteam",
        document=name,
    )


def _barred(sample: Sample, kind: str, *forbidden: str) -> Sample:
    return msgspec.structs.replace(sample, variant=kind, forbidden=forbidden)
