"""Leakage: does anything in the suite stand in what was trained on?

Four questions, since each finds what the others miss: is an input nearly a training
input; does a sentence say the same but for names and numbers; does a name occur in
both; is anything in the suite as old as training. They are about wording: a passage
put in other words, or in another language, is none of their findings.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from evals import wording
from evals.errors import SampleError, SetupError
from evals.nearness import Index, Line, Near, Seen, written
from evals.samples import Sample
from evals.wording import Alike, Shared

THRESHOLD: Final = 0.5
"""As near as this counts as seen: half of all word triples are common."""
SAME: Final = 0.9
"""Two samples of different documents as near as this are one sample twice."""
SHOWN: Final = 10
"""Pairs and names that are named; counts are of all."""

Temporal = Literal["held", "violated", "unknown"]


class Leakage(msgspec.Struct, frozen=True):
    """What was found between a suite and the training data."""

    samples: int
    training: int
    threshold: float
    tasks: dict[str, Near]
    """The nearest pair of each task."""
    worst: tuple[Near, ...]
    """The nearest pairs of all, nearest first."""
    near: tuple[str, ...]
    """Ids of the samples at or above the threshold."""
    templates: tuple[Shared, ...]
    """One for each template."""
    sentences: tuple[Alike, ...]
    """The nearest pairs of sentences, nearest first."""
    entities: tuple[str, ...]
    """Names of the suite that training knows."""
    newest_training: str
    """ISO date; empty when no line of training bears one."""
    oldest_sample: str
    temporal: Temporal
    duplicates: tuple[Near, ...]
    """Pairs of samples that are one sample twice."""

    @property
    def is_clean(self) -> bool:
        """Nothing is shared; dates that nobody wrote down do not count."""
        found = (self.near, self.templates, self.entities, self.duplicates)
        return not any(found) and self.temporal != "violated"


def read(path: Path) -> tuple[Seen, ...]:
    """Read training data, one JSON object a line; what is not known is left out.

    Raises `SampleError` with file, line and field, or `SetupError` when the file
    cannot be read.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}") from error
    seen: list[Seen] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            seen.append(msgspec.json.decode(line, type=Seen))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise SampleError(path.name, number, "$", str(error)) from error
    return tuple(seen)


def report(
    samples: Sequence[Sample],
    training: Iterable[Line],
    threshold: float = THRESHOLD,
) -> Leakage:
    """Compare a suite with what was trained on; both may be in any order.

    `threshold` is a similarity, 0 to 1, from which on a sample counts as seen.
    """
    shown = tuple(training)
    near = _nearest(samples, shown)
    ranked = sorted(near, key=lambda each: (-each.similarity, each.sample))
    task = {sample.id: sample.task for sample in samples}
    tasks: dict[str, Near] = {}
    for each in ranked:
        tasks.setdefault(task[each.sample], each)
    newest = max((written(line) for line in shown), default="")
    dates = [s.provenance.written for s in samples if s.provenance.written]
    oldest = min(dates, default="")
    return Leakage(
        samples=len(samples),
        training=len(shown),
        threshold=threshold,
        tasks=tasks,
        worst=tuple(ranked[:SHOWN]),
        near=tuple(each.sample for each in near if each.similarity >= threshold),
        templates=wording.shared(samples, shown),
        sentences=wording.alike(samples, shown, SHOWN),
        entities=_entities(samples, shown),
        newest_training=newest,
        oldest_sample=oldest,
        temporal=_temporal(newest, oldest),
        duplicates=tuple(_duplicates(samples)),
    )


def purge(
    samples: Sequence[Sample],
    training: Iterable[Line],
    threshold: float = THRESHOLD,
) -> tuple[Sample, ...]:
    """The samples that are less near to any training line than the threshold."""
    near = _nearest(samples, tuple(training))
    return tuple(
        sample
        for sample, each in zip(samples, near, strict=True)
        if each.similarity < threshold
    )


def text(leakage: Leakage) -> str:
    """The findings as lines for a terminal."""
    lines = [
        f"{leakage.samples} samples against {leakage.training} lines of training",
        "",
        "task         nearest  sample / training line",
    ]
    lines += [
        f"{task:<12} {near.similarity:7.3f}  {near.sample} / {near.other or '-'}"
        for task, near in leakage.tasks.items()
    ]
    lines += ["", f"at {leakage.threshold:g} or nearer: {_named(leakage.near)}"]
    lines.append(f"sentences shared: {len(leakage.templates) or 'none'}")
    lines += [
        f"  {shared.sample} / {shared.other}: {shared.template}"
        for shared in leakage.templates[:SHOWN]
    ]
    lines.append("nearest sentences:")
    lines += [
        f"  {pair.similarity:.3f}  {pair.says} / {pair.told}"
        for pair in leakage.sentences[:3]
    ]
    lines.append(f"names shared: {_named(leakage.entities)}")
    lines.append(
        f"temporal hold-out: {leakage.temporal} (newest training"
        f" {leakage.newest_training or 'unsaid'}, oldest sample"
        f" {leakage.oldest_sample or 'unsaid'})"
    )
    lines.append(f"samples that are there twice: {len(leakage.duplicates) or 'none'}")
    lines += [
        f"  {pair.sample} / {pair.other}: {pair.similarity:.3f}"
        for pair in leakage.duplicates[:SHOWN]
    ]
    return "\n".join(lines)


def _named(names: Sequence[str]) -> str:
    if not names:
        return "none"
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)}: {', '.join(names[:SHOWN])}{rest}"


def _nearest(samples: Sequence[Sample], training: Sequence[Line]) -> list[Near]:
    index = Index((line.id, line.input) for line in training)
    return [index.nearest(sample.id, sample.input) for sample in samples]


def _temporal(newest: str, oldest: str) -> Temporal:
    if not newest or not oldest:
        return "unknown"
    return "held" if newest < oldest else "violated"


def _duplicates(samples: Sequence[Sample]) -> Iterator[Near]:
    """Near pairs across documents; within one they are near on purpose."""
    index = Index((sample.id, sample.input) for sample in samples)
    units = {sample.id: sample.unit for sample in samples}
    for sample in samples:
        for near in index.similar(sample.id, sample.input):
            apart = units[near.other] != sample.unit
            if apart and near.similarity >= SAME and sample.id < near.other:
                yield near


def _entities(samples: Sequence[Sample], training: Sequence[Line]) -> tuple[str, ...]:
    """Names that samples are about and that training says anywhere."""
    told = "\n".join(
        f"{line.provenance.entity}\n{said}"
        for line in training
        for said in wording.texts(line.input)
    )
    names = {wording.name(sample.provenance.entity) for sample in samples} - {""}
    return tuple(sorted(n for n in names if re.search(rf"\b{re.escape(n)}\b", told)))
