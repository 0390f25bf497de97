"""What an instance weighs, and that its text's length bounds it."""

import json

import pytest
from hypothesis import given, strategies as st

from structured.load import Load, heavy, load

SCALARS = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    *(st.integers(-(10**40), 10**40), st.floats(allow_nan=False, allow_infinity=False)),
)
VALUES = st.recursive(
    SCALARS,
    lambda below: (
        st.lists(below, max_size=4)
        | st.dictionaries(st.text(max_size=4), below, max_size=4)
    ),
    max_leaves=30,
)


def test_values_numbers_and_depth_are_counted() -> None:
    found = load({"a": [1, 2.5, True, "ab"], "é": {}})
    assert (found.values, found.depth) == (7, 2)
    assert found.numbers == heavy(1) + heavy(2.5)
    assert found.text == len("aabé".encode())


def test_a_scalar_is_one_value_and_not_deep() -> None:
    assert load("x") == Load(1, 0, 0, 0, 1)


@pytest.mark.parametrize("number", [1e-300, 1e300, -1e300, 5e-324, 10**300])
def test_numbers_beyond_the_usual_weigh_more(number: float) -> None:
    assert heavy(number) > heavy(2.5) > heavy(17)
    assert heavy(0.0) == heavy(2.5)


def test_digits_of_large_integers_are_counted() -> None:
    assert load([10**299, 1 << 62]).digits == pytest.approx(300, abs=1)


@given(VALUES)
def test_no_text_weighs_more_than_its_length_allows(value: object) -> None:
    size = len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())
    for one, most in zip(load(value), Load.most(size), strict=True):
        assert one <= most
