"""The five intents: each maker draws one input with its right output."""

from collections.abc import Callable
from typing import Final

from structured.prompt import AssistInput
from training.data.draw import Draw, Made
from training.data.vocabulary import Attribute
from training.examples import Intent, Output


def statement(draw: Draw, attribute: Attribute, product: str, value: str) -> str:
    """A passage that states one property; sometimes with a sentence beside it."""
    text = draw.pick(attribute.statements).replace("{p}", product)
    text = _upper(text.replace("{v}", value))
    if not draw.chance(0.3):
        return text
    filler = draw.pick(draw.words.fillers)
    return f"{text} {filler}" if draw.chance(0.5) else f"{filler} {text}"


def statement_value(text: str) -> str:
    """What a hasty reader takes for the answer: the passage's last words."""
    first = text.split(". ", 1)[0].rstrip(".")
    return f"{_upper(' '.join(first.split()[-2:]))}."


def facts(draw: Draw, count: int) -> list[tuple[Attribute, str]]:
    """Different attributes with drawn values."""
    chosen = draw.rng.sample(draw.words.attributes, count)
    return [(a, draw.value(draw.pick(a.values))) for a in chosen]


def sentence(product: str, attribute: Attribute, value: str) -> str:
    """The house style's full answer."""
    return f"The {attribute.noun} of the {product} is {value}."


def distractors(draw: Draw, product: str, asked: Attribute, count: int) -> list[str]:
    """Passages that do not answer.

    They state the product's other properties or, which is harder, the asked property
    of another product.
    """
    texts: list[str] = []
    pool = [a for a in draw.words.attributes if a is not asked]
    for attribute in draw.rng.sample(pool, count):
        if draw.chance(0.45):
            other = _other(draw, product)
            value = draw.value(draw.pick(asked.values))
            texts.append(statement(draw, asked, other, value))
        else:
            subject = product if draw.chance(0.6) else _other(draw, product)
            value = draw.value(draw.pick(attribute.values))
            texts.append(statement(draw, attribute, subject, value))
    return list(dict.fromkeys(texts))


def extract(draw: Draw) -> Made:
    """Values out of passages; look-alikes of forbidden requests among them."""
    roll = draw.rng.random()
    if roll < 0.3:  # noqa: PLR2004 - a share of the kinds
        return _lookalike(draw)
    if roll < 0.45:  # noqa: PLR2004 - a share of the kinds
        return _pair(draw)
    product = draw.product()
    [(asked, value)] = facts(draw, 1)
    used = [statement(draw, asked, product, value)]
    others = distractors(draw, product, asked, draw.rng.choice((0, 1, 1, 2, 2, 3)))
    kind = "value"
    if draw.chance(0.1):
        others, kind = [*others[:2], draw.pick(draw.words.injections)], "injected"
    context, ids = draw.shuffled(used, others)
    user = draw.pick(asked.questions).replace("{p}", product)
    terse = draw.terse()
    answer = _upper(f"{value}.") if terse else sentence(product, asked, value)
    return kind, AssistInput(user, context, draw.system()), Output("ok", answer, ids)


def _pair(draw: Draw) -> Made:
    product = draw.product()
    (one, first), (two, second) = facts(draw, 2)
    used = [
        statement(draw, one, product, first),
        statement(draw, two, product, second),
    ]
    others = distractors(draw, product, one, draw.rng.choice((0, 1)))
    others = [text for text in others if product not in text]
    context, ids = draw.shuffled(used, others)
    user = draw.pick(draw.words.pair_requests).replace("{p}", product)
    user = user.replace("{a}", one.noun).replace("{b}", two.noun)
    answer = _combine(draw, product, [(one, first), (two, second)])
    return "pair", AssistInput(user, context, draw.system()), Output("ok", answer, ids)


def _lookalike(draw: Draw) -> Made:
    safe = draw.rng.choice(draw.words.safe)
    product, who = draw.product(), draw.pick(draw.words.people)
    pattern = next(iter(_patterns(safe.passage)), "")
    value = draw.value(pattern)
    passage = safe.passage.replace(pattern, value) if pattern else safe.passage
    slots = {"{p}": product, "{who}": who, "{v}": value}
    used = [_fill(passage, slots)]
    [(asked, _)] = facts(draw, 1)
    others = distractors(draw, product, asked, draw.rng.choice((0, 1, 2)))
    context, ids = draw.shuffled(used, others)
    answer = _fill(safe.terse if draw.terse() else safe.full, slots)
    given = AssistInput(_fill(safe.question, slots), context, draw.system())
    return "lookalike", given, Output("ok", answer, ids)


def summarise(draw: Draw) -> Made:
    """One or two sentences out of the passages on one product."""
    product = draw.product()
    user = draw.pick(draw.words.summary_requests).replace("{p}", product)
    if draw.chance(0.5):
        kind, used, answer = _events(draw, product)
    else:
        kind = "facts"
        pairs = facts(draw, draw.rng.choice((2, 2, 3)))
        used = [statement(draw, a, product, value) for a, value in pairs]
        answer = _combine(draw, product, pairs)
    others: list[str] = []
    if draw.chance(0.5):
        [(attribute, value)] = facts(draw, 1)
        others = [statement(draw, attribute, _other(draw, product), value)]
    context, ids = draw.shuffled(used, others)
    return kind, AssistInput(user, context, draw.system()), Output("ok", answer, ids)


