"""Strict JSON: what is refused, and under which code."""

import json

import pytest
from hypothesis import given, settings, strategies as st

from structured.errors import ParseError
from structured.parse import MAX_BYTES, MAX_DEPTH, MAX_NODES, parse

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "invalid_json"),
        (b"NaN", "invalid_json"),
        (b"[Infinity]", "invalid_json"),
        (b"-Infinity", "invalid_json"),
        (b"1e999", "number_out_of_range"),
        (b'{"a":[-1e400]}', "number_out_of_range"),
        (b"9" * 400 + b".0", "number_out_of_range"),
        (b"9" * 5000, "number_out_of_range"),
        (b'"\\ud800"', "invalid_json"),
        (b'"\\udc00x"', "invalid_json"),
        (b'"\\ud800\\u0041"', "invalid_json"),
        (b'"caf\xe9"', "invalid_encoding"),
        (b'"\xed\xa0\x80"', "invalid_encoding"),
        (b'"\xc0\x80"', "invalid_encoding"),
        (b"\xef\xbb\xbf{}", "invalid_json"),
        (b'{"a":1,"a":1}', "duplicate_key"),
        (b'{"a":1,"\\u0061":1}', "duplicate_key"),
        (b"{}\x00", "invalid_json"),
        (b"[" * 1_000_000, "too_deep"),
        (b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2), "too_deep"),
        (b" " * MAX_BYTES + b"1", "too_large"),
        (b"[" + b"1," * 60_000 + b"1]", "too_large"),
        (b"[" + b"1," * 50_000 + b"1]", "too_large"),
        (b"[" + b"[]," * 50_000 + b"1]", "too_large"),
        (b'{"a":[' + b"{}," * 50_000 + b"1]}", "too_large"),
        (b"01", "invalid_json"),
        (b"{}{}", "invalid_json"),
    ],
)
def test_what_is_not_strict_json_has_a_code(raw: bytes, code: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse(raw)
    assert caught.value.code == code


NUMBER = st.from_regex(
    rb"-?(0|[1-9][0-9]{0,330})(\.[0-9]{1,3})?([eE][+-]?[0-9]{1,4})?", fullmatch=True
)


@given(st.lists(NUMBER, max_size=4))
def test_no_number_that_a_double_cannot_hold_passes(numbers: list[bytes]) -> None:
    raw = b'{"e1":[' + b", ".join(numbers) + b"]}"
    floats = [n for n in numbers if n.strip(b"-0123456789")]
    beyond = any(abs(float(n)) == float("inf") for n in floats)
    outcome = "parsed"
    try:
        parse(raw)
    except ParseError as error:
        outcome = error.code
    assert outcome == ("number_out_of_range" if beyond else "parsed")


def test_as_many_values_as_are_allowed_parse() -> None:
    assert parse(b"[" + b"1," * (MAX_NODES - 2) + b"1]")
    assert parse(b'["' + b"," * 100_000 + b'"]')


def test_the_deepest_text_that_is_allowed_parses() -> None:
    assert parse(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


@settings(deadline=None)
@given(JSON, st.booleans())
def test_strict_json_keeps_its_value(value: object, ascii_only: bool) -> None:  # noqa: FBT001 (hypothesis draws it)
    raw = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert repr(parse(raw)) == repr(value)


@settings(deadline=None)
@given(st.binary(max_size=64))
def test_any_bytes_are_parsed_or_refused_with_a_code(raw: bytes) -> None:
    try:
        value = parse(raw)
    except ParseError as error:
        assert error.code  # noqa: PT017 (either way is right)
    else:
        json.dumps(value, allow_nan=False).encode()
