"""The paired ratio of tokens."""

# scipy ships no types:
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import math
from random import Random  # noqa: TID251 - simulates data; nobody is bucketed by it

import pytest
from scipy import stats

from evals import ratio

Pairs = dict[str, list[tuple[float, float]]]


def drawn(documents: int, mean: float, seed: int = 1) -> Pairs:
    rng = Random(seed)  # noqa: S311 -- a simulation
    return {
        f"d{i}": [(100 * math.exp(rng.gauss(mean, 0.2)), 100.0)]
        for i in range(documents)
    }


def test_the_ratio_is_that_of_the_geometric_means() -> None:
    pairs: Pairs = {"a": [(50, 100), (200, 100)], "b": [(100, 25)]}
    found = ratio.paired(pairs, 0.95)
    assert found is not None
    assert math.isclose(found.value, 2.0)
    assert (found.n, found.low, found.high) == (2, None, None)


def test_bounds_are_near_those_of_a_t_test_on_normal_log_ratios() -> None:
    pairs = drawn(200, math.log(0.8))
    found = ratio.paired(pairs, 0.95)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    logs = [math.log(one / two) for [(one, two)] in pairs.values()]
    low, high = stats.t.interval(
        1 - 2 * 0.05 / ratio.CAUTION, 199, loc=sum(logs) / 200, scale=stats.sem(logs)
    )
    assert math.log(found.low) == pytest.approx(low, abs=0.005)
    assert math.log(found.high) == pytest.approx(high, abs=0.005)


def test_p_values_agree_with_the_bounds() -> None:
    found = ratio.paired(drawn(60, math.log(0.85)), 0.95)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.above(found.low * 0.999) <= 0.051
    assert found.above(found.low * 1.02) > 0.05
    assert found.below(found.high * 1.001) <= 0.051
    assert found.below(found.high * 0.98) > 0.05


def test_few_documents_have_no_bounds_and_prove_nothing() -> None:
    found = ratio.paired(drawn(ratio.LEAST - 1, 0.0), 0.95)
    assert found is not None
    assert found.low is None
    assert found.above(0.1) == found.below(10) == 1.0


def test_without_pairs_there_is_no_ratio() -> None:
    assert ratio.paired({}, 0.95) is None


def test_the_same_pairs_give_the_same_bounds() -> None:
    assert ratio.paired(drawn(40, 0.1), 0.95) == ratio.paired(drawn(40, 0.1), 0.95)
