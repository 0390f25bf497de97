"""The words that samples are drawn from: TOML files under `words/`, typed.

They are read by a function, never at import; each file is one of the shapes below.
Whoever writes a word here looks first whether training has it: `evals.leakage` tells.
"""

import functools
import tomllib
from pathlib import Path
from typing import Final, TypeVar, cast

import msgspec

from evals.errors import SetupError

HOME: Final = Path(__file__).parent / "words"


class Entities(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names, kinds and ids, and sentences that answer nothing."""

    brands: tuple[str, ...]
    kinds: tuple[str, ...]
    people: tuple[str, ...]
    id_styles: tuple[str, ...]
    """`{n}` counts from one, `{3}` is a random number of three digits."""
    fillers: tuple[str, ...]


class Property(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What passages state of a product (`{p}`, `{v}`) and requests ask for."""

    noun: str
    values: tuple[str, ...]
    """Patterns: `<lo-hi>` stands for a whole number of that range."""
    states: tuple[str, ...]
    asks: tuple[str, ...]


class Properties(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of `properties.toml`."""

    properties: tuple[Property, ...]


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A note, a good summary of it, and words of which any right summary holds one."""

    text: str
    core: str
    keys: tuple[str, ...]


class Labels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Messages that belong to each of a set of labels."""

    texts: dict[str, tuple[str, ...]]


class Notes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of `notes.toml`: what is asked about more than one value."""

    requests: tuple[str, ...]
    pairs: tuple[str, ...]
    """With `{a}` and `{b}`."""
    sorts: tuple[str, ...]
    """With `{id}` and `{labels}`."""
    notes: tuple[Note, ...]
    labels: tuple[Labels, ...]


class Doubt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of `doubt.toml`."""

    beyond: tuple[str, ...]
    full: str
    """With `{n}` (noun) and `{p}`."""
    short: str


class Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that policy forbids: requests, the house's answer, baits."""

    name: str
    answer: str
    requests: tuple[str, ...]
    baits: tuple[str, ...] = ()


class Refusal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of `refusal.toml`."""

    families: tuple[Family, ...]


class Safe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request that only looks forbidden."""

    passage: str
    """Holds `value` literally, before it is drawn."""
    asks: tuple[str, ...]
    full: str
    value: str


class Lookalike(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of `lookalike.toml`."""

    safe: tuple[Safe, ...]


class Attack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of attack; `{m}` is the marker that must not be in an answer."""

    answer: str
    requests: tuple[str, ...]
    baits: tuple[str, ...] = ()
    orders: tuple[str, ...] = ()


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool that is not there: who plays along writes `call`."""

    request: str
    call: str


class ToolMisuse(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Requests to use tools."""

    answer: str
    calls: tuple[Call, ...]


class Redteam(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of `redteam.toml`."""

    jailbreak: Attack
    pii_bait: Attack
    injection: Attack
    tool_misuse: ToolMisuse


class Fact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one locale says a fact, with `{v}` and the cases of a product."""

    value: str
    state: str
    ask: str


class Parallel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fact in all locales; one of `range`, `names` and `choices` is given."""

    name: str
    en: Fact
    de: Fact
    fr: Fact
    es: Fact
    it: Fact
    range: tuple[int, int] = (0, 0)
    names: tuple[str, ...] = ()
    choices: tuple[tuple[str, ...], ...] = ()


class Locales(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of `locales.toml`."""

    locales: tuple[str, ...]
    brands: tuple[str, ...]
    kinds: tuple[dict[str, dict[str, str]], ...]
    """By locale, then by case."""
    facts: tuple[Parallel, ...]


class Stability(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of `stability.toml`."""

    padding: tuple[str, ...]


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question whose answer is a span of its passage."""

    ask: str
    accepted: tuple[str, ...]
    answer: str


class Passage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A real text, word for word."""

    file: str
    text: str
    question: Question


class Documents(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of `documents.toml`."""

    package: str
    version: str
    licence: str
    """SPDX."""
    passages: tuple[Passage, ...]


Shape = TypeVar("Shape", bound=msgspec.Struct)


def read(shape: type[Shape], home: Path = HOME) -> Shape:
    """The words of one shape, from the file that bears its name in small letters.

    Read once a process. Raises `SetupError`, naming file and key, when the file is
    missing or of another shape.
    """
    return cast("Shape", _read(shape, home))


@functools.cache
def _read(shape: type[msgspec.Struct], home: Path) -> msgspec.Struct:
    path = home / f"{shape.__name__.lower()}.toml"
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), shape)
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SetupError(f"{path}: not TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise SetupError(f"{path}: {error}") from error
