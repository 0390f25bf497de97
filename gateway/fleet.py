"""What is ready where, in memory: the request path reads it, the control loop writes.

Everything here runs on one event loop and never awaits, so there is no lock.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from types import TracebackType
from typing import Self

import msgspec

from adapters.lifecycle import Event, State, advance
from gateway.engine.port import Observed, Replica
from gateway.errors import AdapterUnavailable, Overloaded, UpstreamError

Uses = Mapping[str, Mapping[str, int]]
"""Requests in flight, by replica and adapter; all of a replica under its own name "".
"""
_ALL = ""


class SlotSeen(msgspec.Struct, frozen=True, array_like=True):
    """A slot as another process is told of it."""

    state: State
    reason: str
    answers: bool


class MemberSeen(msgspec.Struct, frozen=True, array_like=True):
    """A replica as another process is told of it."""

    url: str
    observed: Observed
    ghosts: int
    slots: Mapping[str, SlotSeen]


class Slot:
    """One adapter on one replica."""

    __slots__ = ("answers", "elsewhere", "in_flight", "reason", "state")

    def __init__(self) -> None:
        self.state = State.ABSENT
        self.reason = ""
        self.in_flight = 0
        self.elsewhere = 0
        """In flight in the gateway's other workers."""
        self.answers = False
        """After an unload: the name is off the list and answers all the same."""

    @property
    def busy(self) -> int:
        """Requests in flight, wherever in this gateway."""
        return self.in_flight + self.elsewhere

    def take(self, event: Event, reason: str = "") -> None:
        """Take a row of the lifecycle table. Raises TransitionError."""
        self.state = advance(self.state, event)
        self.reason = reason


class Member:
    """One replica as the gateway sees it."""

    __slots__ = (
        *("doubted", "elsewhere", "ghosts", "in_flight", "late", "looked"),
        *("observed", "replica", "slots", "woken"),
    )

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.observed = Observed(alive=False, boot_epoch=0.0, models=frozenset())
        self.looked = False
        """Whether anybody has looked yet."""
        self.doubted = False
        """A request has lost it since the last look; others are asked first."""
        self.late = 0
        """Looks in a row that were not answered in time."""
        self.slots: dict[str, Slot] = {}
        self.in_flight = 0
        self.elsewhere = 0
        """In flight in the gateway's other workers."""
        self.ghosts = 0
        """Unloads and failed loads since its start; their weights keep a slot."""
        self.woken = asyncio.Event()
        """Set when the control loop should look before its time."""

    def slot(self, ref: str) -> Slot:
        """An adapter's slot; a new one is absent."""
        return self.slots.setdefault(ref, Slot())

    @property
    def busy(self) -> int:
        """Requests in flight, wherever in this gateway."""
        return self.in_flight + self.elsewhere

    @property
    def alive(self) -> bool:
        """Whether the last look found it healthy."""
        return self.observed.alive

    def ready(self, ref: str) -> bool:
        """Whether an adapter answers here."""
        slot = self.slots.get(ref)
        return self.alive and slot is not None and slot.state is State.READY


class Lease:
    """The right to one request on one replica; released exactly once, by `with`."""

    __slots__ = ("_slot", "member", "model")

    def __init__(self, member: Member, model: str, slot: Slot | None) -> None:
        self.member = member
        self.model = model
        self._slot = slot

    def __enter__(self) -> Self:
        self.member.in_flight += 1
        if self._slot is not None:
            self._slot.in_flight += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.member.in_flight -= 1
        if self._slot is not None:
            self._slot.in_flight -= 1
            if not self._slot.in_flight and self._slot.state is State.DRAINING:
                self.member.woken.set()


