"""From finished requests to what rollouts count; nothing here is on a request's way.

A request hands over one value and goes. They are written in batches, and a batch that
the store did not take is handed over again: units are counted once, however often.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from typing import Final

from gateway.telemetry.record import CLIENT_CLOSED, OK, RequestFinished
from routing.decision import Membership
from routing.errors import StoreError
from routing.tallies import Counted, Tallies, assignment, unit_digest
from routing.tally import Outcome

_LOG: Final = logging.getLogger("wastegate")

FLUSH_SECONDS: Final = 1.0
"""Between two batches: what the evidence is behind at most while the store answers."""

MOST_WAITING: Final = 50_000
"""Outcomes that wait for a store that is away; further ones push the oldest out. They
take some 10 MB, and at 100 units a second they are eight minutes."""

BATCH: Final = 500
"""Outcomes in one transaction, so that a long queue does not block the store."""

NOBODYS_FAULT: Final = frozenset(
    {
        CLIENT_CLOSED,
        "invalid_request",
        "invalid_key",
        "not_allowed",
        "unknown_model",
        "not_found",
        "too_large",
        "overloaded",
    }
)
"""Outcomes that say nothing of who answered."""

FELL_BACK: Final = "fallback=adapter_unavailable"


def outcome_of(member: Membership, record: RequestFinished) -> Outcome | None:
    """Return what a request shows of its side; None if it shows nothing."""
    if record.outcome in NOBODYS_FAULT:
        return None
    if FELL_BACK in record.reason:
        # The base answered, which is no merit of the one that could not.
        return Outcome(member.arm, ok=False)
    ok = record.outcome == OK
    checked = record.verdict is not None
    clean = not record.rejections and not record.repairs
    adherent = clean and record.verdict in ("valid", "constrained")
    uncited = any(each.code.startswith("citation") for each in record.rejections)
    return Outcome(
        arm=member.arm,
        ok=ok,
        adherent=adherent if checked else None,
        repaired=record.verdict == "repaired" if checked else None,
        cited=not uncited if checked and (ok or uncited) else None,
        ttft=record.ttft if ok else None,
        tokens=record.completion_tokens if ok and adherent else None,
    )


class Counting:
    """Takes outcomes, and writes them to the tallies.

    Args:
        tallies: where they are counted.
    """

    def __init__(self, tallies: Tallies) -> None:
        self._tallies = tallies
        self._waiting: deque[tuple[str, Counted]] = deque(maxlen=MOST_WAITING)
        self.lost = 0
        """Outcomes that were pushed out by others."""

    def __call__(
        self, member: Membership, unit: bytes, record: RequestFinished
    ) -> None:
        """Take what a finished request shows. Never waits, never raises."""
        outcome = outcome_of(member, record)
        if outcome is None:
            return
        self._offer(member, Counted(member.stage, unit, outcome))

    def assigned(self, member: Membership, tenant: str, unit: str) -> None:
        """Take that a unit was given to an arm. Never waits, never raises."""
        self._offer(member, assignment(member, unit_digest(tenant, unit)))

    def _offer(self, member: Membership, counted: Counted) -> None:
        self.lost += len(self._waiting) == MOST_WAITING
        self._waiting.append((member.rollout, counted))

    async def flush(self) -> None:
        """Write what waits.

        Raises:
            StoreError: the store did not take it; it goes on waiting.
        """
        while self._waiting:
            taken = [self._waiting.popleft() for _ in range(_some(self._waiting))]
            try:
                for rollout, batch in _by_rollout(taken).items():
                    await self._tallies.count(rollout, batch)
            except BaseException:
                self._waiting.extendleft(reversed(taken))
                raise

    async def run(self) -> None:
        """Write again and again, until cancelled; then what is left."""
        try:
            while True:
                await asyncio.sleep(FLUSH_SECONDS)
                try:
                    await self.flush()
                except StoreError as error:
                    waiting = len(self._waiting)
                    _LOG.warning("%d outcomes wait for the store: %s", waiting, error)
        finally:
            try:
                await self.flush()
            except StoreError as error:
                _LOG.error("%d outcomes are lost: %s", len(self._waiting), error)


def _some(waiting: "deque[tuple[str, Counted]]") -> int:
    return min(len(waiting), BATCH)


def _by_rollout(
    taken: "list[tuple[str, Counted]]",
) -> Mapping[str, list[Counted]]:
    found: dict[str, list[Counted]] = {}
    for rollout, counted in taken:
        found.setdefault(rollout, []).append(counted)
    return found
