"""`routing.tally`: what counts for what."""

import msgspec
from hypothesis import given, strategies as st

from routing.tally import (
    TTFT_EDGES,
    Count,
    Moments,
    Outcome,
    Stage,
    Tally,
    percentile_edge,
)

FLAGS = st.none() | st.booleans()
OUTCOMES = st.builds(
    Outcome,
    arm=st.sampled_from(["candidate", "control", "probes"]),
    ok=st.booleans(),
    adherent=FLAGS,
    repaired=FLAGS,
    cited=FLAGS,
    ttft=st.none() | st.floats(0, 200),
    tokens=st.none() | st.integers(1, 1_000),
    refused_well=FLAGS,
    cited_well=FLAGS,
)


def test_what_an_outcome_did_not_show_is_no_trial() -> None:
    tally = Tally().plus(Outcome("candidate", ok=False))
    assert (tally.units, tally.errors) == (1, Count(1, 0))
    assert tally.adherence == tally.repairs == tally.citations == Count()
    assert (tally.ttft, tally.tokens) == ((), Moments())


def test_a_repair_is_a_failure_and_adherence_is_a_success() -> None:
    seen = Outcome("candidate", ok=True, adherent=False, repaired=True, cited=True)
    tally = Tally().plus(seen)
    assert (tally.adherence, tally.repairs) == (Count(1, 0), Count(1, 0))
    assert tally.citations == Count(0, 1)


@given(st.lists(OUTCOMES, max_size=30))
def test_every_outcome_is_in_its_own_arm_whatever_the_order(
    outcomes: list[Outcome],
) -> None:
    stage = Stage().plus(outcomes)
    assert stage == Stage().plus(reversed(outcomes))
    arms = [each.arm for each in outcomes]
    assert stage.candidate.units == arms.count("candidate")
    assert stage.control.units == arms.count("control")
    assert stage.probes.units == arms.count("probes")


def test_that_a_unit_was_given_to_an_arm_is_no_outcome_of_it() -> None:
    tally = Tally().plus(Outcome("control", ok=True, assigned=True))
    assert tally == Tally(assigned=1)


@given(st.lists(OUTCOMES, max_size=10))
def test_outcomes_and_stages_survive_the_wire(outcomes: list[Outcome]) -> None:
    packed = msgspec.msgpack.encode(outcomes)
    assert msgspec.msgpack.decode(packed, type=list[Outcome]) == outcomes
    stage = Stage().plus(outcomes)
    assert msgspec.json.decode(msgspec.json.encode(stage), type=Stage) == stage


@given(st.lists(st.floats(0, 200), min_size=1), st.integers(0, len(TTFT_EDGES) - 1))
def test_slower_than_an_edge_is_what_came_after_it(
    times: list[float], edge: int
) -> None:
    tally = Tally()
    for seconds in times:
        tally = tally.plus(Outcome("control", ok=True, ttft=seconds))
    slower = sum(seconds > TTFT_EDGES[edge] for seconds in times)
    assert tally.slower_than(edge) == Count(slower, len(times) - slower)


def test_the_edge_of_a_percentile_has_that_part_below_it() -> None:
    buckets = (90, 4, 6) + (0,) * (len(TTFT_EDGES) - 2)
    assert percentile_edge(buckets, 0.95) == 2
    assert percentile_edge(buckets, 0.9) == 0
    assert percentile_edge((), 0.95) is None
    beyond = (0,) * len(TTFT_EDGES) + (5,)
    assert percentile_edge(beyond, 0.95) is None
