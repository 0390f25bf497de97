"""From finished requests to what rollouts count; nothing here is on a request's way.

A request hands over one value and goes. They are written in batches, and a batch that
the store did not take is handed over again: units are counted once, however often.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from typing import Final

from gateway.telemetry.outcome import outcome_of
from gateway.telemetry.record import RequestFinished
from routing.decision import Membership
from routing.errors import StoreError
from routing.tallies import Counted, Tallies, assignment, unit_digest

_LOG: Final = logging.getLogger("wastegate")

FLUSH_SECONDS: Final = 1.0
"""Between two batches: what the evidence is behind at most while the store answers."""

MOST_WAITING: Final = 50_000
"""Outcomes that wait for a store that is away; further ones push the oldest out. They
take some 10 MB, and at 100 units a second they are eight minutes."""

BATCH: Final = 500
"""Outcomes in one transaction, so that a long queue does not block the store."""


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
        outcome = outcome_of(member.arm, record)
        if outcome is None:
            return
        self.count(member.rollout, Counted(member.stage, unit, outcome))

    def assigned(self, member: Membership, tenant: str, unit: str) -> None:
        """Take that a unit was given to an arm. Never waits, never raises."""
        self.count(member.rollout, assignment(member, unit_digest(tenant, unit)))

    def count(self, rollout: str, counted: Counted) -> None:
        """Take something to count for a rollout. Never waits, never raises."""
        self.lost += len(self._waiting) == MOST_WAITING
        self._waiting.append((rollout, counted))

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
