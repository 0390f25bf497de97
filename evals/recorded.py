"""Production's outputs as the gateway kept them, in the form that scorers take.

A tenant opts in (`keep`), and what is kept has been scrubbed; see `structured.kept`.
There is no right answer to any of it, no count of tokens and no conversation.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from evals.answers import DELIVERED, Answer, Verdict
from evals.errors import SetupError
from evals.samples import Expected, Sample
from structured import kept
from structured.kept import Output
from structured.prompt import AssistInput

PATTERN: Final = "kept-*.jsonl"
"""As the gateway names its files."""


class Group(msgspec.Struct, frozen=True, order=True):
    """Whose outputs are looked at together."""

    surface: str
    generator: str
    model: str
    mode: str
    """`free` or `constrained`; never to be pooled."""


class Record(msgspec.Struct, frozen=True):
    """One output of production."""

    group: Group
    at: str
    tenant: str
    sample: Sample
    """What was asked; its expected answer means nothing."""
    answer: Answer
    context_ids: frozenset[str] | None
    """None: a chat, whose passages nobody knows."""
    raw: str
    """The first output, as the model wrote it."""

    @property
    def key(self) -> tuple[str, str]:
        """By which records sort: the time, and then the id."""
        return self.at, self.sample.id


class Found(msgspec.Struct, frozen=True):
    """What a file holds."""

    records: tuple[Record, ...]
    torn: int
    """Lines that are none."""


class _Assist(msgspec.Struct):
    status: str
    answer: str
    citations: tuple[str, ...] = ()


def files(where: Iterable[Path]) -> list[Path]:
    """Name the files of directories, and files that are named themselves; by name.

    A directory that is not there has no files: nothing has been kept yet.
    """
    found: set[Path] = set()
    for path in where:
        found.update([path] if path.is_file() else path.glob(PATTERN))
    return sorted(found, key=lambda path: path.name)


def read(path: Path, locale: str) -> Found:
    """Read one file.

    Args:
        path: of kept lines.
        locale: which language its texts count as.

    Raises:
        SetupError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            lines, torn = kept.read(file)
    except FileNotFoundError:
        return Found((), 0)  # the gateway has deleted it meanwhile
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}") from error
    outputs = [line for line in lines if isinstance(line, Output)]
    records = tuple(_records(outputs, locale))
    return Found(records, torn + len(outputs) - len(records))


def _records(outputs: Iterable[Output], locale: str) -> Iterator[Record]:
    for output in outputs:
        try:
            verdict = msgspec.convert(output.verdict, Verdict)
        except msgspec.ValidationError:
            continue  # another version's word: counted as torn, and scored as nothing
        yield Record(
            group=Group(output.surface, output.generator, output.model, output.mode),
            at=output.at,
            tenant=output.tenant,
            sample=_sample(output, locale),
            answer=_answer(output, verdict),
            context_ids=output.input.context_ids if output.input else None,
            raw=output.raw,
        )


def _sample(output: Output, locale: str) -> Sample:
    given = output.input or AssistInput(user="\n".join(_texts(output.messages)))
    nothing = Expected("ok", "")
    return Sample(output.id, "production", given, nothing, locale=locale)


def _texts(value: Any) -> Iterator[str]:
    """All strings of a chat's messages: what the model was given."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():  # pyright: ignore[reportUnknownVariableType] -- any JSON
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:  # pyright: ignore[reportUnknownVariableType] -- any JSON
            yield from _texts(each)


def _answer(output: Output, verdict: Verdict) -> Answer:
    said = None
    if verdict in DELIVERED and not output.refused:
        said = _said(output.repaired)
    return Answer(
        sample=output.id,
        generator=output.generator,
        model=output.model,
        verdict=verdict,
        status=said.status if said else None,
        text=said.answer if said else None,
        citations=said.citations if said else (),
        repairs=output.repairs,
        request_id=output.request_id,
    )


def _said(value: object) -> _Assist | None:
    """The parts of an output that has the shape of the assistant's; None of others."""
    try:
        return msgspec.convert(value, _Assist)
    except msgspec.ValidationError:
        return None
