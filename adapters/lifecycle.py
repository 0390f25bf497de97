"""The life of one adapter on one replica, during one run (boot) of that replica.

Rule 1: every change of state is a row of `TABLE`. A pair that is not in it
raises: an event that nobody thought of stops where it happens.

Rule 2: nothing here knows a replica or the time. Whoever does the work says
what happened, and drops what it learns about a boot that is over: after
`RESTARTED`, a late answer from the old process is about no state of the new one.

docs/lifecycle.md is rendered from the table: `python -m adapters.lifecycle`.
"""

import enum
import itertools
import sys
from collections.abc import Mapping
from typing import Final

from adapters.errors import TransitionError


class State(enum.StrEnum):
    """Where an adapter is on a replica."""

    ABSENT = "absent"
    STAGED = "staged"
    LOADING = "loading"
    LOADED = "loaded"
    WARMING = "warming"
    READY = "ready"
    DRAINING = "draining"
    UNLOADING = "unloading"
    RETIRED = "retired"
    FAILED = "failed"
    QUARANTINED = "quarantined"
    UNKNOWN = "unknown"


class Event(enum.StrEnum):
    """What can happen to it."""

    PREPARED = "prepared"
    UNFIT = "unfit"
    LOAD_SENT = "load_sent"
    LOAD_DONE = "load_done"
    LOAD_REFUSED = "load_refused"
    UNCLEAR = "unclear"
    SEEN = "seen"
    NOT_SEEN = "not_seen"
    WARM_SENT = "warm_sent"
    PROVEN = "proven"
    DISPROVEN = "disproven"
    DRAIN = "drain"
    RESUME = "resume"
    UNLOAD_SENT = "unload_sent"
    UNLOADED = "unloaded"
    RELEASED = "released"
    RESTARTED = "restarted"


STATES: Final[Mapping[State, str]] = {
    State.ABSENT: "The replica does not have it, and nothing is under way.",
    State.STAGED: "Its files passed pre-flight and lie where the replica can read them.",
    State.LOADING: "The replica was asked to load it and has not answered.",
    State.LOADED: "The replica lists it; whether it has an effect is not known.",
    State.WARMING: "Proof and warm-up requests are under way; no traffic yet.",
    State.READY: "Proven and warm. The only state in which it gets new requests.",
    State.DRAINING: "It gets no new requests; those in flight run to their end.",
    State.UNLOADING: "Nothing was in flight; the replica was asked to unload it.",
    State.RETIRED: "Unloaded and no longer listed; its weights may still take a slot.",
    State.FAILED: "The replica refused to load it; tried again after a while.",
    State.QUARANTINED: "Unfit, or without the effect it should have; a person decides.",
    State.UNKNOWN: "An answer is missing: looked up before anything else is done.",
}

EVENTS: Final[Mapping[Event, str]] = {
    Event.PREPARED: "Pre-flight passed, the path is known.",
    Event.UNFIT: "Pre-flight refused these bytes.",
    Event.LOAD_SENT: "The load request leaves.",
    Event.LOAD_DONE: "The replica said that it loaded the adapter.",
    Event.LOAD_REFUSED: "The replica said no.",
    Event.UNCLEAR: "Time-out, broken connection, or an answer that says neither.",
    Event.SEEN: "The replica's list of models names it.",
    Event.NOT_SEEN: "The replica's list of models does not name it.",
    Event.WARM_SENT: "The first proof request leaves.",
    Event.PROVEN: "It answers under its own name, and differently from its base.",
    Event.DISPROVEN: "It answers as its base does, or under another name.",
    Event.DRAIN: "Routing was taken away.",
    Event.RESUME: "It is wanted again before the unload was sent.",
    Event.UNLOAD_SENT: "The unload request leaves; nothing is in flight.",
    Event.UNLOADED: "The replica said that it is gone, and does not list it.",
    Event.RELEASED: "A person asked for it again.",
    Event.RESTARTED: "The replica runs anew and has forgotten every adapter.",
}

_S, _E = State, Event

