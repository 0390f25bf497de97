"""One replica and its adapters as a gateway sees them, and the leases on them."""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import msgspec

from adapters.lifecycle import Event, State, advance
from gateway.engine.port import Observed, Replica
from gateway.isolation import NOWHERE


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

    __slots__ = ("answers", "elsewhere", "in_flight", "reason", "state", "worked")

    def __init__(self) -> None:
        self.state = State.ABSENT
        self.reason = ""
        self.in_flight = 0
        self.elsewhere = 0
        """In flight in the gateway's other workers."""
        self.answers = False
        """After an unload: the name is off the list and answers all the same."""
        self.worked = 0
        """The replica's ghosts when it was last seen at work, by a proof or a pin."""

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
        *("observed", "proven", "region", "replica", "slots", "woken"),
    )

    def __init__(self, replica: Replica, region: str = NOWHERE) -> None:
        self.replica = replica
        self.region = region
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
        self.proven: set[str] = set()
        """Adapters that have proved their effect since its start."""
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
