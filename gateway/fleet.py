"""What is ready where, in memory: the request path reads it, the control loop writes.

Everything here runs on one event loop and never awaits, so there is no lock.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from adapters.lifecycle import Event, State
from gateway.engine.port import Replica
from gateway.errors import AdapterUnavailable, Overloaded, UpstreamError
from gateway.isolation import NOWHERE, Isolation, serves
from gateway.member import Lease, Member, MemberSeen, Slot, SlotSeen

Uses = Mapping[str, Mapping[str, int]]
"""Requests in flight, by replica and adapter; all of a replica under its own name "".
"""
_ALL: Final = ""

_BOUND: Final = 1.25
"""How far above the average a conversation's own replica may be loaded before its next
request goes elsewhere: Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with
Bounded Loads", 2016, whose c is this."""

_ANYWHERE: Final = Isolation()


class Fleet:
    """All replicas.

    Args:
        replicas: The engine clients.
        base_name: The base model's name on the engine (`served_model_name`).
        max_in_flight: Requests that one replica may have at once.
        isolation: Where each replica is, and which adapters it may hold.
    """

    def __init__(
        self,
        replicas: Iterable[Replica],
        *,
        base_name: str,
        max_in_flight: int,
        isolation: Isolation = _ANYWHERE,
    ) -> None:
        self.isolation = isolation
        self.members = tuple(
            Member(replica, isolation.replicas.get(replica.url, NOWHERE))
            for replica in replicas
        )
        self.base_name = base_name
        self._max_in_flight = max_in_flight
        self.settled: Callable[[], bool] = lambda: True
        """Tells the gateway's other workers, if there are any, what is so here now, and
        says whether all of them go by it."""

    def lease_base(self, region: str = NOWHERE, unit: str | None = None) -> Lease:
        """A replica for the base model.

        Args:
            region: of the tenant.
            unit: a conversation that is best served where it was before.

        Raises:
            UpstreamError: no replica is alive.
            Overloaded: each is full.
        """
        return Lease(self._chosen(self._alive(region), unit), self.base_name, None)

    def lease(self, ref: str, region: str = NOWHERE, unit: str | None = None) -> Lease:
        """A replica on which an adapter is ready.

        Args:
            ref: the adapter.
            region: of the tenant.
            unit: a conversation that is best served where it was before.

        Raises:
            UpstreamError: no replica is alive.
            AdapterUnavailable: none of those alive has it ready.
            Overloaded: each that has it is full.
        """
        alive = self._alive(region)
        ready = [member for member in alive if member.ready(ref)]
        if not ready:
            seen = {m.slots[ref].state.value for m in alive if ref in m.slots}
            raise AdapterUnavailable(
                f"{ref} is ready on none of {len(alive)} live replicas (it is"
                f" {', '.join(sorted(seen)) or 'absent'}); `wastegate adapter list`"
                " says why"
            )
        member = self._chosen(ready, unit)
        return Lease(member, ref, member.slots[ref])

    def alive(self, region: str = NOWHERE) -> bool:
        """Whether `lease_base` would find a replica, full or not."""
        return any(m.alive and serves(region, m.region) for m in self.members)

    def ready(self, ref: str, region: str = NOWHERE) -> bool:
        """Whether `lease` would find a replica, full or not."""
        return any(m.ready(ref) and serves(region, m.region) for m in self.members)

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

    def may_hold(self, ref: str) -> tuple[Member, ...]:
        """The replicas on which an adapter may be at all."""
        policy = self.isolation.of(ref)
        return tuple(each for each in self.members if policy.in_region(each.region))

    def _alive(self, region: str) -> list[Member]:
        alive = [m for m in self.members if m.alive and serves(region, m.region)]
        if not alive:
            where = f" in region {region}" if region else ""
            raise UpstreamError(
                f"no vLLM replica is up{where}; it is looked at every second and comes"
                " back by itself"
            )
        return alive

    def _chosen(self, members: list[Member], unit: str | None) -> Member:
        """The one with the fewest requests; or the unit's own, while that is no worse.

        A conversation's own replica has its prefix in the cache. Which one it is
        follows from its name alone, so all workers agree, and a replica that comes or
        goes moves only its own conversations.
        """
        free = [m for m in members if m.in_flight < self._max_in_flight]
        if not free:
            raise Overloaded("all replicas are full; try again in a second")
        least = min(free, key=lambda m: (m.doubted, m.in_flight))
        if unit is None or len(members) == 1:
            return least
        own = max(members, key=lambda m: _weight(m.replica.url, unit))
        load = sum(m.in_flight for m in members) + 1
        light = (own.in_flight + 1) * len(members) < _BOUND * load + len(members)
        return own if light and own in free and not own.doubted else least


def _weight(url: str, unit: str) -> bytes:
    """How much a replica is a unit's own: rendezvous hashing, the highest one wins."""
    return hashlib.blake2b(f"{url} {unit}".encode(), digest_size=8).digest()