TABLE: Final[Mapping[tuple[State, Event], State]] = {
    (_S.ABSENT, _E.PREPARED): _S.STAGED,
    (_S.ABSENT, _E.UNFIT): _S.QUARANTINED,
    (_S.ABSENT, _E.SEEN): _S.LOADED,
    (_S.ABSENT, _E.RESTARTED): _S.ABSENT,
    (_S.STAGED, _E.LOAD_SENT): _S.LOADING,
    (_S.STAGED, _E.SEEN): _S.LOADED,
    (_S.STAGED, _E.RESTARTED): _S.STAGED,
    (_S.LOADING, _E.LOAD_DONE): _S.LOADED,
    (_S.LOADING, _E.LOAD_REFUSED): _S.FAILED,
    (_S.LOADING, _E.UNCLEAR): _S.UNKNOWN,
    (_S.LOADING, _E.RESTARTED): _S.ABSENT,
    (_S.LOADED, _E.WARM_SENT): _S.WARMING,
    (_S.LOADED, _E.DRAIN): _S.DRAINING,
    (_S.LOADED, _E.NOT_SEEN): _S.ABSENT,
    (_S.LOADED, _E.RESTARTED): _S.ABSENT,
    (_S.WARMING, _E.PROVEN): _S.READY,
    (_S.WARMING, _E.DISPROVEN): _S.QUARANTINED,
    (_S.WARMING, _E.UNCLEAR): _S.UNKNOWN,
    (_S.WARMING, _E.RESTARTED): _S.ABSENT,
    (_S.READY, _E.DRAIN): _S.DRAINING,
    (_S.READY, _E.DISPROVEN): _S.QUARANTINED,
    (_S.READY, _E.NOT_SEEN): _S.ABSENT,
    (_S.READY, _E.RESTARTED): _S.ABSENT,
    (_S.DRAINING, _E.RESUME): _S.LOADED,
    (_S.DRAINING, _E.UNLOAD_SENT): _S.UNLOADING,
    (_S.DRAINING, _E.NOT_SEEN): _S.RETIRED,
    (_S.DRAINING, _E.RESTARTED): _S.ABSENT,
    (_S.UNLOADING, _E.UNLOADED): _S.RETIRED,
    (_S.UNLOADING, _E.UNCLEAR): _S.UNKNOWN,
    (_S.UNLOADING, _E.RESTARTED): _S.ABSENT,
    (_S.RETIRED, _E.PREPARED): _S.STAGED,
    (_S.RETIRED, _E.UNFIT): _S.QUARANTINED,
    (_S.RETIRED, _E.SEEN): _S.LOADED,
    (_S.RETIRED, _E.RESTARTED): _S.ABSENT,
    (_S.FAILED, _E.PREPARED): _S.STAGED,
    (_S.FAILED, _E.UNFIT): _S.QUARANTINED,
    (_S.FAILED, _E.SEEN): _S.LOADED,
    (_S.FAILED, _E.RELEASED): _S.UNKNOWN,
    (_S.FAILED, _E.RESTARTED): _S.ABSENT,
    (_S.QUARANTINED, _E.DRAIN): _S.DRAINING,
    (_S.QUARANTINED, _E.RELEASED): _S.UNKNOWN,
    # The same bytes are as bad on a replica that runs anew.
    (_S.QUARANTINED, _E.RESTARTED): _S.QUARANTINED,
    (_S.UNKNOWN, _E.SEEN): _S.LOADED,
    (_S.UNKNOWN, _E.NOT_SEEN): _S.ABSENT,
    (_S.UNKNOWN, _E.RESTARTED): _S.ABSENT,
}


def advance(state: State, event: Event) -> State:
    """Look up what an event makes of a state.

    Raises:
        TransitionError: the table has no such row.
    """
    after = TABLE.get((state, event))
    if after is None:
        raise TransitionError(state, event, (e for s, e in TABLE if s == state))
    return after


def observe(state: State, *, listed: bool) -> State:
    """Say what a look at the replica's list of models makes of a state.

    Most looks confirm what is known, or are overtaken by an answer that is
    still to come (a load under way may be listed or not): they change nothing.
    """
    event = Event.SEEN if listed else Event.NOT_SEEN
    return TABLE.get((state, event), state)


def render() -> str:
    """Render the table as the Markdown page with its Mermaid diagram."""
    states = "".join(f"| `{state}` | {STATES[state]} |\n" for state in State)
    events = "".join(f"| `{event}` | {EVENTS[event]} |\n" for event in Event)
    return (
        "# The life of an adapter on a replica\n\n"
        "<!-- Rendered from adapters/lifecycle.py by `python -m adapters.lifecycle`;"
        " a test compares. -->\n\n"
        "One state for each adapter, replica and run of the replica. What the"
        " diagram does not show cannot happen: such an event raises. `restarted`"
        " is drawn only where it changes the state.\n\n"
        f"```mermaid\n{mermaid()}```\n\n"
        f"| State | Means |\n|---|---|\n{states}\n"
        f"| Event | Means |\n|---|---|\n{events}"
    )


def mermaid() -> str:
    """Render the table as a Mermaid state diagram: an arrow for each pair of states."""
    rows = [
        (before, after, event)
        for (before, event), after in TABLE.items()
        if before != after
    ]
    rows.sort(key=lambda row: row[:2])
    lines = ["stateDiagram-v2", f"    [*] --> {State.ABSENT}"]
    for (before, after), group in itertools.groupby(rows, key=lambda row: row[:2]):
        events = ", ".join(event for _, _, event in group)
        lines.append(f"    {before} --> {after}: {events}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
