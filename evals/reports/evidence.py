"""Which samples speak against which number, and which of them a page shows.

A page has a list for each number and an entry for each sample that a list names. Both
are capped, so that the page stays small; the rest is counted, and is in the JSON.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Final

import msgspec

from evals.reports.rows import SUCCESS, Column, Row, columns, rows
from evals.result import SuiteResult
from evals.samples import Sample

LIST: Final = 20
"""Samples that a list names."""

PAIR: Final = 30
"""Samples that are shown for a pair of arms."""

ENTRIES: Final = 500
"""Samples that a page shows in full."""

FIELDS: Final = ("task", "locale", "variant")


class Listing(msgspec.Struct, frozen=True):
    """A list of samples that speak against a number."""

    anchor: str
    title: str
    ids: tuple[str, ...]
    more: int
    """Of those that are not named."""


class Difference(msgspec.Struct, frozen=True):
    """Samples on which two arms differ in success."""

    left: Column
    right: Column
    lost: int
    """The left had success, the right had not."""
    won: int
    ids: tuple[str, ...]
    """The lost ones first, most gone wrong first; of the won ones, the closest first:
    that the base delivers nothing at all is known from its figures."""


class Evidence(msgspec.Struct, frozen=True):
    """All lists and entries of a page."""

    gates: Mapping[tuple[str, str], Listing]
    """By generator and gate."""
    measures: Mapping[tuple[str, str], Listing]
    """By column and measure."""
    cells: Mapping[tuple[str, str, str], Listing]
    """By field, its value and column."""
    pairs: tuple[Difference, ...]
    entries: Mapping[str, str]
    """Anchors of the samples that are shown, by id."""

    @property
    def listings(self) -> tuple[Listing, ...]:
        """All lists, in the order of their anchors."""
        return (*self.gates.values(), *self.measures.values(), *self.cells.values())


class _Shelf:
    """Hands out anchors while there is room."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._numbers = {sample.id: i for i, sample in enumerate(samples)}
        self._lists = 0
        self.entries: dict[str, str] = {}

    def take(self, ids: Iterable[str], limit: int) -> tuple[str, ...]:
        """The first of these that have an entry or get one."""
        taken: list[str] = []
        for name in ids:
            if len(taken) == limit:
                break
            if name not in self._numbers:
                continue
            if name in self.entries or len(self.entries) < ENTRIES:
                self.entries[name] = f"s-{self._numbers[name]}"
                taken.append(name)
        return tuple(taken)

    def list(self, title: str, ids: Sequence[str], *, ranked: bool = False) -> Listing:
        """A list of these; unless they are ranked, those shown already come first."""
        self._lists += 1
        known = sorted(ids, key=lambda name: name not in self.entries)
        taken = self.take(ids if ranked else known, LIST)
        return Listing(f"l-{self._lists}", title, taken, len(ids) - len(taken))


def gather(result: SuiteResult) -> Evidence:
    """Choose lists and entries: gates first, then differences, measures, cells."""
    shelf = _Shelf(result.samples)
    gates = {
        (judged.generator, finding.name): shelf.list(
            f"{judged.generator}: gate {finding.name}", finding.failed
        )
        for judged in result.judged
        for finding in judged.findings
    }
    shown = columns(result)
    arms = [column for column in shown if column.arm in result.arms]
    pairs = tuple(
        _difference(left, right, result.samples, shelf)
        for left, right in reversed(tuple(combinations(arms, 2)))
    )
    # The largest first: these need their own samples, so they choose before the shares.
    found = sorted(rows(result), key=lambda row: row.unit == "%")
    measures = {
        (column.label, row.name): _measure(column, row, shelf)
        for row in found
        for column in shown
    }
    cells = {
        (field, value, column.label): shelf.list(
            f"{column.label}: {field} {value}", _failing(column, group)
        )
        for field in FIELDS
        for value, group in groups(result.samples, field).items()
        for column in shown
    }
    return Evidence(gates, measures, cells, pairs, shelf.entries)


def groups(samples: Iterable[Sample], field: str) -> Mapping[str, tuple[Sample, ...]]:
    """The samples by the value of a field, in its order; an empty value is none."""
    found: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        found[str(getattr(sample, field))].append(sample)
    return {value: tuple(found[value]) for value in sorted(found) if value}


def _failing(column: Column, samples: Iterable[Sample]) -> tuple[str, ...]:
    scores = column.arm.scores.get(SUCCESS, {})
    return tuple(s.id for s in samples if s.id in scores and scores[s.id] < 1)


def _measure(column: Column, row: Row, shelf: _Shelf) -> Listing:
    """Samples with a bad score; of times and tokens, all, the largest first."""
    scores = column.arm.scores.get(row.name, {})
    title = f"{column.label}: {row.title.lstrip('· ')}"
    if row.unit != "%":
        largest = sorted(scores, key=lambda name: -scores[name])
        return shelf.list(f"{title}, the largest", largest, ranked=True)
    if row.low_is_good:
        return shelf.list(title, [name for name in scores if scores[name] > 0])
    return shelf.list(title, [name for name in scores if scores[name] < 1])


def _difference(
    left: Column, right: Column, samples: Iterable[Sample], shelf: _Shelf
) -> Difference:
    """Lost ones first, most gone wrong first; of the won ones, the closest first."""
    a, b = (column.arm.scores.get(SUCCESS, {}) for column in (left, right))
    both = [sample.id for sample in samples if sample.id in a and sample.id in b]
    lost = [name for name in both if a[name] > b[name]]
    won = [name for name in both if a[name] < b[name]]
    ranked = [
        *sorted(lost, key=lambda name: -_faults(right, name)),
        *sorted(won, key=lambda name: _faults(left, name)),
    ]
    taken = shelf.take(ranked, PAIR)
    return Difference(left, right, len(lost), len(won), taken)


def _faults(column: Column, name: str) -> int:
    """How many measures a sample has a nought in."""
    return sum(scores.get(name) == 0 for scores in column.arm.scores.values())
