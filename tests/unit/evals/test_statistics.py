"""Exact bounds, with scipy as the oracle."""

# scipy ships no types:
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

import pytest
from hypothesis import given, strategies as st
from scipy.stats import binom, binomtest

from evals import statistics

COUNTS = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS)
def test_rate_bounds_are_those_of_scipys_exact_test(counts: tuple[int, int]) -> None:
    k, n = counts
    oracle = binomtest(k, n).proportion_ci(0.95, method="exact")
    found = statistics.rate(k, n)
    assert found.low == pytest.approx(oracle.low, abs=1e-9)
    assert found.high == pytest.approx(oracle.high, abs=1e-9)


@given(COUNTS, st.floats(0, 1))
def test_the_binomial_tail_is_scipys(counts: tuple[int, int], p: float) -> None:
    k, n = counts
    assert statistics.at_most(k, n, p) == pytest.approx(binom.cdf(k, n, p), abs=1e-9)


@given(COUNTS)
def test_a_rate_lies_within_its_bounds(counts: tuple[int, int]) -> None:
    found = statistics.rate(*counts)
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.point <= found.high <= 1


@pytest.mark.parametrize(("n", "failures"), [(299, 0), (473, 1), (628, 2)])
def test_a_99_percent_claim_needs_the_known_numbers(n: int, failures: int) -> None:
    assert statistics.lower(n - failures, n) >= 0.99
    assert statistics.lower(n - 1 - failures, n - 1) < 0.99


def test_all_right_is_not_certainty() -> None:
    found = statistics.rate(150, 150)
    assert found.high == 1.0
    assert found.low == pytest.approx(0.975707, abs=1e-6)


@pytest.mark.parametrize(("k", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="are right"):
        statistics.rate(k, n)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200))
def test_a_median_lies_within_its_bounds(values: list[float]) -> None:
    found = statistics.quantile(values, 0.5)
    assert found.point in values
    assert found.low is None or found.low <= found.point
    assert found.high is None or found.high >= found.point


@pytest.mark.parametrize("q", [0.5, 0.95])
@pytest.mark.parametrize("n", [6, 72, 150, 333])
def test_quantile_bounds_miss_at_most_one_time_in_twenty(n: int, q: float) -> None:
    found = statistics.quantile([float(i) for i in range(1, n + 1)], q)
    low = 0 if found.low is None else int(found.low)
    high = n + 1 if found.high is None else int(found.high)
    # P(low ≤ B < high): the number of values below the quantile is binomial.
    covered = binom.cdf(high - 1, n, q) - binom.cdf(low - 1, n, q)
    assert covered >= 0.95


def test_too_few_values_give_no_bound_above_the_95th_percentile() -> None:
    values = [float(i) for i in range(71)]
    assert statistics.quantile(values, 0.95).high is None
    assert statistics.quantile([*values, 71.0], 0.95).high == 71.0


def test_a_quantile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        statistics.quantile([], 0.5)


@pytest.mark.parametrize(("q", "expected"), [(0.5, 10.0), (0.95, 19.0), (1.0, 20.0)])
def test_a_quantile_is_the_smallest_value_with_q_at_or_below(
    q: float, expected: float
) -> None:
    assert statistics.quantile([float(i) for i in range(1, 21)], q).point == expected
