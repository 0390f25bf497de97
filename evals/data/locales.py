"""Locales: the same facts and the same question in five languages."""

from collections.abc import Sequence

import msgspec

from evals.data.draw import Draw, clean, upper
from evals.data.words import Fact, Locales, Parallel, read
from evals.samples import Expected, Sample
from structured.prompt import AssistInput, ContextItem


class Told(msgspec.Struct, frozen=True):
    """One fact on one product, in no language yet."""

    fact: Parallel
    brand: str
    kind: int
    value: int
    """The number itself, or the row of `names` or `choices`."""


def locales(draw: Draw, count: int) -> tuple[Sample, ...]:
    """`count` documents in each locale; a document's samples ask the same."""
    words = read(Locales)
    products = draw.deck(
        f"{brand}/{kind}" for brand in words.brands for kind in range(len(words.kinds))
    )
    names = [fact.name for fact in words.facts]
    asked = draw.deck(names)
    made: list[Sample] = []
    for number in range(count):
        fact = words.facts[names.index(asked.next())]
        brand, _, kind = products.next().partition("/")

        def make(
            number: int = number,
            fact: Parallel = fact,
            brand: str = brand,
            kind: int = int(kind),
        ) -> list[Sample]:
            return _document(draw, _facts(draw, fact, brand, kind), number)

        samples = draw.until(make, lambda made: all(clean(each) for each in made))
        made += [draw.sealed(each, fact.name, brand) for each in samples]
    return tuple(made)


def _document(draw: Draw, told: Sequence[Told], number: int) -> list[Sample]:
    """The document in every locale; passages keep their ids and their order."""
    ids = draw.ids(len(told))
    draw.rng.shuffle(ids)
    order = draw.rng.sample(range(len(told)), len(told))
    return [
        _sample(told, ids, order, (number, locale)) for locale in read(Locales).locales
    ]


def _facts(draw: Draw, asked: Parallel, brand: str, kind: int) -> tuple[Told, ...]:
    """The asked fact first; then near misses: other facts, other products."""
    words = read(Locales)
    other_brands = [each for each in words.brands if each != brand]
    pool = [fact for fact in words.facts if fact is not asked]
    first, second = draw.rng.sample(pool, 2)
    told = [
        _told(draw, asked, brand, kind),
        _told(draw, first, brand, kind),
        _told(draw, asked, draw.pick(other_brands), kind),
        _told(
            draw, second, draw.pick(other_brands), draw.rng.randrange(len(words.kinds))
        ),
    ]
    return tuple(told[: draw.pick((2, 3, 3, 4))])


def _told(draw: Draw, fact: Parallel, brand: str, kind: int) -> Told:
    rows = len(fact.names) or len(fact.choices)
    value = draw.rng.randrange(rows) if rows else draw.rng.randint(*fact.range)
    return Told(fact, brand, kind, value)


def _sample(
    told: Sequence[Told],
    ids: Sequence[str],
    order: Sequence[int],
    name: tuple[int, str],
) -> Sample:
    number, locale = name
    says = [_say(each, locale) for each in told]
    context = tuple(ContextItem(ids[i], says[i][0]) for i in order)
    _, ask, value = says[0]
    return Sample(
        id=f"locales-{locale}-{number:04d}",
        intent="extract",
        input=AssistInput(ask, context),
        expected=Expected("ok", upper(f"{value}."), (ids[0],)),
        task="locales",
        document=f"locales-{number:04d}",
        locale=locale,
        accepted=(value,),
    )


def _say(told: Told, locale: str) -> tuple[str, str, str]:
    """Statement, question and value in one language."""
    says: Fact = getattr(told.fact, locale)
    words = read(Locales)
    if told.fact.names:
        drawn = told.fact.names[told.value]
    elif told.fact.choices:
        row: tuple[str, ...] = told.fact.choices[told.value]
        drawn = row[words.locales.index(locale)]
    else:
        drawn = str(told.value)
    value = says.value.replace("{n}", drawn)
    cases = words.kinds[told.kind][locale]
    slots = {case: text.replace("{b}", told.brand) for case, text in cases.items()}
    slots["v"] = value
    state, ask = says.state, says.ask
    for slot, word in slots.items():
        state = state.replace(f"{{{slot}}}", word)
        ask = ask.replace(f"{{{slot}}}", word)
    return upper(state), upper(ask), value
