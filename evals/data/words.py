"""The words that samples are made from: TOML files beside this one, read when needed."""

import tomllib
from pathlib import Path
from typing import Final, TypeVar

import msgspec

WORDS: Final = Path(__file__).with_name("words")

T = TypeVar("T")


class Property(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What passages say of a product, and how it is asked for, in two ways."""

    noun: str
    values: tuple[str, ...]
    statements: tuple[str, ...]
    questions: tuple[str, str]


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A note, what a summary keeps of it, and words of which a right one has one."""

    note: str
    core: str
    keys: tuple[str, ...]


class Labels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Labels, each with messages that belong to it."""

    texts: dict[str, tuple[str, ...]]


class Requests(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Requests that are not for one property."""

    pair: tuple[str, ...]
    summary: tuple[str, ...]
    label: tuple[str, ...]
    beyond: tuple[str, ...]


class English(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`english.toml`."""

    brands: tuple[str, ...]
    kinds: tuple[str, ...]
    people: tuple[str, ...]
    id_styles: tuple[str, ...]
    fillers: tuple[str, ...]
    properties: tuple[Property, ...]
    events: tuple[Event, ...]
    labels: tuple[Labels, ...]
    requests: Requests


class Taboo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What policy forbids; baits are passages that hold it."""

    kind: str
    answers: tuple[str, ...]
    requests: tuple[str, ...]
    baits: tuple[str, ...] = ()


class Lookalike(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A harmless request in a forbidden one's words."""

    passage: str
    value: str
    question: str
    answer: str


class Attack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of attack; `orders` stand in passages."""

    kind: str
    requests: tuple[str, ...]
    answer: str
    baits: tuple[str, ...] = ()
    orders: tuple[str, ...] = ()


class Refusals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`refusals.toml`."""

    taboos: tuple[Taboo, ...]
    lookalikes: tuple[Lookalike, ...]
    attacks: tuple[Attack, ...]


Said = tuple[str, str, str, str]
"""Value, statement, question, answer."""


class Translated(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A property in five languages, with the range of its number."""

    key: str
    range: tuple[int, int]
    en: Said
    de: Said
    fr: Said
    es: Said
    it: Said


class Locales(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`locales.toml`."""

    suffixes: tuple[str, ...]
    properties: tuple[Translated, ...]


class Passage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A real passage, and a question whose answer stands in it."""

    at: str
    text: str
    ask: str
    accepted: tuple[str, ...]


class Documents(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`sqlite.toml`: passages of one source, word for word."""

    package: str
    licence: str
    written: str
    passage: tuple[Passage, ...]


def read(name: str, kind: type[T]) -> T:
    """Read `words/NAME.toml`; raises msgspec.ValidationError for a defect of ours."""
    text = (WORDS / f"{name}.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), kind)
