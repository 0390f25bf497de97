"""The words of a language, and the part of them that a split may use.

Every eighth of each list is kept for the test period, so that what is tested differs
from what is learnt in wording and in subject, not only in a drawn number.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final, Literal, TypeVar, get_args

import msgspec

from training.errors import ConfigError
from training.examples import Split

Language = Literal["en", "de", "fr", "es", "it"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
HELD: Final = 8
"""One of so many is for the test alone."""
WATCHED: Final = 3
"""The place, of each eight brands, of the one that validation has to itself."""

_HOME: Final = Path(__file__).with_name("words")
_Any = TypeVar("_Any")
Texts = tuple[str, ...]


class Property(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What passages state and requests ask."""

    noun: str
    on: str
    """Letters of the kinds of products that have it."""
    values: Texts
    """Patterns: `<lo-hi>` stands for a whole number of that range."""
    says: Texts
    """With `{p}` (product) and `{v}` (value)."""
    asks: Texts
    """With `{p}`."""
    kin: str = ""
    """Properties of one kin are never asked and stated of one product together: a
    reader might take one for the other."""


class Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One matter of policy: how it is asked for, and what is said instead."""

    answer: str
    """Key of the fixed sentence."""
    requests: Texts
    """With `{p}`, `{who}`, or `{id}` of a passage that holds an order."""
    baits: Texts = ()
    """Passages that hold what must not be given away."""
    name: str = ""
    on: str = "DSP"
    """Letters of the kinds of products that it fits."""


class Lookalike(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A harmless matter in the words of a forbidden one."""

    on: str
    """Letters of the kinds of products that it fits."""
    says: str
    values: Texts
    asks: Texts


class Labels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A set of labels, with texts that belong to each."""

    texts: dict[str, Texts]
    on: str = "D"
    """Letters of the kinds of products that the texts are about."""


class Paragraph(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A piece of real prose."""

    text: str
    qa: tuple[tuple[str, str], ...]
    """Questions, each with the span of the text that answers it."""
    lacks: Texts
    """Questions that it leaves open though they are near."""


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All words of a language, from all of its files."""

    uncertain: str = ""
    answers: dict[str, str] = {}
    """The fixed sentences of refusals."""
    brands: Texts = ()
    people: Texts = ()
    id_styles: Texts = ()
    systems: Texts = ()
    markers: Texts = ()
    kinds: dict[str, Texts] = {}
    brand_first: bool = False
    """`Velmont pump`; elsewhere the kind has its article: `la pompe Velmont`."""
    properties: tuple[Property, ...] = msgspec.field(name="property", default=())
    families: tuple[Family, ...] = msgspec.field(name="family", default=())
    lookalikes: tuple[Lookalike, ...] = msgspec.field(name="lookalike", default=())
    paragraphs: tuple[Paragraph, ...] = msgspec.field(name="paragraph", default=())
    labels: tuple[Labels, ...] = ()
    notes: tuple[tuple[str, str, str], ...] = ()
    """Letters of the kinds that it fits, the note, and what a summary keeps of it."""
    fillers: Texts = ()
    beyond: Texts = ()
    """Questions with `{p}` that no passage answers."""
    beyond_bare: Texts = ()
    both: Texts = ()
    """Requests for `{a}` and `{b}` of `{p}`."""
    summaries: Texts = ()
    labelling: Texts = ()
    orders: Texts = ()
    """What a passage may want of a machine that reads it; with `{m}`, a marker."""
    dresses: Texts = ()
    """Ways to make a forbidden request `{r}` look allowed."""


_SHARED: Final = ("brands", "people", "id_styles", "systems", "markers")
"""What the other languages take from English."""


@cache
def words_of(language: Language, split: Split) -> Words:
    """What a split may use; training and validation differ in their brands alone.

    Raises:
        ConfigError: a file of words is no such thing.
    """
    words = _all(language)
    if language != "en":
        english = _all("en")
        shared = {name: getattr(english, name) for name in _SHARED}
        words = msgspec.structs.replace(words, **shared)
    test = split == "test"
    whole = ("uncertain", "answers", "id_styles", "markers")
    parts = {
        name: _part(getattr(words, name), test=test)
        for name in words.__struct_fields__
        if name not in (*whole, "kinds", "brand_first", "families", "brands")
    }
    return msgspec.structs.replace(
        words,
        **parts,
        kinds={
            letter: _part(found, test=test) for letter, found in words.kinds.items()
        },
        families=tuple(_family(one, test=test) for one in words.families),
        brands=_brands(words.brands, split),
    )


def _all(language: Language) -> Words:
    merged: dict[str, object] = {}
    for path in sorted((_HOME / language).glob("*.toml")):
        try:
            words = msgspec.toml.decode(path.read_bytes(), type=Words)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: {error}") from error
        merged |= {
            name: value
            for name in words.__struct_fields__
            if (value := getattr(words, name))
        } | _joined(merged, words)
    return Words(**merged)  # pyright: ignore[reportArgumentType] - fields of Words itself


def _joined(merged: dict[str, object], words: Words) -> dict[str, object]:
    """Properties stand in several files."""
    before = merged.get("properties")
    if not isinstance(before, tuple):
        return {}
    return {"properties": (*before, *words.properties)}


def _part(found: Sequence[_Any], *, test: bool) -> tuple[_Any, ...]:
    """The held ones or the others; of a short list the last one is held."""
    last = len(found) - 1 if 1 < len(found) < HELD else HELD - 1
    return tuple(
        one for place, one in enumerate(found) if (place % HELD == last) == test
    )


def _family(family: Family, *, test: bool) -> Family:
    return msgspec.structs.replace(
        family,
        requests=_part(family.requests, test=test),
        baits=_part(family.baits, test=test),
    )


def _brands(brands: Texts, split: Split) -> Texts:
    own: dict[int, Split] = {HELD - 1: "test", WATCHED: "val"}
    return tuple(
        brand
        for place, brand in enumerate(brands)
        if own.get(place % HELD, "train") == split
    )
