"""The watch: the suite's scorers over what production answered.

Only what needs no right answer is scored. For each surface, generator, model and way of
decoding the newest outputs are compared with the first ones that were kept of it: a ref
never changes, so whatever moves is what it is asked, or what serves it.

`keep = "flawed"` keeps what was repaired or refused, so it is a sample of the flaws and
not of the traffic: shares of it would say nothing, and are left out. Drift among the
flawed is still drift.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from evals import drift, recorded, scorers, statistics
from evals.answers import Answer
from evals.drift import Drifts
from evals.recorded import Group, Record
from evals.statistics import CONFIDENCE

WINDOW: Final = 500
LEAST: Final = 50
"""Outputs of a window below which nothing is compared."""

Kept = Literal["all", "flawed"]


class Share(msgspec.Struct, frozen=True):
    """A measure over the newest window."""

    share: float
    low: float
    """One-sided 95 % bounds, outputs taken as independent of each other."""
    high: float
    n: int
    """Outputs that count for it."""


class Seen(msgspec.Struct, frozen=True):
    """One group, looked at."""

    group: Group
    total: int
    """Outputs that are kept of it."""
    newest: int
    """How many of them were scored."""
    shares: dict[str, Share]
    drifts: Drifts | None
    """None: there are too few outputs for two windows."""


class Look(msgspec.Struct, frozen=True):
    """What one run of the watch has seen."""

    kept: Kept
    groups: tuple[Seen, ...]
    torn: int
    """Lines that could not be read."""
    at: float
    """Seconds since the epoch."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked at."""

    where: tuple[Path, ...]
    """Directories or files."""
    kept: Kept
    """What the tenants' `keep` says: the lines do not tell."""
    tenants: frozenset[str] = frozenset()
    """Only theirs; empty: everybody's."""
    locale: str = "en"
    """Which language the texts count as; style is judged of English alone."""
    window: int = WINDOW
    permutations: int = drift.PERMUTATIONS


Measure = Callable[[Record], float | None]


def _scored(scorer: Callable[[Any, Answer], float | None]) -> Measure:
    return lambda record: scorer(record.sample, record.answer)


def refuse(record: Record) -> float | None:
    """1 when a delivered answer is a refusal; whether it should be, nobody knows."""
    status = record.answer.status
    return None if status is None else float(status == "refused")


def cite_within(record: Record) -> float | None:
    """1 when all that the first output cites is in its context.

    Of the model's own words, before any repair: what was delivered never cites what is
    not there. Outputs that are no JSON, or cite nothing, do not count.
    """
    if record.context_ids is None:
        return None
    try:
        cited = msgspec.json.decode(record.raw, type=_Citing).citations
    except msgspec.DecodeError:
        return None
    return float(set(cited) <= record.context_ids) if cited else None


class _Citing(msgspec.Struct):
    citations: tuple[str, ...] = ()


MEASURES: Final[dict[str, Measure]] = {
    "adherence": _scored(scorers.adhere),
    "repaired": _scored(scorers.repair),
    "reasked": _scored(scorers.reask),
    "invalid": _scored(scorers.lose_to_schema),
    "truncated": _scored(scorers.lose_to_length),
    "refused": refuse,
    "cited_within": cite_within,
    "supported": _scored(scorers.support),
    "style": _scored(scorers.keep_style),
}
"""By the names that the suite's measures have, where they are the same."""


class Watch:
    """Looks again and again; a group of which nothing new was kept is not tested anew."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._known: dict[Group, tuple[object, Seen]] = {}

    def look(self, now: float) -> Look:
        """Read all files and look at each group.

        Args:
            now: seconds since the epoch.

        Raises:
            SetupError: a file cannot be read.
        """
        groups, torn = _gathered(self._plan)
        seen = tuple(
            self._seen(group, windows) for group, windows in sorted(groups.items())
        )
        self._known = {each.group: self._known[each.group] for each in seen}
        return Look(self._plan.kept, seen, torn, now)

    def _seen(self, group: Group, windows: "_Windows") -> Seen:
        reference, newest = windows.split()
        print_ = [record.key for record in (*reference[:1], *newest[:1], *newest[-1:])]
        fingerprint = (windows.total, len(reference), len(newest), print_)
        known = self._known.get(group)
        if known and known[0] == fingerprint:
            return known[1]
        seen = Seen(
            group=group,
            total=windows.total,
            newest=len(newest),
            shares=shares(newest) if self._plan.kept == "all" else {},
            drifts=_drifts(reference, newest, self._plan.permutations),
        )
        self._known[group] = (fingerprint, seen)
        return seen


def shares(records: Sequence[Record]) -> dict[str, Share]:
    """Score records by each measure that any of them counts for.

    Records have to be all of the traffic, or drawn from it without regard to how they
    turned out.
    """
    found: dict[str, Share] = {}
    for name, measure in MEASURES.items():
        scores = [score for record in records if (score := measure(record)) is not None]
        if scores:
            ones, n = round(sum(scores)), len(scores)
            found[name] = Share(
                ones / n,
                statistics.lower(ones, n, CONFIDENCE),
                statistics.upper(ones, n, CONFIDENCE),
                n,
            )
    return found


def _drifts(
    reference: Sequence[Record], newest: Sequence[Record], permutations: int
) -> Drifts | None:
    if min(len(reference), len(newest)) < LEAST:
        return None
    return drift.compare(
        [record.answer for record in reference],
        [record.answer for record in newest],
        permutations=permutations,
    )


class _Windows:
    """The first and the last outputs of a group, in bounded memory."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._records: list[Record] = []
        self.total = 0

    def add(self, records: Iterable[Record]) -> None:
        before = len(self._records)
        self._records.extend(records)
        self.total += len(self._records) - before
        # Several gateways write beside each other, so files do not follow in time.
        self._records.sort(key=lambda record: record.key)
        if len(self._records) > 2 * self._size:
            del self._records[self._size : -self._size]

    def split(self) -> tuple[list[Record], list[Record]]:
        """The reference and the newest; a record is never in both.

        The newest is whole first, so that a share is known before drift can be.
        """
        count = len(self._records)
        newest = max(min(self._size, count // 2), min(count, LEAST))
        cut = count - newest
        return self._records[: min(self._size, cut)], self._records[cut:]


def _gathered(plan: Plan) -> tuple[dict[Group, _Windows], int]:
    groups: dict[Group, _Windows] = {}
    torn = 0
    for path in recorded.files(plan.where):
        found = recorded.read(path, plan.locale)
        torn += found.torn
        by_group: dict[Group, list[Record]] = {}
        for record in found.records:
            if not plan.tenants or record.tenant in plan.tenants:
                by_group.setdefault(record.group, []).append(record)
        for group, records in by_group.items():
            groups.setdefault(group, _Windows(plan.window)).add(records)
    return groups, torn
