"""Work grows with the text and not faster, counted in calls rather than in time."""

import sys
from collections.abc import Callable

import pytest

from structured.check import MAX_REPAIR_BYTES, check
from structured.schema import Schema, compile_schema

SHAPES: dict[str, Callable[[int], bytes]] = {
    "open arrays": lambda n: b"[" * n,
    "open objects": lambda n: b'{"a":' * n,
    "open single quotes": lambda n: b"{'" * n,
    "open double quotes": lambda n: b'{"' * n,
    "open smart quotes": lambda n: "[“".encode() * n,
    "mixed smart quotes": lambda n: "[‘a,“".encode() * n,  # noqa: RUF001 (typographic quotes are the subject)
    "escaped quotes": lambda n: b"['" + b"\\'" * n,
    "numbers": lambda n: b"[" + b"1," * n + b"]",
    "python literals": lambda n: b"[" + b"True," * n + b"]",
    "control characters": lambda n: b'["' + b"\n" * n + b'"]',
    "placeholders": lambda n: b"{a}" * n,
    "spaced placeholders": lambda n: b"{a " + b" " * n + b"{a}",
    "candidates": lambda n: b"{}" * n,
    "fences": lambda n: b"```" * n + b'{"a":1,}',
    "white space": lambda n: b"x" + b" " * n + b'{"a":1,}',
    "words": lambda n: b"{a" + b" b" * n,
    "prose": lambda n: b"a " * n,
}


@pytest.fixture(scope="module")
def loose() -> Schema:
    return compile_schema(b'{"type":["object","array"]}', name="loose")


def calls(raw: bytes, schema: Schema) -> int:
    """Count the calls, Python's and C's, that one check makes."""
    count = 0

    def tick(frame: object, event: str, arg: object) -> None:
        nonlocal count
        count += 1

    before = sys.getprofile()
    sys.setprofile(tick)
    try:
        check(raw, schema, context_ids=None, finish_reason="stop", repair=True)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("shape", SHAPES)
def test_four_times_the_text_is_at_most_four_times_the_work(
    shape: str, loose: Schema
) -> None:
    small, large = (calls(SHAPES[shape](n), loose) for n in (500, 2000))
    assert large <= 4 * small + 200


@pytest.mark.parametrize("shape", SHAPES)
def test_a_text_over_the_cap_is_not_repaired(shape: str, loose: Schema) -> None:
    raw = SHAPES[shape](MAX_REPAIR_BYTES)
    assert calls(raw, loose) < 100
