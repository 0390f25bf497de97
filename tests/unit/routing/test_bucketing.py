import pytest
from hypothesis import given, settings, strategies as st
from openfeature.contrib.tools.flagd.core.targeting.custom_ops import (
    fractional,  # pyright: ignore[reportUnknownVariableType]  # its dict has no types
)

from routing.bucketing import BUCKETS, HASH, bucket, bucket_after, prefix
from routing.errors import PartError

CONTROL = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0)]))
UNITS = st.text(
    st.characters(codec="utf-8", exclude_characters=CONTROL), min_size=1, max_size=80
)
NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters=CONTROL + "/"),
    min_size=1,
    max_size=40,
)


@pytest.mark.parametrize(
    ("tenant", "unit", "expected"),
    [("acme", "conv-42", 9816), ("acme", "conv-43", 7691), ("ü", "会-1", 9771)],
)
def test_the_golden_vectors_hold(tenant: str, unit: str, expected: int) -> None:
    assert bucket("GENERATOR", "r17", tenant, unit) == expected


def in_flagd(key: str, number: int) -> bool:
    """Whether flagd itself puts a key into exactly this bucket."""
    shares = [["below", number], ["here", 1], ["above", BUCKETS - 1 - number]]
    return fractional({}, key, *shares) == "here"


@settings(max_examples=300, deadline=None)
@given(flag=NAMES, salt=NAMES, tenant=NAMES, unit=UNITS)
def test_every_key_falls_where_flagd_puts_it(
    flag: str, salt: str, tenant: str, unit: str
) -> None:
    drawn = bucket(flag, salt, tenant, unit)
    assert in_flagd(f"{flag}/{salt}/{tenant}/{unit}", drawn)


@pytest.mark.parametrize("size", [22, 23, 24, 25, 255, 256, 257, 4000, 65535])
def test_a_key_of_any_length_falls_where_flagd_puts_it(size: int) -> None:
    unit = "u" * (size - len("GENERATOR/r17/a/"))
    drawn = bucket("GENERATOR", "r17", "a", unit)
    assert in_flagd(f"GENERATOR/r17/a/{unit}", drawn)


def test_a_key_longer_than_its_length_field_is_refused() -> None:
    with pytest.raises(PartError, match="at most 65535"):
        bucket("GENERATOR", "r17", "a", "u" * 65535)


@settings(deadline=None)
@given(first=st.tuples(NAMES, UNITS), second=st.tuples(NAMES, UNITS))
def test_no_two_units_share_a_key(
    first: tuple[str, str], second: tuple[str, str]
) -> None:
    same = "/".join(first) == "/".join(second)
    assert same == (first == second)


def test_a_slash_in_the_unit_is_the_units_own() -> None:
    assert bucket("F", "s", "a", "b/c") != bucket("F", "s", "a", "b%2Fc")
    with pytest.raises(PartError, match="'a/b' contains '/'"):
        bucket("F", "s", "a/b", "c")


@pytest.mark.parametrize("bad", ["", "a\0", "a\n", "\x7f", "\x85", "\ud800"])
@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_a_part_that_is_empty_or_has_control_characters_is_refused(
    bad: str, at: int
) -> None:
    parts = ["GENERATOR", "r17", "acme", "conv-42"]
    parts[at] = bad
    with pytest.raises(PartError) as caught:
        bucket(parts[0], parts[1], parts[2], parts[3])
    assert caught.value.part == ("flag", "salt", "tenant", "unit")[at]


def test_an_unusual_but_printable_unit_is_fine() -> None:
    assert 0 <= bucket("F", "s", "t", "👩\u200d🚀\u00a0\ue000") < BUCKETS


def test_a_prepared_prefix_gives_the_same_bucket() -> None:
    start = prefix("GENERATOR", "r17")
    assert bucket_after(start, "acme", "conv-42") == 9816


def test_the_rule_has_the_name_that_the_document_carries() -> None:
    assert HASH == "flagd-v3"
