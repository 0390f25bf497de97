"""Beginnings: none that can become valid is given up, and the hopeless ones are."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from bench.corruptions import instances
from structured.check import check
from structured.outcome import Rejected
from structured.schema import Schema, compile_schema
from structured.viable import Viable
from tests.unit.structured.cases import CORRUPTIONS, Case, cases

CUTS = st.lists(st.integers(0, 400), max_size=6)


def fed(schema: Schema, *pieces: str) -> tuple[Viable, bool]:
    viable = Viable(schema.guide)
    return viable, all(viable.feed(piece) is None for piece in pieces)


def pieces(text: str, cuts: list[int]) -> list[str]:
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[a:b] for a, b in pairwise(places)]


@given(cases(), CUTS)
def test_no_beginning_of_a_valid_text_is_given_up(case: Case, cuts: list[int]) -> None:
    viable, alive = fed(case.schema, *pieces(case.text, cuts))
    assert alive
    if case.text[:1] in ("{", "["):
        assert viable.closing == len(case.text) - 1


def test_letter_by_letter_none_is_given_up_either() -> None:
    for one in instances(seed=11, count=60):
        viable, alive = fed(one.schema, *one.text.decode())
        assert alive, one.text
        assert viable.closing == len(one.text.decode()) - 1


@given(case=cases(), name=st.sampled_from(sorted(CORRUPTIONS)), at=st.integers(0, 500))
def test_a_text_that_is_given_up_is_not_valid(case: Case, name: str, at: int) -> None:
    raw = CORRUPTIONS[name](case.text.encode(), at)
    text = raw.decode("utf-8", "replace")
    _, alive = fed(case.schema, text)
    if not alive:
        outcome = check(
            text.encode(),
            case.schema,
            context_ids=None,
            finish_reason="stop",
            repair=False,
        )
        assert isinstance(outcome, Rejected)


SCHEMA = compile_schema(
    json.dumps(
        {
            "type": "object",
            "properties": {
                "status": {"enum": ["ok", "refused"]},
                "n": {"type": "integer"},
                "list": {"type": "array", "items": {"$ref": "#/$defs/t"}},
            },
            "additionalProperties": False,
            "$defs": {"t": {"type": "string"}},
        }
    ).encode(),
    name="test",
)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Sure", "syntax"),
        ("```", "syntax"),
        ("[", "schema"),
        ('{"answer"', "schema"),
        ('{"status":"maybe"', "schema"),
        ('{"n":"', "schema"),
        ('{"n":tru', "schema"),
        ('{"list":[1', "schema"),
        ('{"n":1,"n"', "duplicate_key"),
        ('{"n":01,', "syntax"),
        ('{"n":1,}', "syntax"),
        ('{"n":1]', "syntax"),
        ("{'n'", "syntax"),
        ('{"n"}', "syntax"),
        ('{"n":1}x', "syntax"),
        ('{"n":1}{', "syntax"),
        ('{"status":"\n', "syntax"),
        ('{"status":"\\x', "syntax"),
        ('{"status":"\\u00zz', "syntax"),
        ('{"status":"\ud800', "syntax"),
        ('{"list":["\\ud800"', "syntax"),
        ('{"list":[nan', "schema"),
        (",", "syntax"),
        ("}", "syntax"),
    ],
)
def test_a_hopeless_beginning_is_given_up(text: str, code: str) -> None:
    viable = Viable(SCHEMA.guide)
    fault = viable.feed(text)
    assert fault is not None
    assert fault.code == code
    assert viable.feed(" ") == fault


@pytest.mark.parametrize("text", ["", " \n", '{"n":-', '{"n":1e', '{"n":t'[:5], '{"st'])
def test_an_open_beginning_is_not(text: str) -> None:
    assert fed(SCHEMA, text)[1]


def test_nesting_has_a_bound() -> None:
    anything = compile_schema(b"true", name="anything")
    assert fed(anything, "[" * 200)[1]
    assert not fed(anything, "[" * 201)[1]
