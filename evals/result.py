"""The result of a run of the suite: everything that a report is made from.

Reports are functions of it alone, so each can be made again from the JSON of a run.
"""

import msgspec

from adapters.verdict import Word
from evals.answers import Answer, Mode, Params, Subject
from evals.gates import Finding
from evals.samples import Sample
from evals.statistics import Interval


class Origin(msgspec.Struct, frozen=True):
    """How a run was made, as a report's first lines say."""

    command: str
    date: str
    engine: str
    machine: str


class Arm(msgspec.Struct, frozen=True):
    """One generator's answers in one mode, and what the scorers made of them."""

    subject: Subject
    mode: Mode
    answers: dict[str, Answer]
    """By sample id; samples that were not asked are not there."""
    scores: dict[str, dict[str, float]]
    """By measure, then by sample id: only the samples that count for it."""
    summary: dict[str, Interval | None]
    """By measure, over all samples that count, documents weighing alike."""
    seconds: float = 0.0
    """How long asking took, `recorded` answers apart."""
    recorded: int = 0
    """Answers that an earlier run had asked for already."""

    @property
    def took(self) -> str:
        """What of it was asked in which time, in words."""
        n = len(self.answers)
        if not self.recorded:
            return f"{n} answers in {self.seconds:.0f} s"
        new = n - self.recorded
        return f"{n} answers, {new} of them new, in {self.seconds:.0f} s"


class Judged(msgspec.Struct, frozen=True):
    """A generator's verdict."""

    generator: str
    verdict: Word
    findings: tuple[Finding, ...]


class SuiteResult(msgspec.Struct, frozen=True):
    """A run of the suite."""

    run: str
    origin: Origin
    params: Params
    confidence: float
    samples: tuple[Sample, ...]
    samples_digest: str
    gates_digest: str
    arms: tuple[Arm, ...]
    """In free decoding, in the order of the generators."""
    baseline: Arm | None
    """What `tokens` is compared with: the base, constrained where it is hardly ever
    valid in free decoding."""
    judged: tuple[Judged, ...]
    """Of the adapters; the base is what they are compared with, and is not judged."""
    notes: tuple[str, ...] = ()
    """What a reader has to know: a budget that ended the run, a baseline's choice."""


def arm(result: SuiteResult, generator: str) -> Arm | None:
    """A generator's arm, if it was asked."""
    found = (each for each in result.arms if each.subject.generator == generator)
    return next(found, None)
