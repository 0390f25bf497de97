"""The proof stands on its own: it must catch a repairer that cheats."""

import pytest
from hypothesis import assume, given, settings, strategies as st

from structured.errors import ParseError
from structured.lexer import lex
from structured.parse import parse
from structured.preserve import preserved
from tests.unit.structured.cases import Case, cases


def proves(raw: bytes, result: bytes) -> bool:
    return preserved(raw, lex(raw, 0), result)


def is_strict(text: bytes) -> bool:
    try:
        parse(text)
    except ParseError:
        return False
    return True


@pytest.mark.parametrize(
    ("raw", "result"),
    [
        (b'{"a":1,}', b'{"a":1}'),
        (b'{"a":1 "b":2}', b'{"a":1, "b":2}'),
        (b"{'a':'it\\'s \"x\"'}", b'{"a":"it\'s \\"x\\""}'),
        (b'{"a":"x\ny\x01"}', b'{"a":"x\\ny\\u0001"}'),
        (b"[True,None]", b"[true,null]"),
        (b'{"a":[1', b'{"a":[1]}'),
        ("[“é”]".encode(), '["é"]'.encode()),
    ],
)
def test_a_change_of_spelling_keeps_everything(raw: bytes, result: bytes) -> None:
    assert proves(raw, result)


@pytest.mark.parametrize(
    ("raw", "result"),
    [
        (b'{"a":1,"b":2}', b'{"a":1}'),
        (b'{"a":1}', b'{"a":1,"b":2}'),
        (b"[1,2]", b"[2,1]"),
        (b"[1,2]", b"[1,2"),
        (b"[1,2]", b"[1,2] "),
        (b"[1,2]", b"[12]"),
        (b"[[1],2]", b"[[1,2]]"),
        (b'["a"]', b'["b"]'),
        (b'["a "]', b'["a"]'),
        (b'["a\n"]', b'["a"]'),
        (b'["a\n"]', b'["a\\r"]'),
        (b"['a\"']", b'["a\'"]'),
        (b'["1"]', b"[1]"),
        (b"[True]", b"[false]"),
        (b"[True]", b'["True"]'),
        (b"[1.0]", b"[1]"),
        (b"[/*x*/1]", b"[1]"),
        (b'["cut', b'["cut"]'),
        (b"[NaN]", b"[null]"),
        (b'{"a":null }', b'{"a":null"}'),
        (b"[1]", b'["1]'),
        (b'[""]', b'[ "]'),
    ],
)
def test_a_result_that_lost_or_made_up_something_is_not_proved(
    raw: bytes, result: bytes
) -> None:
    assert not proves(raw, result)


@settings(deadline=None)
@given(cases(), st.integers(0, 500), st.sampled_from(list(b'x1",:[]{} \\')))
def test_no_single_byte_can_be_changed_without_notice(
    case: Case, at: int, byte: int
) -> None:
    # Parser and proof together, as `check` asks them: a bracket too many is the
    # parser's to see, a value that changed the proof's.
    raw = case.text.encode()
    assume(raw[:1] in (b"{", b"["))
    at %= len(raw)
    result = raw[:at] + bytes([byte]) + raw[at + 1 :]
    marks = b", \n"  # white space and commas are what a repair may touch
    assume(raw[at] not in marks or byte not in marks)
    assume(result != raw)
    assert not (is_strict(result) and proves(raw, result))
