"""Every other worker of a gateway: it goes by what the first one has decided and seen.

It serves requests from its own memory like the first, reads the store by itself, and
keeps its last orders while the first is being replaced.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gateway.control.mail import SAY_SECONDS, Mailbox, Orders, Report
from gateway.fleet import Fleet
from gateway.live import Live
from gateway.member import Member

_FIRST_SECONDS: Final = 30.0
"""So long the first orders may take: the first worker is looking at the replicas."""

_ASK_SECONDS: Final = 0.1


class Follower:
    """Takes orders, and reports.

    Args:
        live: what is in force here.
        fleet: what is ready where.
        name: this worker, for people.
        store_up: whether the store has answered last.
        directory: where the workers meet.
        index: which of them this is.
    """

    def __init__(
        self,
        live: Live,
        fleet: Fleet,
        name: str,
        *,
        store_up: Callable[[], bool],
        directory: Path,
        index: int,
    ) -> None:
        self._live = live
        self._fleet = fleet
        self._name = name
        self._store_up = store_up
        self._index = index
        self._mail = Mailbox(directory, index, self._hear)
        self._held: Orders | None = None

    async def begin(self) -> None:
        """Wait for the first orders; without them no request could be routed.

        Raises:
            TimeoutError: there were none.
        """
        self._mail.open()
        async with asyncio.timeout(_FIRST_SECONDS):
            while self._held is None:
                self._report()
                await asyncio.sleep(_ASK_SECONDS)

    async def run(self) -> None:
        """Report again and again, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for member in self._fleet.members:
                group.create_task(self._doubt(member))
            while True:
                self._report()
                await asyncio.sleep(SAY_SECONDS)

    def close(self) -> None:
        """Hear nothing any more."""
        self._mail.close()

    async def _doubt(self, member: Member) -> None:
        """Say at once what a request has found out about a replica."""
        while True:
            await member.woken.wait()
            member.woken.clear()
            self._report(look=True)

    def _report(self, *, look: bool = False) -> None:
        report = Report(
            worker=self._index,
            name=self._name,
            pid=os.getpid(),
            uses=self._fleet.uses(),
            flags_version=self._live.present.flags_version,
            store_up=self._store_up(),
            look=look,
            held=self._held,
        )
        self._mail.send(0, report)

    def _hear(self, message: Orders | Report) -> None:
        if not isinstance(message, Orders):
            return
        held = self._held
        if held and held.life == message.life and held.number >= message.number:
            return
        self._live.order(message.unheard)
        self._fleet.take(message.replicas)
        self._held = message
        self._report()
