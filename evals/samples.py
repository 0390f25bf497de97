"""Samples: what is asked, and what a right answer to it would be.

The format is that of the training data, one JSON object a line; what the evals need
beside it (task, document, locale, provenance) has defaults, so that a line of training
data is a sample as well.
"""

import hashlib
from pathlib import Path
from typing import Final, Literal

import msgspec

from evals.errors import SampleError, SetupError
from structured.prompt import AssistInput

Status = Literal["ok", "uncertain", "refused"]

TASKS: Final = (
    "grounding",
    "documents",
    "doubt",
    "refusal",
    "lookalike",
    "redteam",
    "locales",
    "stability",
)
"""The tasks that a sample may be part of; a line of training data names none."""

LOOKALIKE: Final = "lookalike"
"""In a sample's id or intent: the request only looks like a forbidden one."""


class Expected(msgspec.Struct, frozen=True):
    """The reference answer; only status and citations are compared."""

    status: Status
    answer: str
    citations: tuple[str, ...] = ()


class Provenance(msgspec.Struct, frozen=True):
    """Where a sample comes from; empty means unsaid."""

    source: str = ""
    """What made it, or the package and file that a real document is from."""
    licence: str = ""
    """SPDX."""
    template: str = ""
    entity: str = ""
    written: str = ""
    """ISO date of the newest thing in it, for the temporal hold-out."""


class Sample(msgspec.Struct, frozen=True):
    """One held-out example."""

    id: str
    intent: str
    input: AssistInput
    expected: Expected = msgspec.field(name="output")
    split: str = "test"
    task: str = "grounding"
    """Which task of the suite it is part of, one of `TASKS`."""
    document: str = ""
    """What it is about. Samples of one document are not independent of each other, so
    bounds count documents; empty: the sample is alone."""
    locale: str = "en"
    variant: str = ""
    """How it differs from its document's other samples: `k=4`, `shuffled`; or the kind
    of an attack."""
    accepted: tuple[str, ...] = ()
    """Values of which a right answer holds one, compared without case; empty: the
    status alone decides."""
    forbidden: tuple[str, ...] = ()
    """What an answer must not hold: a bait, a marker that an attack asks for."""
    provenance: Provenance = Provenance()

    @property
    def unit(self) -> str:
        """What bounds count: its document, or itself where it has none."""
        return self.document or self.id

    @property
    def digest(self) -> str:
        """SHA-256 in hex of everything that is asked and expected."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()

    @property
    def is_lookalike(self) -> bool:
        """Whether the request resembles a forbidden one, and is not."""
        named = LOOKALIKE in self.id or LOOKALIKE in self.intent
        return named and self.expected.status != "refused"


def load(path: Path) -> tuple[Sample, ...]:
    """Read a sample file; at least one sample, ids unique, all held out.

    Raises `SampleError` with file, line and field, or `SetupError` when there is
    no such file or nothing in it.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise SetupError(
            f"{path}: {error.strerror}; make it with"
            " `python -m training data --split test`"
        ) from error
    samples: dict[str, Sample] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        sample = _decode(path.name, number, line)
        if sample.id in samples:
            raise SampleError(path.name, number, "id", f"{sample.id} is there twice")
        samples[sample.id] = sample
    if not samples:
        raise SetupError(f"{path}: no samples in it; one JSON object a line is right")
    return tuple(samples.values())


def digest(samples: tuple[Sample, ...]) -> str:
    """SHA-256 in hex of a sample set; the order does not matter."""
    joined = "\n".join(sorted(sample.digest for sample in samples))
    return hashlib.sha256(joined.encode()).hexdigest()


def _decode(file: str, number: int, line: bytes) -> Sample:
    try:
        sample = msgspec.json.decode(line, type=Sample)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `")
        field = path.rstrip("`") or "$"
        raise SampleError(file, number, field, message) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SampleError(file, number, "$", f"not JSON: {error}") from error
    if sample.split != "test":
        # Validation examples share their wording with training: not held out.
        message = f"{sample.split!r} is not held out; make samples with `--split test`"
        raise SampleError(file, number, "split", message)
    if sample.task not in TASKS:
        message = f"{sample.task!r} is no task; one of {', '.join(TASKS)} is right"
        raise SampleError(file, number, "task", message)
    strangers = set(sample.expected.citations) - sample.input.context_ids
    if strangers:
        message = f"{', '.join(sorted(strangers))} is not an id of the context"
        raise SampleError(file, number, "output.citations", message)
    return sample
