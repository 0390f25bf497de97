"""The first of a gateway's workers: what it decides and sees, the others go by.

It alone has the control plane and tends the replicas. A kill or an unmount is with the
others as soon as it is in force here, whatever the store does; and nothing is unloaded
while another worker may still use it. A gateway of one worker has nobody to tell.
"""

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from gateway.control.mail import SAY_SECONDS, Mailbox, Orders, Report
from gateway.control.presence import WAIT_SECONDS, Heard
from gateway.fleet import Fleet
from gateway.live import Live, Unheard

FRESH_SECONDS: Final = 4 * SAY_SECONDS
"""Who has said nothing for so long is being replaced, and is not waited for."""

_ADOPT_SECONDS: Final = 1.5 * SAY_SECONDS
"""A new leader listens for so long what its predecessor's orders were."""


class Leader:
    """Tells the other workers, and knows how they stand.

    Args:
        live: what is in force here.
        fleet: what is ready where.
        name: this worker, for people.
        wake: lets somebody look at the replicas now.
        directory: where the workers meet; None where there is but one.
        others: their indices.
    """

    def __init__(
        self,
        live: Live,
        fleet: Fleet,
        name: str,
        *,
        wake: Callable[[], None],
        directory: Path | None = None,
        others: Iterable[int] = (),
    ) -> None:
        self._live = live
        self._fleet = fleet
        self._name = name
        self._wake = wake
        self._others = tuple(others)
        self._mail = Mailbox(directory, 0, self._hear) if directory else None
        self._orders = Orders(secrets.token_hex(8), 0, Unheard(), ())
        self._reports: dict[int, tuple[Report, float]] = {}
        self._begun = False
        self._doubted = False
        """Another worker has lost a replica or an adapter: it is told again what is so,
        even if nothing has changed, since it goes by its own doubt until then."""
        self._news = asyncio.Event()

    @property
    def reports(self) -> list[Report]:
        """The last word of each other worker that is there."""
        oldest = time.monotonic() - FRESH_SECONDS
        return [report for report, at in self._reports.values() if at >= oldest]

    def pids(self) -> dict[int, int]:
        """The processes of all workers that are there, by index."""
        others = {report.worker: report.pid for report in self.reports}
        return {0: os.getpid()} | others

    def settled(self) -> bool:
        """Whether all workers go by what is so here now."""
        self.publish()
        return not self._behind()

    async def heard(self) -> Heard:
        """Wait until all workers go by what is so here, but not for long."""
        await self._until(self.settled, WAIT_SECONDS)
        late = {report.name for report in self._behind()}
        there = {self._name, *(report.name for report in self.reports)}
        return Heard(tuple(sorted(there - late)), tuple(sorted(late)))

    def publish(self) -> None:
        """Tell the others at once if something has changed."""
        if self._mail is None or not self._begun:
            return
        unheard, replicas = self._live.unheard, self._fleet.seen()
        before = self._orders
        if not replicas:  # before they were looked at there is nothing to go by
            return
        if not self._doubted and (before.unheard, before.replicas) == (
            unheard,
            replicas,
        ):
            return
        self._doubted = False
        number = before.number + 1
        self._orders = Orders(before.life, number, unheard, replicas)
        self._tell(self._others)

    async def begin(self) -> None:
        """Take over from a predecessor, if the others still go by its orders."""
        if self._mail is None:
            return
        self._mail.open()
        await self._until(
            lambda: len(self._reports) == len(self._others), _ADOPT_SECONDS
        )
        held = [report.held for report in self.reports if report.held is not None]
        if held:
            last = max(held, key=lambda orders: orders.number)
            self._live.adopt(last.unheard)
            self._fleet.take(last.replicas)
        self._live.watch(self.publish)
        self._fleet.settled = self.settled
        self._begun = True

    async def run(self) -> None:
        """Tell again and again, until cancelled."""
        while self._mail is not None:
            self.publish()
            self._tell(self._others)
            await asyncio.sleep(SAY_SECONDS)

    def close(self) -> None:
        """Tell nobody anything any more."""
        if self._mail is not None:
            self._mail.close()

    async def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait for something that reports bring about, but not for long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not condition():
                    self._news.clear()
                    await self._news.wait()

    def _behind(self) -> list[Report]:
        now = (self._orders.life, self._orders.number)
        return [
            report
            for report in self.reports
            if report.held is None or (report.held.life, report.held.number) != now
        ]

    def _tell(self, workers: Iterable[int]) -> None:
        if self._mail is not None and self._orders.number:
            for worker in workers:
                self._mail.send(worker, self._orders)

    def _hear(self, message: Orders | Report) -> None:
        if not isinstance(message, Report):
            return
        self._news.set()
        self._doubted |= message.look
        before = self._reports.get(message.worker)
        self._reports[message.worker] = (message, time.monotonic())
        self._fleet.elsewhere([report.uses for report in self.reports])
        if message in self._behind():
            self._tell([message.worker])
        elif message.look or before is None or before[0].held != message.held:
            self._wake()
