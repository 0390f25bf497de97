"""Wording: sentences of a suite held against those of the training data.

Whole inputs may be far apart though one sentence in them is the same. So sentences are
compared by themselves: exactly, with names and numbers left open, and by nearness.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from evals.nearness import Index, Line, words
from evals.samples import Sample
from structured.prompt import AssistInput

FIXED: Final = 3
"""Different words that a template has to have beside names and numbers; "the X of the
Y" would be found anywhere."""

_SENTENCE: Final = re.compile(r"(?<=[.?!])\s+")
_NAME: Final = re.compile(r"^[^\W\d_a-z][\w'-]*(?: [^\W\d_a-z][\w'-]*)*")
_HOLE: Final = "*"
_MARK: Final = "holeholehole"


class Shared(msgspec.Struct, frozen=True):
    """A sentence that both say, but for names and numbers (`*`, `#`)."""

    sample: str
    other: str
    template: str


class Alike(msgspec.Struct, frozen=True):
    """Two sentences and how near they are, 0 to 1."""

    sample: str
    other: str
    similarity: float
    says: str
    told: str


def name(entity: str) -> str:
    """The proper name in an entity: `Kvistad` of a Kvistad plotter; maybe empty."""
    found = _NAME.match(entity)
    return found[0] if found else ""


def texts(given: AssistInput) -> tuple[str, ...]:
    """Request and passages."""
    return (given.user, *(item.text for item in given.context))


def shared(samples: Sequence[Sample], training: Sequence[Line]) -> tuple[Shared, ...]:
    """Sentences of the suite that fit one of training, names and numbers left open.

    One for each template, with the first sample that says it.
    """
    told = {
        " ".join(words(sentence)): line.id
        for line in reversed(training)
        for sentence in _sentences(line.input)
    }
    homes: defaultdict[str, set[str]] = defaultdict(set)
    for sentence in told:
        for word in sentence.split():
            homes[word].add(sentence)
    found: list[Shared] = []
    for template, sample in _templates(samples).items():
        fixed = _fixed(template)
        if len(set(fixed)) >= FIXED:
            fits = _fits(template, fixed, homes)
            found += [Shared(sample, told[fit], template) for fit in fits[:1]]
    return tuple(found)


def alike(
    samples: Sequence[Sample], training: Sequence[Line], count: int
) -> tuple[Alike, ...]:
    """The `count` nearest pairs of sentences, nearest first.

    Sentences of fewer than three words are left out: "Go." is in any text.
    """
    told = {
        sentence: line.id
        for line in reversed(training)
        for sentence in _sentences(line.input)
    }
    index = Index((sentence, AssistInput(sentence)) for sentence in told)
    said = {
        sentence: sample.id
        for sample in reversed(samples)
        for sentence in _sentences(sample.input)
        if len(words(sentence)) >= FIXED
    }
    pairs: list[Alike] = []
    for sentence, sample in said.items():
        near = index.nearest(sentence, AssistInput(sentence))
        if near.similarity:
            line = told[near.other]
            pairs.append(Alike(sample, line, near.similarity, sentence, near.other))
    pairs.sort(key=lambda pair: (-pair.similarity, pair.sample, pair.says))
    return tuple(pairs[:count])


def _sentences(given: AssistInput) -> Iterator[str]:
    for said in texts(given):
        yield from _SENTENCE.split(said)


def _templates(samples: Sequence[Sample]) -> dict[str, str]:
    """Each template with the first sample that says it."""
    holes = _holes(samples)
    return {
        _template(sentence, holes, sample.accepted): sample.id
        for sample in reversed(samples)
        for sentence in _sentences(sample.input)
    }


def _holes(samples: Sequence[Sample]) -> re.Pattern[str]:
    """Finds the suite's names, each with the kind of thing that follows it."""
    entities = {sample.provenance.entity for sample in samples} - {""}
    names = {found for found in map(name, entities) if found}
    kinds = {entity.removeprefix(name(entity)).strip() for entity in entities} - {""}
    return re.compile(rf"\b(?:{_either(names)})(?: (?:{_either(kinds)}))?\b")


def _either(options: set[str]) -> str:
    longest = sorted(options, key=lambda each: (-len(each), each))
    return "|".join(map(re.escape, longest)) or r"(?!)"


def _template(sentence: str, holes: re.Pattern[str], values: Sequence[str]) -> str:
    """The sentence in small letters with `*` for names and values, `#` for numbers."""
    mark = f" {_MARK} "
    masked = holes.sub(mark, sentence)
    for value in values:
        masked = re.sub(re.escape(value), mark, masked, flags=re.IGNORECASE)
    return " ".join(_HOLE if word == _MARK else word for word in words(masked))


def _fixed(template: str) -> list[str]:
    return [word for word in template.split() if word not in (_HOLE, "#")]


def _fits(
    template: str, fixed: Sequence[str], homes: Mapping[str, set[str]]
) -> list[str]:
    """Training's sentences that the template fits.

    A hole takes one to four words: a brand and a kind, or a value.
    """
    near: set[str] = set(homes.get(fixed[0], ()))
    for word in fixed[1:]:
        near &= homes.get(word, set())
    hole = r"\S+(?: \S+){0,3}"
    parts = [hole if word == _HOLE else re.escape(word) for word in template.split()]
    pattern = re.compile(" ".join(parts))
    return sorted(sentence for sentence in near if pattern.fullmatch(sentence))