class Fleet:
    """All replicas.

    Args:
        replicas: The engine clients.
        base_name: The base model's name on the engine (`served_model_name`).
        max_in_flight: Requests that one replica may have at once.
    """

    def __init__(
        self, replicas: Iterable[Replica], *, base_name: str, max_in_flight: int
    ) -> None:
        self.members = tuple(Member(replica) for replica in replicas)
        self.base_name = base_name
        self._max_in_flight = max_in_flight
        self.settled: Callable[[], bool] = lambda: True
        """Tells the gateway's other workers, if there are any, what is so here now, and
        says whether all of them go by it."""

    def lease_base(self) -> Lease:
        """A replica for the base model: the one with the fewest requests.

        Raises:
            UpstreamError: no replica is alive.
            Overloaded: each is full.
        """
        return Lease(self._least(self._alive()), self.base_name, None)

    def lease(self, ref: str) -> Lease:
        """A replica on which an adapter is ready.

        Raises:
            UpstreamError: no replica is alive.
            AdapterUnavailable: none of those alive has it ready.
            Overloaded: each that has it is full.
        """
        alive = self._alive()
        ready = [member for member in alive if member.ready(ref)]
        if not ready:
            seen = {m.slots[ref].state.value for m in alive if ref in m.slots}
            raise AdapterUnavailable(
                f"{ref} is ready on none of {len(alive)} live replicas (it is"
                f" {', '.join(sorted(seen)) or 'absent'}); `wastegate adapter list`"
                " says why"
            )
        member = self._least(ready)
        return Lease(member, ref, member.slots[ref])

    def ready(self, ref: str) -> bool:
        """Whether `lease` would find a replica, full or not."""
        return any(member.ready(ref) for member in self.members)

    @property
    def in_flight(self) -> int:
        """Requests on all replicas, from all workers."""
        return sum(member.busy for member in self.members)

    def forgotten(self, lease: Lease) -> None:
        """The engine did not know the name: believe it until the next look."""
        slot = lease.member.slots.get(lease.model)
        if slot is not None and slot.state is State.READY:
            slot.take(Event.NOT_SEEN, "the engine did not know the name")
            lease.member.woken.set()

    def lost(self, lease: Lease) -> None:
        """The replica broke off: ask others first until it was looked at."""
        lease.member.doubted = True
        lease.member.woken.set()

    def states(self, ref: str) -> Mapping[str, Slot]:
        """An adapter's slot by replica URL."""
        return {m.replica.url: m.slots[ref] for m in self.members if ref in m.slots}

    def seen(self) -> tuple[MemberSeen, ...]:
        """What is known of the replicas; nothing before each was looked at."""
        if not all(member.looked for member in self.members):
            return ()
        return tuple(
            MemberSeen(
                member.replica.url,
                member.observed,
                member.ghosts,
                {
                    ref: SlotSeen(slot.state, slot.reason, slot.answers)
                    for ref, slot in member.slots.items()
                },
            )
            for member in self.members
        )

    def take(self, seen: Iterable[MemberSeen]) -> None:
        """Believe what another process knows of the replicas."""
        members = {member.replica.url: member for member in self.members}
        for told in seen:
            member = members.get(told.url)
            if member is None:
                continue
            member.observed, member.ghosts = told.observed, told.ghosts
            member.looked, member.doubted = True, False
            for ref, each in told.slots.items():
                slot = member.slot(ref)
                slot.state, slot.reason = each.state, each.reason
                slot.answers = each.answers

    def uses(self) -> Uses:
        """What this process has in flight."""
        return {
            member.replica.url: {_ALL: member.in_flight}
            | {ref: n for ref, slot in member.slots.items() if (n := slot.in_flight)}
            for member in self.members
        }

    def elsewhere(self, others: Collection[Uses]) -> None:
        """The gateway's other workers have this in flight."""
        for member in self.members:
            found = [uses.get(member.replica.url, {}) for uses in others]
            member.elsewhere = sum(each.get(_ALL, 0) for each in found)
            for ref, slot in member.slots.items():
                slot.elsewhere = sum(each.get(ref, 0) for each in found)

    def _alive(self) -> list[Member]:
        alive = [member for member in self.members if member.alive]
        if not alive:
            raise UpstreamError(
                "no vLLM replica is up; it is looked at every second and comes back"
                " by itself"
            )
        return alive

    def _least(self, members: list[Member]) -> Member:
        free = [m for m in members if m.in_flight < self._max_in_flight]
        if not free:
            raise Overloaded("all replicas are full; try again in a second")
        return min(free, key=lambda m: (m.doubted, m.in_flight))
