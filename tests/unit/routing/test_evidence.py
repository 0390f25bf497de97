"""`routing.evidence`: never wrong more often than it says, and what the sums are."""

from math import exp, inf, log
from statistics import NormalDist, mean, variance

import pytest
from hypothesis import given, strategies as st

from bench.exact import ever
from routing.evidence import (
    LEAST,
    TIMES,
    Cusum,
    Estimate,
    Odds,
    Trials,
    among,
    log_evidence,
    log_ratio,
    log_shift,
    pooled,
    rate,
    ratio,
    share,
)

COUNTS = st.integers(0, 400)
PARTS = st.floats(0.01, 0.99)


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [(0.01, 0.0061), (0.05, 0.0314)],
)
def test_the_exact_type_one_error_is_the_published_one(
    alpha: float, expected: float
) -> None:
    found = ever(rate(0.01, "harm"), 0.01, alpha, 20_000)
    assert found == pytest.approx(expected, abs=0.00005)


@pytest.mark.parametrize("null", [0.001, 0.01, 0.03, 0.1, 0.3])
@pytest.mark.parametrize(("side", "alpha"), [("harm", 0.01), ("good", 0.05)])
def test_a_rate_on_its_bound_is_called_wrong_no_more_often_than_alpha(
    null: float, side: str, alpha: float
) -> None:
    odds = rate(null, "harm" if side == "harm" else "good")
    assert 0 < ever(odds, null, alpha, 5_000) <= alpha


@pytest.mark.parametrize("part", [0.01, 0.05, 0.25, 0.5, 0.9])
@pytest.mark.parametrize(
    ("null", "side", "alpha"), [(1.2, "harm", 0.01), (2.0, "harm", 0.01)]
)
def test_a_ratio_on_its_bound_is_called_wrong_no_more_often_than_alpha(
    part: float, null: float, side: str, alpha: float
) -> None:
    odds = ratio(null, "harm" if side == "harm" else "good", part)
    assert 0 < ever(odds, among(null, part), alpha, 3_000) <= alpha


@pytest.mark.parametrize("part", [0.01, 0.05, 0.5])
def test_a_true_split_is_called_wrong_no_more_often_than_alpha(part: float) -> None:
    assert 0 < ever(share(part), part, 0.001, 5_000) <= 0.001


def test_the_evidence_is_the_mean_of_the_likelihood_ratios() -> None:
    found = exp(log_evidence([Trials(rate(0.02, "harm"), 3, 50)]))
    ratios = [
        times**3 * ((1 - min(0.9, 0.02 * times)) / 0.98) ** 50
        for times in TIMES["harm"]
    ]
    assert found == pytest.approx(sum(ratios) / len(ratios))


def test_no_trials_are_no_evidence() -> None:
    assert log_evidence([]) == 0.0
    assert log_evidence([Trials(rate(0.01, "harm"), 0, 0)]) == pytest.approx(0)
    assert Cusum().log_evidence == 0.0


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_trials_under_the_same_odds_may_be_split_in_any_way(
    a: int, b: int, c: int, d: int
) -> None:
    odds = rate(0.01, "harm")
    whole = log_evidence([Trials(odds, a + c, b + d)])
    parts = log_evidence([Trials(odds, a, b), Trials(odds, c, d)])
    assert parts == pytest.approx(whole, abs=1e-6)


@given(st.floats(0.001, 0.8), st.integers(0, 1_000), COUNTS)
def test_a_failure_more_speaks_for_harm_and_against_good(
    null: float, hits: int, misses: int
) -> None:
    worse, better = rate(null, "harm"), rate(null, "good")
    assert log_evidence([Trials(worse, hits + 1, misses)]) >= log_evidence(
        [Trials(worse, hits, misses)]
    )
    assert log_evidence([Trials(better, hits + 1, misses)]) <= log_evidence(
        [Trials(better, hits, misses)]
    )


