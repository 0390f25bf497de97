"""The statistics of the permutation tests, against their definitions."""

import math
import statistics

import pytest
from hypothesis import given, strategies as st

from evals import permutation
from tests.unit.evals.outputs import drawing

COORDINATE = st.integers(-50, 50).map(lambda n: n / 10)
POINTS = st.lists(st.tuples(COORDINATE, COORDINATE), min_size=4, max_size=12)


@given(POINTS, st.integers(2, 10))
def test_mmd_is_what_lemma_6_says(points: list[tuple[float, ...]], first: int) -> None:
    m = min(first, len(points) - 2)
    pairs = [
        math.dist(a, b) for i, a in enumerate(points) for b in points[:i] if a != b
    ]
    far = [distance for distance in pairs if distance]
    scale = statistics.median(far) if far else math.sqrt(0.5)

    def k(a: tuple[float, ...], b: tuple[float, ...]) -> float:
        return math.exp(-(math.dist(a, b) ** 2) / (2 * scale**2))

    x, y = points[:m], points[m:]
    n = len(y)
    inner = sum(k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j)
    other = sum(k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j)
    between = sum(k(a, b) for a in x for b in y)
    wanted = inner / (m * (m - 1)) + other / (n * (n - 1)) - 2 * between / (m * n)
    labels = [True] * m + [False] * n
    assert permutation.mmd(points)(labels) == pytest.approx(wanted, abs=1e-9)


def test_mmd_has_no_bias() -> None:
    draw = drawing(5)
    labels = [True] * 10 + [False] * 10
    found = [
        permutation.mmd([(draw.gauss(0, 1),) for _ in labels])(labels)
        for _ in range(400)
    ]
    error = statistics.stdev(found) / math.sqrt(len(found))
    assert abs(statistics.fmean(found)) < 4 * error
    assert min(found) < 0


def test_psi_is_its_sum_over_bins() -> None:
    found = permutation.psi(permutation.categories("aaabbbbb"))
    labels = [True, True, True, False, False, False, False, False]
    p, q = (3.5 / 4, 0.5 / 4), (0.5 / 6, 5.5 / 6)
    wanted = sum((a - b) * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert found(labels) == pytest.approx(wanted)


@given(st.lists(st.floats(-9, 9), min_size=2, max_size=30))
def test_a_number_is_in_one_bin_and_equal_ones_are_in_the_same(
    values: list[float],
) -> None:
    found = permutation.bins([*values, None])
    assert [sum(column) for column in zip(*found, strict=True)] == [1.0] * (
        len(values) + 1
    )
    for i, one in enumerate(values):
        for j, other in enumerate(values):
            if one == other:
                assert [bin_[i] for bin_ in found] == [bin_[j] for bin_ in found]
    assert sum(bin_[-1] for bin_ in found) == 1
    assert next(bin_ for bin_ in found if bin_[-1])[:-1] == [0.0] * len(values)


def test_points_that_are_hardly_apart_are_no_fault() -> None:
    points = [(0.0,), (0.0,), (0.0,), (5e-324,)]
    assert math.isfinite(permutation.mmd(points)([True, True, False, False]))


def test_what_is_all_alike_is_no_difference() -> None:
    same = {"mmd": permutation.mmd([(1.0,)] * 8), "psi": permutation.psi([[1.0] * 8])}
    found = permutation.test(same, 4, 4, drawing(1), 999)
    assert [each.p_value for each in found.values()] == [1.0, 1.0]
    assert [each.value for each in found.values()] == [0.0, 0.0]


def test_a_p_value_is_never_nought() -> None:
    apart = {"psi": permutation.psi(permutation.categories("a" * 20 + "b" * 20))}
    found = permutation.test(apart, 20, 20, drawing(1), 99)["psi"]
    assert found.p_value == 1 / 100
