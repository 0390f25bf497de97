"""Summaries and labels."""

from typing import Final

import msgspec

from structured.prompt import AssistInput
from training.assistant import scene
from training.assistant.draw import Draw, Fact, Made, Product, filled, told, upper
from training.assistant.scene import Stated
from training.assistant.words import Property
from training.examples import Output

_NOTES: Final = 0.55
"""Share of summaries of notes, where the language has them; the others are of facts."""
_TOLD: Final = {1: 35, 2: 65}
_TOLD_FACTS: Final = {1: 28, 2: 50, 3: 22}
_BESIDE: Final = {0: 22, 1: 31, 2: 24, 3: 12, 4: 6, 6: 5}
_MESSAGES: Final = {1: 16, 2: 25, 3: 25, 4: 17, 5: 7, 8: 10}
_OTHER_SET: Final = 0.35


class _Part(msgspec.Struct, frozen=True):
    """A passage on the product, and what a summary says of it."""

    text: str
    said: str
    value: str
    """Of a fact; of a note what is said."""


def summarise(draw: Draw) -> Made:
    """All that the passages say of one product, in as few words as will do."""
    notes = bool(draw.words.notes) and draw.chance(_NOTES)
    product, ours = _notes(draw) if notes else _facts(draw)
    others = _of_others(draw, product, [part.value for part in ours])
    every = [*ours, *others]
    draw.rng.shuffle(every)
    context = draw.context(scene.padded(draw, [one.text for one in every]))
    pairs = list(zip(context, every, strict=True))
    parts = [(item, one) for item, one in pairs if isinstance(one, _Part)]
    said = [part.said for _, part in parts]
    answer = ". ".join(said) if notes else "; ".join(said)
    user = filled(draw.deal("summary", draw.words.summaries), product)
    return Made(
        "notes" if notes else "facts",
        AssistInput(user, context, draw.system()),
        Output("ok", upper(f"{answer}."), tuple(item.id for item, _ in parts)),
        () if notes else tuple(Fact(p.value, (i.text,)) for i, p in parts),
        tuple((i.id, one.value) for i, one in pairs if isinstance(one, Stated)),
    )


def _notes(draw: Draw) -> tuple[Product, list[_Part]]:
    letters, first, core = draw.deal("note", draw.words.notes)
    product = draw.product(letters)
    fit = [
        (note, core)
        for letters, note, core in draw.words.notes
        if product.letter in letters and note != first
    ]
    more = draw.rng.sample(fit, min(len(fit), draw.weighed(_TOLD) - 1))
    parts: list[_Part] = []
    for note, short in ((first, core), *more):
        said = filled(short, product)
        parts.append(_Part(filled(note, product), said, said))
    return product, parts


def _facts(draw: Draw) -> tuple[Product, list[_Part]]:
    first = draw.deal("property told", draw.words.properties)
    product = draw.product(first.on)
    props: list[Property] = [first]
    sizes = _TOLD_FACTS if draw.words.brand_first else _TOLD  # a token says less there
    for _ in range(draw.weighed(sizes) - 1):
        more = scene.also(draw, product, props)
        props += [more] if more else []
    parts: list[_Part] = []
    for prop in props:
        stated = scene.state(draw, prop, product)
        said = told(prop.noun, stated.value)
        parts.append(_Part(stated.text, said, stated.value))
    return product, parts


def _of_others(draw: Draw, product: Product, values: list[str]) -> list[Stated]:
    """Notes and facts of other products."""
    size = draw.weighed(_BESIDE)
    found: list[Stated] = []
    for _ in range(size):
        other = draw.other(product)
        if draw.words.notes and draw.chance(0.4):
            _, note, core = draw.rng.choice(draw.words.notes)
            found.append(Stated(filled(note, other), filled(core, other)))
            continue
        prop = scene.also(draw, product, [])
        if prop is not None:
            found += scene.distractors(draw, other, prop, 1, values)
    return [one for one in found if product.name.lower() not in one.text.lower()]


def classify(draw: Draw) -> Made:
    """One label of those offered, for the passage that the request names."""
    chosen = draw.deal("labels", draw.words.labels)
    labels = chosen.texts
    names = list(labels)
    draw.rng.shuffle(names)
    cards = [(label, text) for label in labels for text in labels[label]]
    asked, text = draw.deal(f"texts {sorted(names)}", cards)
    product = draw.product(chosen.on)
    every = [Stated(filled(text, product), asked)]
    for _ in range(draw.weighed(_MESSAGES) - 1):
        away = draw.chance(_OTHER_SET)
        found = draw.rng.choice(draw.words.labels) if away else chosen
        label = draw.rng.choice(list(found.texts))
        said = draw.rng.choice(found.texts[label])
        every.append(Stated(filled(said, draw.product(found.on)), label))
    first = every[0]
    every = list({stated.text: stated for stated in every}.values())
    draw.rng.shuffle(every)
    context = draw.context([one.text for one in every], spoken=True)
    target = every.index(first)
    name = context[target].id
    user = draw.deal("labelling", draw.words.labelling).replace("{id}", name)
    user = user.replace("{labels}", _offer(draw, names))
    wrong = tuple((context[target].id, label) for label in names if label != asked)
    return Made(
        "label",
        AssistInput(user, context, draw.system()),
        Output("ok", upper(f"{asked}."), (name,)),
        (),
        wrong,
    )


def _offer(draw: Draw, names: list[str]) -> str:
    """The labels, set apart in one of the ways in which people do that."""
    between = draw.rng.choice((", ", " / ", ", ", " | "))
    return between.join(names)