@given(PARTS, st.floats(0.05, 20))
def test_one_trial_of_the_null_has_an_evidence_of_one_on_average(
    part: float, null: float
) -> None:
    for odds, hit in (
        (share(part), part),
        (ratio(null, "harm", part), among(null, part)),
        (ratio(null, "good", part), among(null, part)),
    ):
        ends = [exp(log_evidence([Trials(odds, end, 1 - end)])) for end in (1, 0)]
        assert hit * ends[0] + (1 - hit) * ends[1] == pytest.approx(1)


def test_a_detector_forgets_the_good_time_before_a_change() -> None:
    odds, plain = rate(0.01, "change"), rate(0.01, "harm")
    detector = Cusum().after(Trials(odds, 0, 3_000)).after(Trials(odds, 20, 100))
    assert detector.log_evidence > log(30_000)
    assert log_evidence([Trials(plain, 20, 3_100)]) < 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60)), max_size=20))
def test_a_detector_that_sees_batches_is_never_more_nervous(
    batches: list[tuple[int, int]],
) -> None:
    odds = rate(0.01, "change")
    slow = fast = Cusum()
    for hits, misses in batches:
        slow = slow.after(Trials(odds, hits, misses))
        for _ in range(misses):
            fast = fast.after(Trials(odds, 0, 1))
        for _ in range(hits):
            fast = fast.after(Trials(odds, 1, 0))
    assert slow.log_evidence <= max(fast.log_evidence, 0.0) + 1e-9


def test_a_ratio_of_means_is_that_of_the_samples() -> None:
    control = [100 + value % 7 for value in range(200)]
    candidate = [80 + value % 5 for value in range(300)]
    found = log_ratio(_moments(candidate), _moments(control))
    assert found is not None
    assert found.ratio == pytest.approx(82 / (sum(control) / 200))
    expected = sum(
        variance(each) / len(each) / mean(each) ** 2 for each in (candidate, control)
    )
    assert found.variance == pytest.approx(expected)


def test_too_few_or_too_equal_values_give_no_ratio() -> None:
    few = [(LEAST - 1, 4_000.0, 400_000.0), (LEAST, 5_000.0, 600_000.0)]
    assert log_ratio(few[0], few[1]) is None
    same = _moments([100] * LEAST)
    assert log_ratio(same, same) is None


def _moments(values: list[int]) -> tuple[int, float, float]:
    return len(values), sum(values), sum(value * value for value in values)


def test_estimates_are_weighted_by_how_sure_they_are() -> None:
    found = pooled([Estimate(0.0, 0.01), Estimate(1.0, 0.04)])
    assert found.value == pytest.approx(0.2)
    assert found.variance == pytest.approx(0.008)


@given(st.floats(-3, 3), st.floats(1e-7, 1), st.floats(-1, 1))
def test_a_shift_below_is_one_above_in_the_mirror(
    value: float, width: float, bound: float
) -> None:
    above = log_shift(Estimate(value, width), bound, "above")
    below = log_shift(Estimate(-value, width), -bound, "below")
    assert above == pytest.approx(below)
    assert -inf < above < inf


def test_a_shift_agrees_with_an_integral_over_the_alternatives() -> None:
    estimate, bound, width, steps = Estimate(0.03, 0.0009), 0.0, 0.05, 20_000
    total = 0.0
    for step in range(steps):
        theta = 0.5 * (step + 0.5) / steps
        prior = 2 * NormalDist(sigma=width).pdf(theta) * 0.5 / steps
        total += prior * exp((estimate.value * theta - theta * theta / 2) / 0.0009)
    assert log_shift(estimate, bound, "above") == pytest.approx(log(total), abs=1e-4)


def test_odds_have_as_many_alternatives_at_every_part() -> None:
    lengths = {len(ratio(2.0, "harm", part).hit) for part in (0.01, 0.5, 0.99)}
    assert lengths == {len(TIMES["harm"])}
    assert isinstance(share(0.5), Odds)
