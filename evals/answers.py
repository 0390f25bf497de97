"""Answers, and the journal that keeps them.

Each answer is a line that is written when it arrives, so a run that dies goes on
where it stopped. A line is found again by its key, a digest of all that decides the
answer: the sample's content, the model's ref and bytes, and the parameters.
"""

import fcntl
import hashlib
from pathlib import Path
from typing import IO, Final, Literal

import msgspec

from evals.errors import JournalError, SetupError
from evals.samples import Sample

Verdict = Literal["valid", "repaired", "reasked", "constrained", "invalid", "truncated"]
Mode = Literal["free", "constrained"]
DELIVERED: Final = frozenset({"valid", "repaired", "reasked", "constrained"})


class Params(msgspec.Struct, frozen=True):
    """What is sent beside the input; part of an answer's key."""

    surface: str
    max_tokens: int
    temperature: float = 0.0
    mode: Mode = "free"
    """`constrained`: the decoder is bound to the surface's schema, whatever the
    surface's own mode; used for the baseline alone."""


class Subject(msgspec.Struct, frozen=True):
    """Who answers: a generator, and the model ref that it means in this run."""

    generator: str
    model: str
    digest: str = ""
    """The adapter's digest; empty for the base, whose ref alone names its bytes."""


class Answer(msgspec.Struct, frozen=True):
    """What came back for one sample, as it will be scored."""

    sample: str
    generator: str
    model: str
    verdict: Verdict
    status: str | None = None
    text: str | None = None
    citations: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()
    completion_tokens: int | None = None
    prompt_tokens: int | None = None
    ttft_ms: float | None = None
    total_ms: float | None = None
    reason: str = ""
    request_id: str = ""
    detail: str = ""
    """For outputs that were not delivered: stage, path and message of the error."""


class Entry(msgspec.Struct, frozen=True):
    """A line of the journal."""

    key: str
    answer: Answer


def key(sample: Sample, subject: Subject, params: Params) -> str:
    """SHA-256 in hex of all that decides an answer."""
    parts = (sample.digest, subject.model, subject.digest, params)
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()


class Journal:
    """Answers by key, appended to a file and flushed one by one."""

    def __init__(self, file: IO[bytes], known: dict[str, Answer]) -> None:
        self._file = file
        self._known = known

    @classmethod
    def open(cls, path: Path, *, fresh: bool = False) -> "Journal":
        """Open or create; a torn last line, the mark of a crash, is cut off.

        One process at a time: a second writer would tear the lines of the first.

        Args:
            path: the file; of two lines of one key the later counts.
            fresh: take nothing for known, so that all is asked again.

        Raises:
            JournalError: a broken line has others after it.
            SetupError: another process has it open.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        file = path.open("r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            known = _known(path, file)
            return cls(file, {} if fresh else known)
        except BlockingIOError as error:
            file.close()
            raise SetupError(f"{path} is in use by another run; wait for it") from error
        except JournalError:
            file.close()
            raise

    def get(self, key: str) -> Answer | None:
        """The recorded answer, if there is one."""
        return self._known.get(key)

    def add(self, key: str, answer: Answer) -> None:
        """Record an answer; it is in the file when this returns."""
        self._known[key] = answer
        self._file.write(msgspec.json.encode(Entry(key, answer)) + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _known(path: Path, file: IO[bytes]) -> dict[str, Answer]:
    """Read what is recorded, and leave the file open at its whole end."""
    known: dict[str, Answer] = {}
    whole = 0
    lines = file.read().splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        try:
            entry = msgspec.json.decode(line, type=Entry)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            if number == len(lines):
                break
            raise JournalError(
                f"{path}:{number}: {error}; remove the line to have it asked again"
            ) from error
        if not line.endswith(b"\n"):
            break
        known[entry.key] = entry.answer
        whole += len(line)
    file.truncate(whole)
    file.seek(whole)
    return known
