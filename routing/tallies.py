"""The port for what is counted of rollouts, and for the records of how they were judged.

Apart from the documents of `routing.store`, since it is much, changes all the time and
is no wish of anybody: it leaves no audit entry and does not count as a change. What it
must not do is count anything twice, so a unit is remembered with its count, and a batch
that is handed over again changes nothing.
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Final, Protocol

import msgspec

from routing.decision import Membership
from routing.tally import ARMS, TTFT_EDGES, Arm, Count, Moments, Outcome, Stage, Tally

DIGEST_BYTES: Final = 12
"""Of a unit's digest: two of a million units share one with a chance of 6e-18."""

Counts = Mapping[str, int]
"""Numbers by name, as both stores add them up; see `increments`."""


class Counted(msgspec.Struct, frozen=True, array_like=True):
    """An outcome, and where it counts."""

    stage: int
    unit: bytes
    """See `unit_digest`: a conversation's id is nobody's business here."""
    outcome: Outcome


class Entry(msgspec.Struct, frozen=True):
    """A record of a rollout; `number` counts from 1."""

    number: int
    body: bytes


class Tallies(Protocol):
    """Where rollouts are counted. Every method may raise `Unavailable`."""

    async def count(self, rollout: str, outcomes: Iterable[Counted]) -> None:
        """Add outcomes, the first of each unit at each stage; all of them or none."""
        ...

    async def stage(self, rollout: str, stage: int) -> Stage:
        """Return what was counted at a stage."""
        ...

    async def forget(self, rollout: str, stages: int) -> None:
        """Forget which units were counted at the first stages; the counts stay.

        For a rollout that is over: a unit that came once more would be counted again.
        """
        ...

    async def write(self, rollout: str, entry: Entry) -> None:
        """Write the record after the newest, or write the newest anew.

        Raises:
            Conflict: `entry.number` is neither; somebody else has judged meanwhile.
        """
        ...

    async def records(self, rollout: str, limit: int) -> list[Entry]:
        """Return the newest records, newest first."""
        ...

    async def hold(self, name: str, owner: str, seconds: float) -> bool:
        """Take a lease or keep it; False while somebody else has it.

        It says who works, not who may: what the holder does is a compare-and-set.
        """
        ...

    async def announce(self, who: str, version: int, seconds: float) -> None:
        """Say that `who` lives and holds the flag at `version`; forgotten by itself."""
        ...

    async def announced(self) -> dict[str, int]:
        """Return who lives, and the version that each has announced last."""
        ...

    async def close(self) -> None:
        """Give back what is held; may be repeated."""
        ...


def unit_digest(tenant: str, unit: str) -> bytes:
    """Return what a unit is remembered by."""
    raw = f"{tenant}/{unit}".encode()
    return blake2b(raw, digest_size=DIGEST_BYTES).digest()


def assignment(member: Membership, unit: bytes) -> Counted:
    """Return that a unit was given to an arm; it counts apart from its outcome."""
    given = Outcome(member.arm, ok=True, assigned=True)
    return Counted(member.stage, b"given " + unit, given)


_TRIALS: Final = (
    "errors",
    "adherence",
    "repairs",
    "citations",
    "refusals",
    "accuracy",
    "pairs",
)


def increments(outcome: Outcome) -> dict[str, int]:
    """Return what an outcome adds, by name."""
    tally = Tally().plus(outcome)
    arm = outcome.arm
    found = {f"{arm}.units": tally.units, f"{arm}.assigned": tally.assigned}
    for name in _TRIALS:
        count: Count = getattr(tally, name)
        found[f"{arm}.{name}.failures"] = count.failures
        found[f"{arm}.{name}.successes"] = count.successes
    for at, units in enumerate(tally.ttft):
        found[f"{arm}.ttft.{at}"] = units
    for name in ("n", "total", "squares"):
        found[f"{arm}.tokens.{name}"] = getattr(tally.tokens, name)
    return {name: number for name, number in found.items() if number}


def stage_of(counts: Counts) -> Stage:
    """Return the stage whose increments add up to `counts`."""
    arms = {arm: _tally(arm, counts) for arm in ARMS}
    return Stage(**arms)


def _tally(arm: Arm, counts: Counts) -> Tally:
    def number(name: str) -> int:
        return counts.get(f"{arm}.{name}", 0)

    def trials(name: str) -> Count:
        return Count(number(f"{name}.failures"), number(f"{name}.successes"))

    ttft = tuple(number(f"ttft.{at}") for at in range(len(TTFT_EDGES) + 1))
    return Tally(
        units=number("units"),
        assigned=number("assigned"),
        errors=trials("errors"),
        adherence=trials("adherence"),
        repairs=trials("repairs"),
        citations=trials("citations"),
        ttft=ttft if any(ttft) else (),
        tokens=Moments(
            number("tokens.n"), number("tokens.total"), number("tokens.squares")
        ),
        refusals=trials("refusals"),
        accuracy=trials("accuracy"),
        pairs=trials("pairs"),
    )
