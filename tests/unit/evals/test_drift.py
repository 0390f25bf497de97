"""Drift between two windows of outputs: seldom where there is none, found where it is."""

import time
from random import Random  # noqa: TID251 - draws outputs

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from evals import drift
from evals.answers import Answer
from evals.drift import LEAST, OVERALL, Drifts
from evals.statistics import at_most
from tests.unit.evals.outputs import drawing, output

PAIRS = 240
CHANCE = 0.001
"""Of this test failing where all is well, each side."""


def window(draw: Random, n: int, **shift: object) -> list[Answer]:
    return [output(draw, **shift) for _ in range(n)]  # type: ignore[arg-type]  -- keyword arguments of a test


def compared(seed: int, n: int, **shift: object) -> Drifts:
    draw = drawing(seed)
    found = drift.compare(window(draw, n), window(draw, n, **shift), permutations=199)
    assert found
    return found


def is_binomial(count: int, share: float) -> bool:
    return at_most(count, PAIRS, share) > CHANCE and (
        1 - at_most(count - 1, PAIRS, share) > CHANCE
    )


def test_false_alarms_are_as_rare_as_the_level_says() -> None:
    """240 pairs of windows without a difference, 24 outputs each, at 5 %."""
    pairs = [compared(seed, 24) for seed in range(PAIRS)]
    alarms = sum(bool(pair.found(0.05)) for pair in pairs)
    assert 1 - at_most(alarms - 1, PAIRS, 0.05) > CHANCE
    # Exact for a statistic without ties: as many as there should be, and not fewer.
    assert is_binomial(sum(pair.overall.p_value <= 0.05 for pair in pairs), 0.05)
    assert is_binomial(sum(pair.overall.p_value <= 0.5 for pair in pairs), 0.5)
    for place, each in enumerate(pairs[0].every):
        low = sum(pair.every[place].p_value <= 0.05 for pair in pairs)
        assert 1 - at_most(low - 1, PAIRS, 0.05) > CHANCE, each.feature


@pytest.mark.parametrize(
    ("shift", "feature"),
    [
        ({"longer": 8}, "words"),
        ({"longer": 8}, "tokens"),
        ({"valid": 0.3}, "verdict"),
        ({"refuses": 0.8}, "status"),
        ({"words": ("die", "Kanne", "hält", "zwei", "Liter")}, "ngrams"),
        ({"words": ("extraordinary", "considerations")}, "reading_level"),
    ],
)
def test_a_planted_shift_is_found_where_it_is(
    shift: dict[str, object], feature: str
) -> None:
    found = [{d.feature for d in compared(s, 60, **shift).found()} for s in range(5)]
    assert all(feature in each for each in found)
    assert all(OVERALL in each for each in found)


def test_a_shift_of_one_feature_leaves_the_others_alone() -> None:
    found = {each.feature for each in compared(1, 80, valid=0.3).found()}
    assert found == {OVERALL, "verdict"}


def test_what_differs_is_said() -> None:
    found = {each.feature: each for each in compared(1, 60, refuses=0.8).every}
    assert found["status"].says.startswith(("ok: ", "refused: "))
    assert " to " in found["words"].says
    assert found["words"].statistic == "psi"
    assert found[OVERALL].statistic == "mmd2"


def test_too_few_outputs_are_not_compared() -> None:
    draw = drawing(1)
    few, enough = window(draw, LEAST - 1), window(draw, LEAST)
    assert drift.compare(few, enough) is None
    assert drift.compare(enough, few) is None
    assert drift.compare(enough, enough)


def test_what_no_output_has_is_not_looked_at() -> None:
    draw = drawing(1)
    bare = [
        msgspec.structs.replace(each, completion_tokens=None)
        for each in window(draw, 2 * LEAST)
    ]
    found = drift.compare(bare[:LEAST], bare[LEAST:], permutations=19)
    assert found
    assert "tokens" not in {each.feature for each in found.every}


def test_outputs_that_were_lost_can_be_compared() -> None:
    draw = drawing(1)
    lost = [
        msgspec.structs.replace(
            each, verdict="invalid", status=None, text=None, citations=()
        )
        for each in window(draw, LEAST)
    ]
    found = drift.compare(window(draw, LEAST), lost)
    assert found
    assert {"verdict", "words", OVERALL} <= {each.feature for each in found.found()}


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_the_order_of_a_windows_outputs_does_not_matter_to_what_is_measured(
    seed: int,
) -> None:
    draw = drawing(seed)
    first, second = window(draw, LEAST), window(draw, LEAST, longer=2)
    one = drift.compare(first, second, permutations=1)
    other = drift.compare(first[::-1], second[::-1], permutations=1)
    assert one
    assert other
    for mine, theirs in zip(one.every, other.every, strict=True):
        assert mine.value == pytest.approx(theirs.value, abs=1e-9)


def test_one_seed_gives_the_same_p_values_each_time() -> None:
    assert compared(3, 30) == compared(3, 30)


def test_windows_of_500_take_seconds() -> None:
    """The bound is of the processor's time, which others on the machine do not take."""
    draw = drawing(1)
    first, second = window(draw, 500), window(draw, 500, longer=4)
    begin = time.process_time()
    found = drift.compare(first, second)
    assert found
    assert found.overall.p_value == 1 / 1000
    assert time.process_time() - begin < 20
