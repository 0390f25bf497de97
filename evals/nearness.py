"""Nearness: how much of one input's wording is another's.

The measure is the Jaccard similarity of sets of word triples (Broder, On the
resemblance and containment of documents, 1997), computed exactly: at some thousand
inputs an inverted index is quick enough, and MinHash would only estimate the same.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final

import msgspec

from evals.samples import Provenance, Sample
from structured.prompt import AssistInput

_WORD: Final = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_DIGIT: Final = re.compile(r"\d+")
GRAM: Final = 3
"""Words in a row."""


class Seen(msgspec.Struct, frozen=True):
    """A line of training data, supervised or a preference pair: what was shown."""

    id: str
    input: AssistInput
    provenance: Provenance = Provenance()
    date: str = ""
    """ISO date, where curation wrote one."""


Line = Seen | Sample


def written(line: Line) -> str:
    """ISO date of the newest thing in a line; empty where none is said."""
    dated = line.date if isinstance(line, Seen) else ""
    return dated or line.provenance.written


class Near(msgspec.Struct, frozen=True):
    """Two inputs, by id, and how near they are: 0 to 1."""

    sample: str
    other: str
    similarity: float


def words(text: str) -> list[str]:
    """The words of a text in small letters, each number made `#`.

    A drawn number does not make a sentence another one.
    """
    return [_DIGIT.sub("#", word.casefold()) for word in _WORD.findall(text)]


def grams(given: AssistInput) -> frozenset[tuple[str, ...]]:
    """Word triples of request and passages; none spans two of them."""
    found: set[tuple[str, ...]] = set()
    for text in (given.user, *(item.text for item in given.context)):
        said = words(text)
        if said:
            last = max(1, len(said) - GRAM + 1)
            found.update(tuple(said[i : i + GRAM]) for i in range(last))
    return frozenset(found)


class Index:
    """Inputs by the triples in them; two of the same id are still two."""

    def __init__(self, inputs: Iterable[tuple[str, AssistInput]]) -> None:
        self._names: list[str] = []
        self._sizes: list[int] = []
        self._homes: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
        for place, (name, given) in enumerate(inputs):
            found = grams(given)
            self._names.append(name)
            self._sizes.append(len(found))
            for gram in found:
                self._homes[gram].append(place)

    def similar(self, name: str, given: AssistInput) -> list[Near]:
        """Each input that shares a triple with the one called `name`, in order."""
        found = grams(given)
        shared = Counter(place for gram in found for place in self._homes.get(gram, ()))
        return [
            Near(
                name,
                self._names[place],
                both / (len(found) + self._sizes[place] - both),
            )
            for place, both in sorted(shared.items())
        ]

    def nearest(self, name: str, given: AssistInput) -> Near:
        """The nearest input; of equals the first, and none at all if none is near."""
        return max(
            self.similar(name, given),
            key=lambda near: near.similarity,
            default=Near(name, "", 0.0),
        )
