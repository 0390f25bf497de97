"""The tables of the supervisor: states and pauses."""

import itertools

import pytest
from hypothesis import given, strategies as st

from gateway.host.policy import (
    TRANSITIONS,
    Backoff,
    Event,
    ImpossibleTransitionError,
    State,
    step,
)


def test_pauses_grow_from_half_a_second_to_thirty() -> None:
    backoff = Backoff()
    pauses = [backoff.pause(deaths) for deaths in range(1, 10)]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_the_first_start_has_no_pause() -> None:
    assert Backoff().pause(0) == 0.0


@given(st.integers(0, 1000), st.floats(0, 59.9))
def test_a_short_life_lengthens_the_row(before: int, lived: float) -> None:
    assert Backoff().deaths(before, lived) == before + 1


@given(st.integers(0, 1000), st.floats(60, 1e6))
def test_a_long_life_ends_the_row(before: int, lived: float) -> None:
    assert Backoff().deaths(before, lived) == 1


@given(st.integers(1, 10_000))
def test_a_pause_never_shrinks_with_more_deaths(deaths: int) -> None:
    backoff = Backoff()
    assert backoff.pause(deaths) <= backoff.pause(deaths + 1) <= 30


def test_a_pair_that_is_not_in_the_table_raises() -> None:
    for state, event in itertools.product(State, Event):
        if (state, event) in TRANSITIONS:
            assert step(state, event) is TRANSITIONS[state, event]
        else:
            with pytest.raises(ImpossibleTransitionError, match="cannot get"):
                step(state, event)


def test_stop_leads_to_stopped_from_everywhere() -> None:
    for state in State:
        after = step(state, Event.STOP)
        if after is State.STOPPING:
            after = step(after, Event.EXITED)
        assert after is State.STOPPED
