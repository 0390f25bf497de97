import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from adapters.errors import TransitionError
from adapters.lifecycle import (
    EVENTS,
    STATES,
    TABLE,
    Event,
    State,
    advance,
    mermaid,
    observe,
    render,
)
from tests.unit.adapters import making

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_a_pair_is_a_row_of_the_table_or_raises(state: State, event: Event) -> None:
    if (state, event) in TABLE:
        assert advance(state, event) is TABLE[state, event]
        return
    with pytest.raises(TransitionError, match=r"possible there: .*restarted"):
        advance(state, event)


def test_the_straight_way_leads_from_absent_to_ready_to_retired() -> None:
    state = State.ABSENT
    for event in (
        Event.PREPARED,
        Event.LOAD_SENT,
        Event.LOAD_DONE,
        Event.WARM_SENT,
        Event.PROVEN,
        Event.DRAIN,
        Event.UNLOAD_SENT,
        Event.UNLOADED,
    ):
        state = advance(state, event)
    assert state is State.RETIRED


def test_only_proof_makes_an_adapter_ready() -> None:
    into = {pair for pair, after in TABLE.items() if after is State.READY}
    assert into == {(State.WARMING, Event.PROVEN)}


def test_only_a_drained_adapter_is_unloaded() -> None:
    into = {before for (before, _), after in TABLE.items() if after is State.UNLOADING}
    assert into == {State.DRAINING}


def test_an_unclear_answer_is_looked_up_before_anything_is_tried_again() -> None:
    unclear = {after for (_, event), after in TABLE.items() if event is Event.UNCLEAR}
    assert unclear == {State.UNKNOWN}
    out = {event for state, event in TABLE if state is State.UNKNOWN}
    assert out == {Event.SEEN, Event.NOT_SEEN, Event.RESTARTED}


def test_a_restart_is_possible_in_each_state_and_leaves_nothing_loaded() -> None:
    kept = {State.ABSENT, State.STAGED, State.QUARANTINED}
    for state in State:
        after = advance(state, Event.RESTARTED)
        assert after is (state if state in kept else State.ABSENT)


def test_every_state_can_be_reached_and_left() -> None:
    reached, edge = {State.ABSENT}, {State.ABSENT}
    while edge:
        edge = {after for (before, _), after in TABLE.items() if before in edge}
        edge -= reached
        reached |= edge
    assert reached == set(State)
    assert {before for (before, _), after in TABLE.items() if after != before} == set(
        State
    )


def test_a_look_that_confirms_what_is_known_changes_nothing() -> None:
    assert observe(State.READY, listed=True) is State.READY
    assert observe(State.ABSENT, listed=False) is State.ABSENT
    assert observe(State.LOADING, listed=True) is State.LOADING


def test_a_look_notices_what_was_lost_and_what_came_back() -> None:
    assert observe(State.READY, listed=False) is State.ABSENT
    assert observe(State.RETIRED, listed=True) is State.LOADED


@making.PATIENT
@given(st.sampled_from(State), st.lists(st.sampled_from(Event), max_size=30))
def test_no_sequence_of_events_leaves_the_table(
    state: State, events: list[Event]
) -> None:
    for event in events:
        if (state, event) in TABLE:
            state = advance(state, event)
    assert isinstance(state, State)


def test_each_state_and_each_event_is_explained_and_used() -> None:
    assert set(STATES) == set(State)
    assert set(EVENTS) == set(Event) == {event for _, event in TABLE}


def test_the_diagram_shows_each_change_once() -> None:
    arrows = [line for line in mermaid().splitlines() if "-->" in line][1:]
    changes = {(before, after) for (before, _), after in TABLE.items()}
    assert len(arrows) == sum(before != after for before, after in changes)
    assert "    warming --> ready: proven" in arrows


def test_the_committed_page_is_the_rendering() -> None:
    assert (ROOT / "docs" / "lifecycle.md").read_text() == render()


def test_the_module_prints_the_page() -> None:
    command = [sys.executable, "-W", "error", "-m", "adapters.lifecycle"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)  # noqa: S603 - our own module
    assert done.stdout.decode() == render()
