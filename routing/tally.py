"""What has been counted of a rollout: outcomes of units, by stage and arm.

One unit counts once a stage, with its first outcome: the turns of a conversation are
alike, and counting each would make the evidence look stronger than it is.
"""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final, Literal, get_args

import msgspec

Arm = Literal["candidate", "control", "probes", "shadow"]
"""Probes are the controller's own questions to the candidate, whose answers are known.
The shadow is what the candidate makes of requests that the control has answered; nobody
sees it. Both count for nothing but what they were sent for."""
ARMS: Final[tuple[Arm, ...]] = get_args(Arm)

TTFT_EDGES: Final = tuple(0.005 * 2 ** (step / 4) for step in range(56))
"""Upper edges of the buckets of seconds to the first token: 5 ms to 69 s, four to a
doubling, so that a rise by a fifth moves at least one bucket."""


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """What a unit's first request at a stage has shown; None where it showed nothing.

    `array_like`, since stores and gateways hand on many of them.
    """

    arm: Arm
    ok: bool
    """An answer went out, whatever the check said of it."""
    adherent: bool | None = None
    """The first output fitted the schema before any repair."""
    repaired: bool | None = None
    """Whether what was checked went out only after a repair."""
    cited: bool | None = None
    """The citations of what was checked are all from the request's context."""
    ttft: float | None = None
    """Seconds to the first token."""
    tokens: int | None = None
    """Tokens of the output, if it was valid."""
    refused_well: bool | None = None
    """Of a probe: it was refused exactly where it should have been."""
    cited_well: bool | None = None
    """Of a probe: the citations are those that it should have."""
    worse: bool | None = None
    """Of the shadow: of it and the control only one has fitted the schema at once, and
    it was the control; None where they were alike."""
    assigned: bool = False
    """It is no outcome: the unit was given to this arm, and nothing is known yet."""


class Count(msgspec.Struct, frozen=True, array_like=True):
    """Trials of one kind: those that failed, and those that did not."""

    failures: int = 0
    successes: int = 0

    def plus(self, *, failed: bool) -> "Count":
        """One trial more."""
        return Count(self.failures + failed, self.successes + (not failed))

    def merged(self, other: "Count") -> "Count":
        """Both."""
        return Count(self.failures + other.failures, self.successes + other.successes)

    @property
    def trials(self) -> int:
        """All of them."""
        return self.failures + self.successes


class Moments(msgspec.Struct, frozen=True, array_like=True):
    """Number, sum and sum of squares of a quantity."""

    n: int = 0
    total: int = 0
    squares: int = 0

    def plus(self, value: int) -> "Moments":
        """One value more."""
        return Moments(self.n + 1, self.total + value, self.squares + value * value)


class Tally(msgspec.Struct, frozen=True):
    """One arm's outcomes at one stage."""

    units: int = 0
    """Those whose outcome is known."""
    assigned: int = 0
    """Those that were given to this arm. Of a slow arm fewer outcomes are known, so the
    split is judged by these."""
    errors: Count = Count()
    adherence: Count = Count()
    repairs: Count = Count()
    citations: Count = Count()
    ttft: tuple[int, ...] = ()
    """Units by bucket of `TTFT_EDGES`, one more for what is beyond."""
    tokens: Moments = Moments()
    refusals: Count = Count()
    accuracy: Count = Count()
    """Of citations."""
    pairs: Count = Count()
    """Of the shadow: where only one of the two did well, failures are its own."""

    def plus(self, outcome: Outcome) -> "Tally":
        """One unit more; `outcome.arm` is not looked at."""
        if outcome.assigned:
            return msgspec.structs.replace(self, assigned=self.assigned + 1)
        return Tally(
            units=self.units + 1,
            assigned=self.assigned,
            errors=self.errors.plus(failed=not outcome.ok),
            adherence=_counted(self.adherence, outcome.adherent, fails=False),
            repairs=_counted(self.repairs, outcome.repaired, fails=True),
            citations=_counted(self.citations, outcome.cited, fails=False),
            ttft=self.ttft if outcome.ttft is None else _timed(self.ttft, outcome.ttft),
            tokens=self.tokens
            if outcome.tokens is None
            else self.tokens.plus(outcome.tokens),
            refusals=_counted(self.refusals, outcome.refused_well, fails=False),
            accuracy=_counted(self.accuracy, outcome.cited_well, fails=False),
            pairs=_counted(self.pairs, outcome.worse, fails=True),
        )

    def slower_than(self, edge: int) -> Count:
        """Units whose first token came after the edge with this index, as failures."""
        later = sum(self.ttft[edge + 1 :])
        return Count(later, sum(self.ttft) - later)


def _counted(count: Count, seen: object, *, fails: bool) -> Count:
    return count if seen is None else count.plus(failed=seen is fails)


def _timed(buckets: tuple[int, ...], seconds: float) -> tuple[int, ...]:
    at = bisect_left(TTFT_EDGES, seconds)
    held = buckets or (0,) * (len(TTFT_EDGES) + 1)
    return (*held[:at], held[at] + 1, *held[at + 1 :])


class Stage(msgspec.Struct, frozen=True):
    """All arms at one stage."""

    candidate: Tally = Tally()
    control: Tally = Tally()
    probes: Tally = Tally()
    shadow: Tally = Tally()

    def plus(self, outcomes: Iterable[Outcome]) -> "Stage":
        """More units."""
        arms: dict[Arm, Tally] = {
            "candidate": self.candidate,
            "control": self.control,
            "probes": self.probes,
            "shadow": self.shadow,
        }
        for outcome in outcomes:
            arms[outcome.arm] = arms[outcome.arm].plus(outcome)
        return Stage(**arms)


def percentile_edge(buckets: tuple[int, ...], part: float) -> int | None:
    """Return the index of the edge below which `part` of the units are.

    Returns:
        None if there are no units, or the edge is beyond the last.
    """
    needed, seen = part * sum(buckets), 0
    if not needed:
        return None
    for at, units in enumerate(buckets[:-1]):
        seen += units
        if seen >= needed:
            return at
    return None
