"""Near-duplicates: by MinHash who may be one, by the shingles themselves who is.

Similarity is Jaccard's, of three-word shingles of everything a model sees of an example.
Locality-sensitive hashing alone would miss some and name some that are none; here it
only proposes, well below the thresholds that decide, and the shingles are compared.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
from datasketch import MinHash, MinHashLSH

from training.curate.records import Record

WORDS: Final = 3
"""Words of a shingle."""
BANDS: Final = 42
ROWS: Final = 3
"""Of 126 permutations: a pair at similarity s is proposed with 1 - (1 - s^3)^42, which
is 0.99997 at 0.6 and all but certain at 0.8."""
SEED: Final = 1

Shingles = frozenset[str]


class Twin(msgspec.Struct, frozen=True):
    """Two examples that say the same."""

    id: str
    of: str
    similarity: float


class Index:
    """Finds near-duplicates of what it holds.

    Args:
        threshold: Jaccard similarity from which two are near-duplicates.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._lsh: Any = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
        self._held: dict[str, Shingles] = {}

    def add(self, id_: str, found: Shingles) -> None:
        """Hold one more."""
        self._lsh.insert(id_, _hashed(found))
        self._held[id_] = found

    def twin(self, id_: str, found: Shingles) -> Twin | None:
        """The nearest one held, if it is near enough."""
        near = [
            Twin(id_, other, jaccard(found, self._held[other]))
            for other in self._lsh.query(_hashed(found))
        ]
        best = max(near, key=lambda twin: (twin.similarity, twin.of), default=None)
        return best if best and best.similarity >= self._threshold else None


def within(
    examples: Iterable[tuple[str, Shingles]], threshold: float
) -> Iterator[Twin]:
    """Those that are near-duplicates of an earlier one that stays."""
    index = Index(threshold)
    for id_, found in examples:
        if twin := index.twin(id_, found):
            yield twin
        else:
            index.add(id_, found)


def across(
    examples: Iterable[tuple[str, Shingles]],
    held_out: Mapping[str, Shingles],
    threshold: float,
) -> Iterator[Twin]:
    """Those that are near-duplicates of what is held out."""
    index = Index(threshold)
    for id_, found in held_out.items():
        index.add(id_, found)
    return (twin for id_, found in examples if (twin := index.twin(id_, found)))


def shingles(record: Record) -> Shingles:
    """Of request, passages and answer; the order of the passages does not count."""
    texts = (
        record.input.user,
        record.output.answer,
        *(item.text for item in record.input.context),
    )
    return frozenset(shingle for text in texts for shingle in _of(text))


def jaccard(one: Shingles, other: Shingles) -> float:
    """Shared over all; 1 where both are empty."""
    return len(one & other) / len(one | other) if one or other else 1.0


def _of(text: str) -> Iterator[str]:
    words = re.findall(r"\w+", text.lower())
    if 0 < len(words) < WORDS:
        yield " ".join(words)
    for at in range(len(words) - WORDS + 1):
        yield " ".join(words[at : at + WORDS])


def _hashed(found: Shingles) -> Any:
    hashed: Any = MinHash(num_perm=BANDS * ROWS, seed=SEED)
    hashed.update_batch([shingle.encode() for shingle in found])
    return hashed
