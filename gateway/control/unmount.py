"""Taking an adapter away: routing first, then drain, unload, verify; each told.

The first step is a local decision and needs no replica and no store. Whatever of
the rest cannot be done in time is listed as left to do; the reconciler goes on with
it, and the adapter gets no traffic meanwhile.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

import msgspec

from adapters.lifecycle import State
from gateway.control.changes import Changes, Who
from gateway.fleet import Fleet
from gateway.member import Member

StepName = Literal["routing_removed", "drained", "unloaded", "verified"]

GONE = frozenset({State.ABSENT, State.RETIRED})


class Step(msgspec.Struct, frozen=True):
    """One step that was reached, `seconds` after the unmount was asked for."""

    step: StepName
    seconds: float
    detail: str = ""


class Unmounted(msgspec.Struct, frozen=True):
    """What was done, and what is left."""

    ref: str
    steps: tuple[Step, ...]
    left_to_do: tuple[str, ...] = ()


class Worker(Protocol):
    """What is needed of the reconciler."""

    def wake(self) -> None:
        """Look at once."""
        ...

    def until(self, condition: Callable[[], bool], *, within: float) -> Awaitable[bool]:
        """Wait for a condition on the fleet; whether it came true in time."""
        ...


async def unmount(
    ref: str,
    who: Who,
    *,
    changes: Changes,
    fleet: Fleet,
    worker: Worker,
    within: float,
) -> Unmounted:
    """Unmount an adapter everywhere, waiting `within` seconds for the replicas."""
    began = time.monotonic()
    steps: list[Step] = []

    def reached(step: StepName, detail: str) -> None:
        steps.append(Step(step, round(time.monotonic() - began, 3), detail))

    persisted = await changes.unmount(ref, who)
    busy = sum(slot.busy for slot in fleet.states(ref).values())
    reached("routing_removed", f"{busy} in flight; they run to their end")
    left = () if persisted else ("the store is away: repeat this when it is back",)
    worker.wake()
    phases: tuple[tuple[StepName, Callable[[], tuple[str, ...]]], ...] = (
        ("drained", lambda: _busy(fleet, ref)),
        ("unloaded", lambda: _held(fleet, ref)),
        ("verified", lambda: _listed(fleet, ref)),
    )
    for step, missing in phases:
        remaining = max(0.0, began + within - time.monotonic())
        if not await worker.until(lambda: not missing(), within=remaining):  # noqa: B023 -- awaited within the same turn
            return Unmounted(ref, tuple(steps), (*left, *missing()))
        reached(step, f"on {len(fleet.members)} of {len(fleet.members)} replicas")
    return Unmounted(ref, tuple(steps), left)


def _busy(fleet: Fleet, ref: str) -> tuple[str, ...]:
    return tuple(
        f"wait for {slot.busy} requests on {url}"
        for url, slot in fleet.states(ref).items()
        if slot.busy
    )


def _held(fleet: Fleet, ref: str) -> tuple[str, ...]:
    return tuple(
        f"unload it from {url}, which says {slot.state.value}"
        for url, slot in fleet.states(ref).items()
        if slot.state not in GONE
    )


def _listed(fleet: Fleet, ref: str) -> tuple[str, ...]:
    return tuple(
        f"look at {member.replica.url}: {why}"
        for member in fleet.members
        if (why := _doubt(member, ref))
    )


def _doubt(member: Member, ref: str) -> str:
    if not member.alive:
        return "it is down"
    if ref in member.observed.models:
        return "it lists the name"
    slot = member.slots.get(ref)
    return slot.reason if slot is not None and slot.answers else ""