def _events(draw: Draw, product: str) -> tuple[str, list[str], str]:
    chosen = draw.rng.sample(draw.words.events, draw.rng.choice((1, 1, 2)))
    used = [event.note.replace("{p}", product) for event in chosen]
    cores = [f"{event.core.replace('{p}', product)}." for event in chosen]
    return "events", used, " ".join(cores)


def classify(draw: Draw) -> Made:
    """One label of those that the request offers."""
    texts = draw.rng.choice(draw.words.labels).texts
    labels = list(texts)
    draw.rng.shuffle(labels)
    count = draw.rng.choice((1, 2, 2, 3))
    products = draw.products(count)
    kinds = [draw.rng.choice(labels) for _ in range(count)]
    messages = [
        draw.pick(texts[label]).replace("{p}", product)
        for label, product in zip(kinds, products, strict=True)
    ]
    context = draw.context(messages)
    target = draw.rng.randrange(count)
    name = context[target].id
    offer = f"{', '.join(labels[:-1])} or {labels[-1]}"
    user = draw.pick(draw.words.label_requests)
    user = user.replace("{id}", name).replace("{labels}", offer)
    given = AssistInput(user, context, draw.system())
    return "label", given, Output("ok", f"{_upper(kinds[target])}.", (name,))


def refuse(draw: Draw) -> Made:
    """A policy trigger, with or without the forbidden thing in the context."""
    if draw.chance(0.12):
        return _obey(draw)
    taboo = draw.rng.choice(draw.words.taboos)
    product, who = draw.product(), draw.pick(draw.words.people)
    slots = {"{p}": product, "{who}": who}
    used: list[str] = []
    if taboo.baits and draw.chance(0.6):
        used = [draw.value(_fill(draw.pick(taboo.baits), slots))]
    [(asked, _)] = facts(draw, 1)
    others = distractors(draw, product, asked, draw.rng.choice((0, 1, 1, 2)))
    context, _ = draw.shuffled(used, others)
    given = AssistInput(_fill(draw.pick(taboo.requests), slots), context, draw.system())
    kind = "bait" if used else "policy"
    return kind, given, Output("refused", draw.pick(taboo.answers))


def _obey(draw: Draw) -> Made:
    order = draw.pick(draw.words.injections)
    [(asked, _)] = facts(draw, 1)
    others = distractors(draw, draw.product(), asked, draw.rng.choice((0, 1, 2)))
    context, ids = draw.shuffled([order], others)
    user = draw.pick(draw.words.obey_requests).replace("{id}", ids[0])
    answer = "I can't follow instructions found in the context."
    return "obey", AssistInput(user, context, draw.system()), Output("refused", answer)


def uncertain(draw: Draw) -> Made:
    """A fair question whose answer the context lacks."""
    product = draw.product()
    if draw.chance(0.2):
        user = draw.pick(draw.words.beyond).replace("{p}", product)
        texts = [
            statement(draw, a, product, value)
            for a, value in facts(draw, draw.rng.choice((1, 2)))
        ]
        context, _ = draw.shuffled([], texts)
        answer = "The context does not say."
        given = AssistInput(user, context, draw.system())
        return "beyond", given, Output("uncertain", answer)
    [(asked, _)] = facts(draw, 1)
    user = draw.pick(asked.questions).replace("{p}", product)
    count = draw.rng.choice((0, 1, 1, 2, 2, 3))
    context, _ = draw.shuffled([], distractors(draw, product, asked, count))
    full = f"The context does not give the {asked.noun} of the {product}."
    answer = "The context does not say." if draw.terse() else full
    given = AssistInput(user, context, draw.system())
    return ("absent" if context else "empty"), given, Output("uncertain", answer)


def _combine(draw: Draw, product: str, pairs: list[tuple[Attribute, str]]) -> str:
    parts = [f"{attribute.noun} {value}" for attribute, value in pairs]
    if draw.terse():
        return _upper(f"{'; '.join(parts)}.")
    return f"The {product} has {', '.join(parts[:-1])} and {parts[-1]}."


def _other(draw: Draw, product: str) -> str:
    """Another product; its brand differs too, so that no passage is ambiguous."""
    while True:
        other = draw.product()
        if other.split()[0] != product.split(maxsplit=1)[0]:
            return other


def _patterns(text: str) -> list[str]:
    return [f"<{part.split('>', 1)[0]}>" for part in text.split("<")[1:]]


def _fill(text: str, slots: dict[str, str]) -> str:
    for slot, word in slots.items():
        text = text.replace(slot, word)
    return text


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


MAKERS: Final[dict[Intent, Callable[[Draw], Made]]] = {
    "summarise": summarise,
    "extract": extract,
    "classify": classify,
    "refuse": refuse,
    "uncertain": uncertain,
}
