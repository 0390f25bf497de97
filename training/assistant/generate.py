"""Make the raw examples of the second generation, as curation takes them.

What is taught is behaviour. Products, people and values are invented and drawn, so no
answer can be known without its context. All chance comes from generators that are
seeded per intent: the same seed and count give the same bytes on every machine.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from random import Random  # noqa: TID251 - draws examples; nobody is bucketed by it
from typing import Final

import msgspec

from training.assistant import ask, refuse, tell
from training.assistant.draw import Draw, Made, holds
from training.assistant.words import LANGUAGES, Language, words_of
from training.curate.records import Record, flaw
from training.errors import DataError
from training.examples import INTENTS, Intent, Split

DEFAULT_SEED: Final = 20_262
DEFAULT_COUNT: Final = 5200

PERIODS: Final[dict[Split, tuple[dt.date, dt.date]]] = {
    "train": (dt.date(2026, 1, 5), dt.date(2026, 8, 31)),
    "val": (dt.date(2026, 9, 1), dt.date(2026, 9, 30)),
    "test": (dt.date(2026, 10, 1), dt.date(2026, 10, 31)),
}
"""First and last days; `curation.toml` cuts between them."""

REGIONS: Final[dict[Language, str]] = {
    "en": "US", "de": "DE", "fr": "FR", "es": "ES", "it": "IT",
}  # fmt: skip
_SHARES: Final[dict[Language, int]] = {"en": 26, "de": 4, "fr": 4, "es": 3, "it": 3}
SPLITS: Final[tuple[Split, ...]] = tuple(
    "test" if place in (4, 14) else "val" if place == 9 else "train"  # noqa: PLR2004 - places, of which each is a twentieth
    for place in range(20)
)
_WRITTEN: Final = ("prose", "lacks")
_TRIES: Final = 200


class Example(msgspec.Struct, frozen=True):
    """An example, and where it belongs."""

    intent: Intent
    split: Split
    language: Language
    made: Made


def generate(
    count: int = DEFAULT_COUNT, seed: int = DEFAULT_SEED
) -> tuple[Record, ...]:
    """Raw examples of all intents, a fifth each.

    Args:
        count: how many; a few less if it is no multiple of five.
        seed: the same seed gives the same examples.

    Raises:
        DataError: the words cannot give so many different examples.
    """
    days = Random(f"{seed}/days")  # noqa: S311 - not a secret
    return tuple(
        _record(example, number, days)
        for number, example in enumerate(examples(count, seed, SPLITS))
    )


def examples(count: int, seed: int, splits: tuple[Split, ...]) -> Iterator[Example]:
    """The examples with what is known of each, intent by intent.

    Args:
        count: how many.
        seed: of all chance.
        splits: which one each example belongs to, in turn.
    """
    size = count // len(INTENTS)
    places = _places(size, seed, splits)
    asked = list(_unlike(places, f"{seed}/asked", ask.question))
    made: dict[Intent, Iterable[Made]] = {
        "extract": (two[0] for two in asked),
        "uncertain": (two[1] for two in asked),
        "summarise": _single(places, f"{seed}/summarise", tell.summarise),
        "classify": _single(places, f"{seed}/classify", tell.classify),
        "refuse": _single(places, f"{seed}/refuse", refuse.refuse),
    }
    for intent in INTENTS:
        for (split, language), one in zip(places, made[intent], strict=True):
            yield Example(intent, split, language, one)


def sound(made: Made) -> bool:
    """Whether each value stands in the passages that are cited for it and in no other.

    That is what an answer's citations claim; of a question without an answer, no
    passage may hold it.
    """
    context = made.input.context
    for fact in made.facts:
        where = tuple(item.text for item in context if holds(item.text, fact.value))
        if sorted(where) != sorted(fact.texts):
            return False
    return len(made.input.context_ids) == len(context)


def table(records: Iterable[Record]) -> str:
    """How many examples there are, by intent and language."""
    language = {region: name for name, region in REGIONS.items()}
    counts = dict.fromkeys(((i, name) for i in INTENTS for name in LANGUAGES), 0)
    for record in records:
        counts[record.intent, language[record.region]] += 1
    lines = [f"{'':<12}" + "".join(f"{name:>6}" for name in (*LANGUAGES, "all"))]
    for intent in INTENTS:
        row = [counts[intent, name] for name in LANGUAGES]
        lines.append(f"{intent:<12}" + "".join(f"{n:>6}" for n in (*row, sum(row))))
    return "\n".join(lines)


def _places(
    size: int, seed: int, splits: tuple[Split, ...]
) -> list[tuple[Split, Language]]:
    """Split and language of each example of an intent, the same for all intents.

    So both of a minimal pair are on one side of each cut.
    """
    rng = Random(f"{seed}/languages")  # noqa: S311 - not a secret
    cards: list[Language] = [
        name for name, share in _SHARES.items() for _ in range(share)
    ]
    languages: list[Language] = []
    while len(languages) < size:
        languages += rng.sample(cards, len(cards))
    return [(splits[n % len(splits)], languages[n]) for n in range(size)]


def _single(
    places: list[tuple[Split, Language]], seed: str, maker: Callable[[Draw], Made]
) -> Iterator[Made]:
    return (one for (one,) in _unlike(places, seed, lambda draw: (maker(draw),)))


def _unlike(
    places: list[tuple[Split, Language]],
    seed: str,
    maker: Callable[[Draw], tuple[Made, ...]],
) -> Iterator[tuple[Made, ...]]:
    """One or two examples a place, all of them sound and no two with one input."""
    rng = Random(seed)  # noqa: S311 - not a secret
    draws: dict[tuple[Split, Language], Draw] = {}
    seen: set[tuple[str, ...]] = set()
    for place in places:
        split, language = place
        draw = draws.setdefault(place, Draw(words_of(language, split), rng))
        for _ in range(_TRIES):
            found = maker(draw)
            keys = {_key(made) for made in found}
            if all(map(sound, found)) and len(keys - seen) == len(found):
                break
        else:
            raise DataError(f"{seed}, {split}, {language}: no other examples exist")
        seen |= keys
        yield found


def _key(made: Made) -> tuple[str, ...]:
    return (made.input.user, *sorted(item.text for item in made.input.context))


def _record(example: Example, number: int, days: Random) -> Record:
    made, (first, last) = example.made, PERIODS[example.split]
    written = made.kind in _WRITTEN
    record = Record(
        intent=example.intent,
        input=made.input,
        output=made.output,
        source="Paragraphs written for Wastegate"
        if written
        else "Wastegate's generator of ACME Assistant's examples",
        license="Apache-2.0",
        consent="synthetic",
        region=REGIONS[example.language],
        date=first + dt.timedelta(days.randrange((last - first).days + 1)),
        id=f"{example.intent}-{number:05d}-{made.kind}",
    )
    if what := flaw(record):
        raise DataError(f"{record.id}: {what}")
    return record
