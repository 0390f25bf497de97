import pytest
from hypothesis import given, settings, strategies as st

from evals.figures import cell, fine, grid, plain
from evals.statistics import Interval

SHARES = st.floats(0, 1)


def test_a_bound_is_never_rounded_to_the_side_of_the_demand() -> None:
    assert fine(0.995, 0.98996, 0.99501, "%") == "99.5 % [98.99, 99.51]"


def test_a_bound_that_is_a_round_number_stays_one() -> None:
    assert fine(0.99, 0.95, 0.97, "%") == "99 % [95, 97]"


@settings(deadline=None)
@given(low=SHARES, high=SHARES)
def test_bounds_are_rounded_outward(low: float, high: float) -> None:
    text = fine(0.5, low, high, "%")
    shown = [float(end) for end in text.partition("[")[2].rstrip("]").split(", ")]
    assert shown[0] <= low * 100 + 1e-6
    assert shown[1] >= high * 100 - 1e-6


def test_a_missing_bound_is_a_dash_and_two_are_nothing() -> None:
    assert fine(0.9, None, 0.95, "") == "0.9 [-, 0.95]"
    assert fine(0.9, None, None, "of the baseline") == "0.9 of the baseline"


@pytest.mark.parametrize(
    ("interval", "unit", "said"),
    [
        (None, "%", "-"),
        (Interval(0.5, 0.25, 0.75, 29), "%", "50 %* [25, 75]"),
        (Interval(0.5, 0.25, 0.75, 30), "%", "50 % [25, 75]"),
        (Interval(28.5, 27.0, None, 90), "tokens", "28.5 [27, -]"),
        (Interval(2074.0, None, None, 90), "ms", "2074 ms"),
    ],
)
def test_a_cell_shows_unit_bounds_and_a_small_n(
    interval: Interval | None, unit: str, said: str
) -> None:
    assert cell(interval, unit) == said


def test_the_columns_of_a_grid_line_up() -> None:
    lines = list(grid((("a", "bb"), ("ccc", "d"))))
    assert lines == ["| a   | bb |", "|-----|----|", "| ccc | d  |"]


def test_a_text_cannot_end_its_cell() -> None:
    assert plain("a | b\n`c`") == "a / b 'c'"
    assert len(plain("x" * 500)) == 160
