"""The loop that makes every replica as it should be: look, plan, act, look again.

One task a replica, so that a replica that hangs delays no other. The plan is pure
and forgets everything between two turns, so a crash at any point resumes from what
is found. Routing never waits for this loop.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from adapters.errors import AdapterError
from adapters.lifecycle import Event, observe
from adapters.plan import Observed, Step, Wanted, plan
from adapters.refs import AdapterRef
from gateway.control.actions import Actions
from gateway.engine.port import Observed as Look
from gateway.fleet import Fleet
from gateway.live import Live
from gateway.member import Member

_LOG: Final = logging.getLogger("wastegate")

LATE_LOOKS: Final = 3
"""So many looks in a row have to go unanswered before a replica is out: on few cores an
engine that is busy is late now and then. One that is not reachable is out at once."""


class Reconciler:
    """Tends all replicas.

    Args:
        fleet: what is ready where; this loop is its only writer.
        live: says what should be mounted.
        actions: carries out what the plan says.
        max_loras: adapters that a replica holds at once.
        poll_seconds: between two looks at a replica.
    """

    def __init__(
        self,
        fleet: Fleet,
        live: Live,
        actions: Actions,
        *,
        max_loras: int,
        poll_seconds: float,
    ) -> None:
        self._fleet = fleet
        self._live = live
        self._actions = actions
        self._max_loras = max_loras
        self._poll = poll_seconds
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Tend all replicas until cancelled."""
        async with asyncio.TaskGroup() as group:
            for member in self._fleet.members:
                group.create_task(self._tend(member))

    def wake(self) -> None:
        """Look at every replica now."""
        for member in self._fleet.members:
            member.woken.set()

    def forgive(self, ref: str) -> None:
        """Try a failed or quarantined adapter again, as a person has asked."""
        self._actions.forgive(ref)

    async def until(self, condition: Callable[[], bool], *, within: float) -> bool:
        """Wait for something to become true of the fleet; whether it did in time."""
        try:
            async with asyncio.timeout(within):
                while not condition():
                    await self._changed.wait()
        except TimeoutError:
            return condition()
        return True

    async def _tend(self, member: Member) -> None:
        while True:
            member.woken.clear()
            try:
                await self.turn(member)
            except AdapterError as error:
                # A row that the table lacks is a defect of ours. Stopping here would
                # leave the replica untended, which is worse than looking again.
                _LOG.exception("reconciling %s: %s", member.replica.url, error)
            self._fleet.settled()  # the other workers hear of it at once
            self._changed.set()
            self._changed = asyncio.Event()
            try:
                async with asyncio.timeout(self._poll):
                    await member.woken.wait()
            except TimeoutError:
                continue

    async def turn(self, member: Member) -> None:
        """Look at a replica once, and do what can begin now."""
        self._saw(member, await member.replica.observe())
        if not member.alive or member.late:
            return
        for step in self._plan(member):
            await self._actions.carry(member, step)

    def _saw(self, member: Member, look: Look) -> None:
        member.looked = True
        member.late = member.late + 1 if look.late else 0
        if 0 < member.late < LATE_LOOKS and member.alive:
            return  # busy, as far as anybody knows
        member.doubted = False
        before, member.observed = member.observed, look
        if not look.alive:
            # Slots keep their state: nobody is routed to a replica that is down, and
            # whether it forgot anything is told by the epoch it comes back with.
            member.observed = Look(
                alive=False, boot_epoch=before.boot_epoch, models=frozenset()
            )
            return
        if before.boot_epoch not in (0.0, look.boot_epoch):
            member.ghosts = 0
            member.proven.clear()
            for slot in member.slots.values():
                slot.take(Event.RESTARTED, "the replica was restarted")
                slot.worked = 0
        for name in look.models - member.slots.keys() - {self._fleet.base_name}:
            if _is_ref(name):
                member.slot(name)
        for name, slot in member.slots.items():
            slot.state = observe(slot.state, listed=name in look.models)

    def _plan(self, member: Member) -> tuple[Step, ...]:
        mounted = self._live.present.mounted
        desired: dict[AdapterRef, Wanted] = {
            AdapterRef(ref): "mounted"
            for ref in mounted
            if self._fleet.isolation.of(ref).in_region(member.region)
        }
        # A worker that has not heard that an adapter drains may be about to use it.
        unsure = not self._fleet.settled()
        observed = {
            AdapterRef(ref): Observed(
                slot.state, slot.busy + unsure, member.ghosts - slot.worked
            )
            for ref, slot in member.slots.items()
        }
        return plan(desired, observed, self._max_loras, self._actions.due(member))


def _is_ref(name: str) -> bool:
    try:
        AdapterRef.parse(name)
    except AdapterError:
        return False
    return True
