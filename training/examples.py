"""Examples in the project's JSONL form: one line, one input with its right output."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec

from structured.prompt import AssistInput
from training.errors import DataError

_Any = TypeVar("_Any")

Intent = Literal["summarise", "extract", "classify", "refuse", "uncertain"]
Split = Literal["train", "val", "test"]
Status = Literal["ok", "uncertain", "refused"]

INTENTS: Final[tuple[Intent, ...]] = (
    "summarise",
    "extract",
    "classify",
    "refuse",
    "uncertain",
)


class Output(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the assistant should say; the field order is the order in the JSON."""

    status: Status
    answer: str
    citations: tuple[str, ...] = ()

    def text(self) -> str:
        """The exact text that a model learns: compact JSON, no spaces."""
        return msgspec.json.encode(self).decode()


class Example(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One example; a generated one's `id` is SPLIT-NUMBER-INTENT-KIND."""

    id: str
    intent: Intent
    split: Split
    input: AssistInput
    output: Output
    source: str = ""
    """From curation: where it is from, and the columns that govern its use."""
    license: str = ""
    consent: str = ""
    region: str = ""
    date: str = ""
    """ISO 8601."""


def dumps(examples: Iterable[Example]) -> bytes:
    """Encode as JSONL; the same examples give the same bytes."""
    return b"".join(msgspec.json.encode(example) + b"\n" for example in examples)


def digest(examples: Iterable[Example]) -> str:
    """Hex sha256 of the JSONL bytes."""
    return hashlib.sha256(dumps(examples)).hexdigest()


def load(path: Path) -> tuple[Example, ...]:
    """Read JSONL.

    Raises:
        DataError: the file cannot be read, or a line is not an example.
    """
    examples: list[Example] = []
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise DataError(f"cannot read examples: {error}") from error
    for number, line in enumerate(lines, start=1):
        try:
            examples.append(msgspec.json.decode(line, type=Example))
        except msgspec.MsgspecError as error:
            raise DataError(f"{path}, line {number}: {error}") from error
    return tuple(examples)


def spread(found: Sequence[_Any], count: int) -> tuple[_Any, ...]:
    """So many of them, evenly over all, in their order; all where there are fewer."""
    if len(found) <= count:
        return tuple(found)
    return tuple(found[index * len(found) // count] for index in range(count))
