"""Leakage: are the samples held out from what training has seen?

Near-duplicates by word triples of request and passages, numbers masked (Jaccard, exact:
an inverted index finds the pairs that share any); sentences and requests that are in
both after masking; entities in both; and the dates, for the temporal hold-out.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from evals.errors import SampleError, SetupError
from evals.samples import Sample

NEAR: Final = 0.5
"""From here on two inputs are near-duplicates."""

WORST: Final = 5
"""Pairs that are named."""

_WORD: Final = re.compile(r"[^\W\d_]+|\d+")
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+")
Shingle = tuple[str, str, str]


class Pair(msgspec.Struct, frozen=True):
    """Two inputs and how much of their word triples they share."""

    sample: str
    other: str
    similarity: float


class Leakage(msgspec.Struct, frozen=True):
    """What a suite and a training set have in common."""

    samples: int
    training: int
    near: tuple[str, ...]
    """Samples with a near-duplicate in training."""
    worst: tuple[Pair, ...]
    """The most similar pairs across the split."""
    sentences: tuple[str, ...]
    """Passages' sentences and requests that are in both, numbers masked."""
    entities: tuple[str, ...]
    """Capitalised words that are in both, of those that are no sentence's first."""
    inside: tuple[Pair, ...]
    """Pairs of equal inputs within the suite, but for ids and order."""
    newest: str
    """The newest date in training; empty: its lines carry none."""
    oldest: str
    """The oldest date in the suite's made samples."""

    @property
    def held_out(self) -> bool:
        """Whether nothing speaks against it; a missing date does not."""
        late = not self.newest or self.newest < self.oldest
        return late and not (self.near or self.sentences or self.inside)


def load(path: Path) -> tuple[Sample, ...]:
    """Read training data, of any split.

    Raises:
        SetupError: there is no such file.
        SampleError: a line is no sample.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}") from error
    found: list[Sample] = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(msgspec.json.decode(line, type=Sample))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise SampleError(path.name, number, "$", str(error)) from error
    return tuple(found)


def report(samples: Sequence[Sample], training: Sequence[Sample]) -> Leakage:
    """Compare a suite with what training has seen."""
    pairs = sorted(_nearest(samples, training), key=lambda p: -p.similarity)
    dates = [s.provenance.written for s in training if s.provenance.written]
    # Real documents are older than anybody's training; what counts is what was made.
    made = [s.provenance.written for s in samples if s.task != "documents"]
    return Leakage(
        samples=len(samples),
        training=len(training),
        near=tuple(p.sample for p in pairs if p.similarity >= NEAR),
        worst=tuple(pairs[:WORST]),
        sentences=tuple(sorted(_sentences(samples) & _sentences(training))),
        entities=tuple(sorted(_entities(samples) & _entities(training))),
        inside=tuple(_equal(samples)),
        newest=max(dates, default=""),
        oldest=min((date for date in made if date), default=""),
    )


def purge(
    samples: Sequence[Sample], training: Sequence[Sample], near: float = NEAR
) -> tuple[Sample, ...]:
    """Return the samples without those that have a near-duplicate in training."""
    close = {p.sample for p in _nearest(samples, training) if p.similarity >= near}
    return tuple(sample for sample in samples if sample.id not in close)


def text(found: Leakage) -> str:
    """The report as lines for a terminal."""
    said = "held out" if found.held_out else "NOT held out"
    lines = [
        f"{said}: {found.samples} samples against {found.training} training examples",
        f"  near-duplicates (from {NEAR:g} on): {len(found.near)}",
        *(f"    {p.similarity:.2f}  {p.sample}  {p.other}" for p in found.worst),
        f"  sentences in both: {len(found.sentences)}",
        *(f"    {sentence}" for sentence in found.sentences[:WORST]),
        f"  names in both: {', '.join(found.entities) or 'none'}",
        f"  twice in the suite: {len(found.inside)}",
        f"  training's newest date: {found.newest or 'unknown, its lines carry none'}",
        f"  the suite's oldest: {found.oldest or 'unknown'}",
    ]
    return "\n".join(lines)


def _nearest(samples: Sequence[Sample], training: Sequence[Sample]) -> Iterator[Pair]:
    """Each sample's most similar training example."""
    seen = [_shingles(each) for each in training]
    index: dict[Shingle, list[int]] = defaultdict(list)
    for number, shingles in enumerate(seen):
        for shingle in shingles:
            index[shingle].append(number)
    for sample in samples:
        mine = _shingles(sample)
        shared = Counter(n for shingle in mine for n in index.get(shingle, ()))
        best = max(
            ((count / (len(mine | seen[n])), n) for n, count in shared.items()),
            default=(0.0, -1),
        )
        if best[1] >= 0:
            yield Pair(sample.id, training[best[1]].id, best[0])


def _equal(samples: Sequence[Sample]) -> Iterator[Pair]:
    first: dict[object, str] = {}
    for sample in samples:
        passages = sorted(item.text for item in sample.input.context)
        # A variant differs from its document's other samples by order alone.
        key = (sample.input.user, *passages, sample.variant)
        if key in first:
            yield Pair(sample.id, first[key], 1.0)
        first.setdefault(key, sample.id)


def _texts(sample: Sample) -> Iterator[str]:
    yield sample.input.user
    for item in sample.input.context:
        yield item.text


def _masked(text: str) -> list[str]:
    return ["0" if w.isdigit() else w for w in _WORD.findall(text.casefold())]


def _shingles(sample: Sample) -> frozenset[Shingle]:
    found: set[Shingle] = set()
    for each in _texts(sample):
        words = _masked(each)
        found.update(zip(words, words[1:], words[2:], strict=False))
    return frozenset(found)


def _sentences(samples: Iterable[Sample]) -> set[str]:
    return {
        " ".join(_masked(sentence))
        for sample in samples
        for each in _texts(sample)
        for sentence in _SENTENCE.split(each)
    }


def _entities(samples: Iterable[Sample]) -> set[str]:
    return {
        word
        for sample in samples
        for each in _texts(sample)
        for word in re.findall(r"(?<=[a-z,] )[A-Z][a-z]+", each)
    }
