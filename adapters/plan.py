"""From where the adapters of one replica are to where they should be.

The plan is a pure function of what is wanted and what is seen, and forgets
everything between two calls: run after a crash, it goes on from what it finds.
A step says what can begin now. Whoever carries it out first takes its `begins`
event, then does it, then takes the event of what came of it.
"""

import enum
from collections.abc import Collection, Mapping
from typing import Final, Literal

import msgspec

from adapters.errors import PlanError
from adapters.lifecycle import Event, State
from adapters.refs import AdapterRef

Wanted = Literal["mounted", "absent"]


class Action(enum.StrEnum):
    """What there is to do for an adapter."""

    STAGE = "stage"
    """Run pre-flight, find the path: PREPARED or UNFIT."""
    LOAD = "load"
    """Ask the replica to load it: LOAD_DONE, LOAD_REFUSED or UNCLEAR."""
    WARM = "warm"
    """Prove its effect and warm it up: PROVEN, DISPROVEN or UNCLEAR."""
    PIN = "pin"
    """Send it one token's worth of work, so that it is not the one to be evicted."""
    DRAIN = "drain"
    """Take its routing away."""
    RESUME = "resume"
    """Stop draining."""
    UNLOAD = "unload"
    """Ask the replica to unload it, look whether it is gone: UNLOADED or UNCLEAR."""
    LOOK_UP = "look_up"
    """Read the replica's list of models: SEEN or NOT_SEEN."""


BEGINS: Final[Mapping[Action, Event]] = {
    Action.LOAD: Event.LOAD_SENT,
    Action.WARM: Event.WARM_SENT,
    Action.DRAIN: Event.DRAIN,
    Action.RESUME: Event.RESUME,
    Action.UNLOAD: Event.UNLOAD_SENT,
}
"""The event that beginning a step is; the others begin without one."""


class Step(msgspec.Struct, frozen=True):
    """One thing to do now; steps of a plan are carried out in their order."""

    action: Action
    ref: AdapterRef

    @property
    def begins(self) -> Event | None:
        """The event to take before the step is carried out."""
        return BEGINS.get(self.action)


class Observed(msgspec.Struct, frozen=True):
    """An adapter on the replica.

    `in_flight` are its requests there. `ghosts` counts the unloads and failed loads
    since it was last seen at work: their weights keep a slot until something evicts
    them, and may have been used after it.
    """

    state: State
    in_flight: int = 0
    ghosts: int = 0


RESIDENT: Final = frozenset(
    {
        State.LOADING, State.LOADED, State.WARMING, State.READY, State.DRAINING,
        State.UNLOADING, State.QUARANTINED, State.UNKNOWN,
    }
)  # fmt: skip
"""States in which the adapter takes, or may take, one of the replica's slots."""

GONE: Final = frozenset({State.ABSENT, State.STAGED, State.RETIRED, State.FAILED})
"""States that are as good as absent when the adapter is not wanted."""

_WHEN_ABSENT: Final[Mapping[State, Action]] = {
    State.LOADED: Action.DRAIN,
    State.READY: Action.DRAIN,
    State.QUARANTINED: Action.DRAIN,
    State.UNKNOWN: Action.LOOK_UP,
}
_WHEN_MOUNTED: Final[Mapping[State, Action]] = {
    State.ABSENT: Action.STAGE,
    State.RETIRED: Action.STAGE,
    State.LOADED: Action.WARM,
    State.DRAINING: Action.RESUME,
    State.UNKNOWN: Action.LOOK_UP,
}


def plan(
    desired: Mapping[AdapterRef, Wanted],
    observed: Mapping[AdapterRef, Observed],
    max_loras: int,
    retry: Collection[AdapterRef] = (),
) -> tuple[Step, ...]:
    """List what can begin now on one replica; nothing when all is as it should be.

    Steps that were begun are in the states that they began (LOADING, WARMING,
    UNLOADING) and are not listed again. At most one step is a LOAD, and none is
    while a load is, or may be, under way. Nothing is unloaded with requests in
    flight. What is observed and not desired is taken for not wanted.

    Args:
        desired: what should be mounted; what it does not name should be absent.
        observed: what is known of this replica; what it does not name is absent.
        max_loras: the replica's slots; loads that do not fit wait for an unload.
        retry: the failed ones whose back-off is over.
    """
    steps = [
        Step(action, ref)
        for ref in sorted({*desired, *observed})
        if (action := _next(desired.get(ref, "absent"), _seen(observed, ref)))
    ]
    again = [
        Step(Action.STAGE, ref)
        for ref in sorted(retry)
        if desired.get(ref) == "mounted" and _seen(observed, ref).state is State.FAILED
    ]
    return (*steps, *again, *_load(desired, observed, max_loras))


def check_fits(desired: Mapping[AdapterRef, Wanted], max_loras: int) -> None:
    """Refuse a desired state that does not fit a replica at once.

    Raises:
        PlanError: more adapters should be mounted than the replica has slots.
    """
    mounted = sorted(ref for ref, wanted in desired.items() if wanted == "mounted")
    if len(mounted) > max_loras:
        raise PlanError(
            f"{len(mounted)} adapters should be mounted ({', '.join(mounted)}), the"
            f" replica has {max_loras} slots; unmount one, or start it with a higher"
            " --max-loras"
        )


def settled(
    desired: Mapping[AdapterRef, Wanted], ref: AdapterRef, state: State
) -> bool:
    """Tell whether an adapter is where it should be."""
    if desired.get(ref, "absent") == "mounted":
        return state is State.READY
    return state in GONE


def _seen(observed: Mapping[AdapterRef, Observed], ref: AdapterRef) -> Observed:
    return observed.get(ref, Observed(State.ABSENT))


def _next(wanted: Wanted, seen: Observed) -> Action | None:
    if wanted == "mounted":
        return _WHEN_MOUNTED.get(seen.state)
    if seen.state is State.DRAINING:
        return Action.UNLOAD if seen.in_flight == 0 else None
    return _WHEN_ABSENT.get(seen.state)


def _load(
    desired: Mapping[AdapterRef, Wanted],
    observed: Mapping[AdapterRef, Observed],
    max_loras: int,
) -> list[Step]:
    """Plan the one load that may begin, and what keeps it from evicting others."""
    states = [seen.state for seen in observed.values()]
    if State.LOADING in states or State.UNKNOWN in states:
        # An unknown one may be a load that is still running in the engine.
        return []
    live = sum(state in RESIDENT for state in states)
    staged = [
        ref
        for ref in sorted(desired)
        if desired[ref] == "mounted" and _seen(observed, ref).state is State.STAGED
    ]
    if not staged or live >= max_loras:
        return []
    # A load into full slots evicts the least recently used, which has to be a ghost.
    # It is, as long as the others that live and the ghosts that may be younger than an
    # adapter do not take all the other slots.
    pins = [
        Step(Action.PIN, ref)
        for ref, seen in sorted(observed.items())
        if seen.state is State.READY and live + seen.ghosts >= max_loras
    ]
    return [*pins, Step(Action.LOAD, staged[0])]
