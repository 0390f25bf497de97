"""S5: what the white list allows, and that it allows nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from structured.check import check
from structured.outcome import Accepted, Rejected
from structured.preserve import coerced
from structured.schema import Schema, compile_schema

IDS = frozenset({"S1", "12", "[x]", "doc 7"})
DOCUMENT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "status": {"enum": ["ok", "uncertain", "refused"]},
        "answer": {"type": "string"},
        "citations": {"type": "array", "items": {"$ref": "#/$defs/id"}},
        "price": {"type": "number"},
        "count": {"type": "integer"},
        "either": {"type": ["string", "number"]},
        "unclear": {"anyOf": [{"type": "string"}, {"type": "boolean"}]},
    },
    "required": ["status"],
    "additionalProperties": False,
    "$defs": {"id": {"type": "string"}},
}


def compiled(document: object) -> Schema:
    return compile_schema(json.dumps(document).encode(), name="test")


SCHEMA = compiled(DOCUMENT)


def run(
    text: str | bytes,
    schema: Schema = SCHEMA,
    ids: frozenset[str] | None = IDS,
    *,
    drop_extra: bool = False,
    repair: bool = True,
) -> Accepted | Rejected:
    raw = text.encode() if isinstance(text, str) else text
    return check(
        raw,
        schema,
        context_ids=ids,
        finish_reason="stop",
        repair=repair,
        drop_extra=drop_extra,
    )


@pytest.mark.parametrize(
    ("members", "result", "kind"),
    [
        ('"answer": 12.50', '"answer": "12.50"', "number_text"),
        ('"answer": -1e5', '"answer": "-1e5"', "number_text"),
        ('"price": "12.50"', '"price": 12.50', "text_number"),
        ('"count": "-7"', '"count": -7', "text_number"),
        ('"citations": [12]', '"citations": ["12"]', "number_text"),
        ('"citations": "S1"', '"citations": ["S1"]', "one_to_list"),
        ('"citations": [" S1\\n"]', '"citations": ["S1"]', "trimmed_id"),
        ('"citations": ["[S1]"]', '"citations": ["S1"]', "bracketed_id"),
        ('"citations": ["S1", "[doc 7] "]', '"citations": ["S1", "doc 7"]', None),
    ],
)
def test_a_value_with_one_reading_is_read_so_and_flagged(
    members: str, result: str, kind: str | None
) -> None:
    text = f'{{"status": "ok",  {members}}}'
    outcome = run(text)
    assert isinstance(outcome, Accepted)
    assert outcome.raw.decode() == f'{{"status": "ok",  {result}}}'
    assert [one.kind for one in outcome.repairs] == [kind or "bracketed_id"]
    position = outcome.repairs[0].position
    assert position > text.index(members)


@pytest.mark.parametrize("status", ["Refused", "REFUSED", "Uncertain"])
def test_the_case_of_a_status_that_claims_little_is_folded(status: str) -> None:
    outcome = run(f'{{"status":"{status}"}}')
    assert isinstance(outcome, Accepted)
    assert outcome.raw.decode() == f'{{"status":"{status.lower()}"}}'
    assert [one.kind for one in outcome.repairs] == ["status_case"]


@pytest.mark.parametrize(
    "text",
    [
        '{"status":"OK"}',
        '{"status":"Ok"}',
        '{"status":" refused"}',
        '{"status":"declined"}',
        '{"status":["refused"]}',
        '{"answer":"x"}',
        '{"status":"ok","answer":null}',
        '{"status":"ok","answer":true}',
        '{"status":"ok","answer":["x"]}',
        '{"status":"ok","price":"12,50"}',
        '{"status":"ok","price":"12.50 EUR"}',
        '{"status":"ok","price":"1e999"}',
        '{"status":"ok","price":" 1"}',
        '{"status":"ok","price":"01"}',
        '{"status":"ok","count":"1.5"}',
        '{"status":"ok","count":"1e3"}',
        '{"status":"ok","unclear":12}',
        '{"status":"ok","citations":"S9"}',
        '{"status":"ok","citations":"S1, 12"}',
        '{"status":"ok","citations":["s1"]}',
        '{"status":"ok","citations":["S1","S1"]}',
        '{"status":"ok","citations":["S1"," S1"]}',
        '{"status":"ok","citations":["S\\u0031 "]}',
        '{"status":"ok","citations":["[S1"]}',
        '{"status":"ok","citations":[13]}',
        '{"status":"ok","citations":null}',
        '{"status":"ok","extra":1}',
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    outcome = run(text)
    assert isinstance(outcome, Rejected)
    assert outcome.stage in ("strict", "coerce")


def test_what_is_valid_already_is_left_alone() -> None:
    text = '{"status":"ok","either":"12","citations":["[x]"],"answer":"7"}'
    outcome = run(text)
    assert isinstance(outcome, Accepted)
    assert (outcome.raw.decode(), outcome.repairs) == (text, ())


def test_without_a_known_context_no_id_is_made_out_of_text() -> None:
    assert isinstance(run('{"status":"ok","citations":"S1"}', ids=None), Rejected)


def test_without_repair_nothing_is_coerced() -> None:
    outcome = run('{"status":"Refused"}', repair=False)
    assert isinstance(outcome, Rejected)
    assert outcome.stage == "strict"


def test_a_coercion_follows_a_repair_and_both_are_told_with_their_places() -> None:
    raw = "Sure:\n{'status': 'Refused', 'answer': 12,}"
    outcome = run(raw)
    assert isinstance(outcome, Accepted)
    assert json.loads(outcome.raw) == {"status": "refused", "answer": "12"}
    places = {one.kind: one.position for one in outcome.repairs}
    assert places["status_case"] == raw.index("'Refused'")
    assert places["number_text"] == raw.index("12")


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ('{"x":1,"status":"ok"}', '{"status":"ok"}'),
        ('{"status":"ok","x":{"status":"no"}}', '{"status":"ok"}'),
        ('{"x":1,"status":"ok","y":[2]}', '{"status":"ok"}'),
        ('{"x":1,"y":2,"status":"ok","z":"Refused"}', '{"status":"ok"}'),
        (
            '{"status":"ok","x":1,"y":2,"answer":"a"}',
            '{"status":"ok","answer":"a"}',
        ),
    ],
)
def test_members_that_the_schema_forbids_go_only_where_that_is_asked_for(
    text: str, result: str
) -> None:
    assert isinstance(run(text), Rejected)
    outcome = run(text, drop_extra=True)
    assert isinstance(outcome, Accepted)
    assert outcome.raw.decode() == result
    assert {one.kind for one in outcome.repairs} == {"extra_key"}
    assert text[outcome.repairs[0].position] == '"'


def test_dropping_never_makes_up_what_is_required() -> None:
    assert isinstance(run('{"Status":"ok"}', drop_extra=True), Rejected)


def test_a_schema_with_resources_of_its_own_guides_nothing() -> None:
    inside = {"$id": "inner", "type": "string"}
    schema = compiled({"type": "object", "properties": {"a": inside}})
    assert isinstance(run('{"a": 1}', schema), Rejected)


SCALARS = st.sampled_from(
    [
        *(
            '"ok"',
            '"Refused"',
            '"uncertain"',
            '"UNCERTAIN"',
            '"12"',
            "12",
            "1.0",
            "null",
        ),
        *('"S1"', '" S1"', '"[S1]"', '["S1 "]', '[12, "S1"]', '["[12]"]', "[]", '"x"'),
    ]
)
TEXTS = st.dictionaries(
    st.sampled_from([*DOCUMENT["properties"], "extra"]), SCALARS, max_size=6
).map(lambda given: "{" + ", ".join(f'"{k}": {v}' for k, v in given.items()) + "}")


@given(TEXTS, st.booleans())
def test_what_was_coerced_is_valid_and_stays_as_it_is(
    text: str,
    drop_extra: bool,  # noqa: FBT001 -- hypothesis passes it
) -> None:
    outcome = run(text, drop_extra=drop_extra)
    if isinstance(outcome, Accepted):
        assert run(outcome.raw) == Accepted(outcome.raw, outcome.value, ())


@given(TEXTS)
def test_no_status_rises_and_no_citation_is_made_up(text: str) -> None:
    outcome = run(text, drop_extra=True)
    if isinstance(outcome, Accepted):
        before: Any = json.loads(text)
        made: Any = outcome.value
        assert made["status"] == before["status"].lower()
        assert made["status"] != "ok" or before["status"] == "ok"
        for cited in made.get("citations", []):
            assert cited in IDS
            assert cited in json.dumps(before["citations"])


@given(TEXTS, st.integers(0, 80), st.sampled_from('"1,{}[]: aS'))
def test_the_proof_refuses_a_result_that_was_tampered_with(
    text: str, at: int, letter: str
) -> None:
    outcome = run(text)
    if not isinstance(outcome, Accepted):
        return
    result = outcome.raw.decode()
    at %= len(result) + 1
    forged = (result[:at] + letter + result[at:]).encode()
    try:
        changed = json.loads(forged) != json.loads(result)
    except ValueError:
        return  # the proof is of strict JSON: this would not come so far
    if changed and json.loads(forged) != json.loads(text):
        assert not coerced(text.encode(), forged, dropped=False)


@pytest.mark.parametrize(
    "forged",
    ['{"a":"x","b":2}', '{"b":1,"a":"x"}', '{"a":"y","b":1}', '{"a":"x"}', "{}"],
)
def test_the_proof_refuses_what_is_no_coercion(forged: str) -> None:
    before = b'{"a":"x","b":1}'
    assert coerced(before, before, dropped=False)
    assert not coerced(before, forged.encode(), dropped=False)
