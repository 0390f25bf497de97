"""Raw examples as they come: JSON lines, each with the columns that govern its use."""

import datetime as dt
from collections.abc import Iterable
from pathlib import Path

import msgspec

from structured.prompt import AssistInput
from training.errors import DataError
from training.examples import Intent, Output


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One raw example; what it lacks of the governing columns, governance names."""

    intent: Intent
    input: AssistInput
    output: Output
    source: str = ""
    """Where it is from, as the card shall name it."""
    license: str = ""
    """An SPDX expression."""
    consent: str = ""
    """On what ground it may be used; which grounds count is configured."""
    region: str = ""
    """Where its subjects and its storage are, as ISO 3166-1: `DE`, `US`."""
    date: dt.date | None = None
    """When it came about: the hold-out in time goes by it."""
    id: str = ""
    """Unique; without one, FILE:LINE."""


def load(path: Path) -> tuple[Record, ...]:
    """Read JSON lines.

    Raises:
        DataError: naming file, line, field and what would be right.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise DataError(f"cannot read examples: {error}") from error
    records = tuple(
        _record(line, f"{path.name}:{number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    )
    if not records:
        raise DataError(f"{path}: no example in it; one JSON object a line is right")
    return records


def unique(records: Iterable[Record]) -> tuple[Record, ...]:
    """All of them, if no two have one id.

    Raises:
        DataError: two have, and which.
    """
    found: dict[str, Record] = {}
    for record in records:
        if record.id in found:
            raise DataError(
                f"two examples have the id {record.id!r}: ids tell where an example"
                " went, so each needs its own"
            )
        found[record.id] = record
    return tuple(found.values())


def flaw(record: Record) -> str:
    """Say what is wrong with what an example teaches; nothing where all is right."""
    ids = [item.id for item in record.input.context]
    answer, cited = record.output.answer.strip(), record.output.citations
    twice = sorted({id_ for id_ in ids if ids.count(id_) > 1})
    missing = sorted(set(cited) - set(ids))
    checks = (
        (not record.input.user.strip(), "input.user is empty"),
        (bool(twice), f"input.context has the id {', '.join(twice)} twice"),
        (not answer, "output.answer is empty"),
        (bool(missing), f"output.citations names {', '.join(missing)}, which is no id of input.context"),
        (len(set(cited)) < len(cited), "output.citations names an id twice"),
        (record.output.status == "refused" and bool(cited), "output.citations of a refusal is not empty"),
        ((record.intent == "refuse") != (record.output.status == "refused"), f"output.status is {record.output.status} and intent {record.intent}: a refusal is `refused`, and nothing else is"),
        (record.intent == "uncertain" and record.output.status != "uncertain", f"output.status is {record.output.status} and intent uncertain"),
    )  # fmt: skip
    return next((what for wrong, what in checks if wrong), "")


def _record(line: bytes, place: str) -> Record:
    try:
        record = msgspec.json.decode(line, type=Record)
    except msgspec.MsgspecError as error:
        raise DataError(f"{place}: {error}") from error
    return record if record.id else msgspec.structs.replace(record, id=place)
