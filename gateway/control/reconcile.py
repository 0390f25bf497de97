"""The loop that makes every replica as it should be: look, plan, act, look again.

One task a replica, so that a replica that hangs delays no other. The plan is pure
and forgets everything between two turns, so a crash at any point resumes from what
is found. Routing never waits for this loop.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from adapters.errors import AdapterError
from adapters.lifecycle import Event, State, observe
from adapters.plan import Action, Observed, Slots, Step, Wanted, plan
from adapters.refs import AdapterRef
from adapters.registry import Registered, Registry
from gateway.control.proof import Proof, disagreement, pin, prove
from gateway.engine.port import Observed as Look, Replica
from gateway.errors import AdapterUnavailable, GatewayError, UpstreamTimeout
from gateway.fleet import Fleet, Member, Slot
from gateway.live import Live

_LOG: Final = logging.getLogger("wastegate")

_FIRST_RETRY: Final = 5.0
_LAST_RETRY: Final = 60.0
"""Seconds between two loads of an adapter that a replica refused; doubles."""


LATE_LOOKS: Final = 3
"""So many looks in a row have to go unanswered before a replica is out: on few cores an
engine that is busy is late now and then. One that is not reachable is out at once."""


class Reconciler:
    """Tends all replicas.

    Args:
        fleet: what is ready where; this loop is its only writer.
        live: says what should be mounted.
        registry: where adapters lie; read in a thread.
        base_ref: the base that is served; adapters of another are unfit.
        max_loras: adapters that a replica holds at once.
        poll_seconds: between two looks at a replica.
    """

    def __init__(
        self,
        fleet: Fleet,
        live: Live,
        registry: Registry,
        *,
        base_ref: str,
        max_loras: int,
        poll_seconds: float,
    ) -> None:
        self._fleet = fleet
        self._live = live
        self._registry = registry
        self._base_ref = base_ref
        self._max_loras = max_loras
        self._poll = poll_seconds
        self._changed = asyncio.Event()
        self._failures: dict[tuple[str, str], tuple[int, float]] = {}
        """How often in a row a load was refused, and when to try again."""
        self._proofs: dict[str, tuple[str, Proof]] = {}
        """By adapter its first proof, and the replica that gave it."""
        self._carry: Mapping[
            Action, Callable[[Member, Slot, AdapterRef], Awaitable[None]]
        ] = {
            Action.STAGE: self._stage,
            Action.LOAD: self._load,
            Action.WARM: self._warm,
            Action.PIN: self._pin,
            Action.UNLOAD: self._unload,
            Action.LOOK_UP: self._look_up,
            Action.DRAIN: self._nothing,
            Action.RESUME: self._nothing,
        }

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
        self._proofs.pop(ref, None)
        for member in self._fleet.members:
            self._failures.pop((member.replica.url, ref), None)
            slot = member.slots.get(ref)
            if slot is not None and slot.state is State.QUARANTINED:
                slot.take(Event.RELEASED, "asked for again")

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
            slot = member.slot(step.ref)
            if step.begins is not None:
                slot.take(step.begins, slot.reason)
            await self._carry[step.action](member, slot, step.ref)

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
            for slot in member.slots.values():
                slot.take(Event.RESTARTED, "the replica was restarted")
        for name in look.models - member.slots.keys() - {self._fleet.base_name}:
            if _is_ref(name):
                member.slot(name)
        for name, slot in member.slots.items():
            slot.state = observe(slot.state, listed=name in look.models)

    def _plan(self, member: Member) -> tuple[Step, ...]:
        mounted = self._live.present.mounted
        desired: dict[AdapterRef, Wanted] = {
            AdapterRef(ref): "mounted" for ref in mounted
        }
        # A worker that has not heard that an adapter drains may be about to use it.
        unsure = not self._fleet.settled()
        observed = {
            AdapterRef(ref): Observed(slot.state, slot.busy + unsure)
            for ref, slot in member.slots.items()
        }
        now = time.monotonic()
        due = [
            AdapterRef(ref)
            for ref, slot in member.slots.items()
            if slot.state is State.FAILED
            and self._failures.get((member.replica.url, ref), (0, 0.0))[1] <= now
        ]
        return plan(desired, observed, Slots(self._max_loras, member.ghosts), due)

    async def _stage(self, member: Member, slot: Slot, ref: AdapterRef) -> None:
        try:
            registered = await asyncio.to_thread(self._registry.verify, ref)
        except (AdapterError, OSError) as error:
            slot.take(Event.UNFIT, str(error))
            return
        base = registered.manifest.base.ref
        if base != self._base_ref:
            slot.take(Event.UNFIT, f"made for {base}; {self._base_ref} is served")
            return
        slot.answers = False
        slot.take(Event.PREPARED)

    async def _load(self, member: Member, slot: Slot, ref: AdapterRef) -> None:
        key = (member.replica.url, str(ref))
        try:
            registered = await self._registered(ref)
            await member.replica.load(str(ref), registered.path)
        except UpstreamTimeout as error:
            slot.take(Event.UNCLEAR, error.message)
        except (GatewayError, AdapterError) as error:
            times = self._failures.get(key, (0, 0.0))[0]
            wait = min(_LAST_RETRY, _FIRST_RETRY * 2**times)
            self._failures[key] = (times + 1, time.monotonic() + wait)
            member.ghosts += 1
            slot.take(Event.LOAD_REFUSED, f"{error}; again in {wait:g} s")
        else:
            self._failures.pop(key, None)
            slot.take(Event.LOAD_DONE)
            member.woken.set()

    async def _warm(self, member: Member, slot: Slot, ref: AdapterRef) -> None:
        try:
            proof = await prove(
                member.replica,
                base=self._fleet.base_name,
                adapter=str(ref),
                probes=(await self._registered(ref)).manifest.probes,
            )
        except GatewayError as error:
            slot.take(Event.UNCLEAR, error.message)
            return
        except AdapterError as error:
            slot.take(Event.DISPROVEN, str(error))
            return
        otherwise = self._otherwise(member, ref, proof) if proof.differs else ""
        proven = proof.differs and not otherwise
        slot.take(
            Event.PROVEN if proven else Event.DISPROVEN, otherwise or proof.detail
        )

    def _otherwise(self, member: Member, ref: AdapterRef, proof: Proof) -> str:
        """How a proof contradicts the first one of this adapter, wherever it was."""
        url = member.replica.url
        where, first = self._proofs.setdefault(str(ref), (url, proof))
        if not (why := disagreement(first, proof)):
            return ""
        return (
            f"{why} on {where}: another base, or other bytes, on one of the two;"
            f" `wastegate adapter mount {ref}` begins anew"
        )

    async def _pin(self, member: Member, slot: Slot, ref: AdapterRef) -> None:
        try:
            await pin(member.replica, str(ref))
        except GatewayError as error:
            # If the name is gone, the next look at the list says so.
            slot.reason = f"not pinned: {error.message}"

    async def _unload(self, member: Member, slot: Slot, ref: AdapterRef) -> None:
        replica = member.replica
        try:
            await replica.unload(str(ref))
            look = await replica.observe()
            slot.answers = await _answers(replica, ref)
        except GatewayError as error:
            slot.take(Event.UNCLEAR, error.message)
            return
        if ref in look.models or not look.alive:
            slot.take(Event.UNCLEAR, "still listed after the unload, or not seen")
            return
        member.observed = look
        member.ghosts += 1
        reason = "off the list, but the name still answers: restart the replica"
        slot.take(Event.UNLOADED, reason if slot.answers else "")

    async def _look_up(self, member: Member, slot: Slot, ref: AdapterRef) -> None:
        slot.take(
            Event.SEEN if ref in member.observed.models else Event.NOT_SEEN,
            slot.reason,
        )
        member.woken.set()

    async def _nothing(self, member: Member, slot: Slot, ref: AdapterRef) -> None:
        """Draining and resuming are states, not work; look again without delay."""
        member.woken.set()

    async def _registered(self, ref: AdapterRef) -> Registered:
        return await asyncio.to_thread(self._registry.get, ref)


async def _answers(replica: Replica, ref: AdapterRef) -> bool:
    """Whether an unloaded name still gets an answer from an engine."""
    try:
        await pin(replica, str(ref))
    except AdapterUnavailable:
        return False
    return True


def _is_ref(name: str) -> bool:
    try:
        AdapterRef.parse(name)
    except AdapterError:
        return False
    return True
