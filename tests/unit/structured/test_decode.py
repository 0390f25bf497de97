"""The engine's schema: never narrower than the validation, and plain."""

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from bench.corruptions import instances
from structured.decode import LISTED, decode_schema
from structured.schema import Schema, compile_schema
from tests.unit.structured.cases import Case, cases


def compiled(document: object) -> Schema:
    return compile_schema(json.dumps(document).encode(), name="test")


def derived(document: object, aliases: int | None = None) -> Any:
    return json.loads(decode_schema(compiled(document), aliases=aliases))


def allows(schema: Schema, value: object, aliases: int | None = None) -> bool:
    told = compile_schema(decode_schema(schema, aliases=aliases), name="told")
    return told.errors(value) is None


def test_every_instance_that_validates_can_be_decoded() -> None:
    for one in instances(seed=7, count=120):
        assert allows(one.schema, one.value), one.schema.document


@given(cases())
def test_every_valid_text_can_be_decoded(case: Case) -> None:
    assert allows(case.schema, case.value)


TRICKY: list[tuple[dict[str, Any], Any]] = [
    ({"oneOf": [{"type": "number"}, {"type": "integer"}]}, 1.5),
    ({"oneOf": [{"type": "string"}], "anyOf": [{"minLength": 1}]}, "a"),
    ({"allOf": [{"type": "string"}, {"maxLength": 3}]}, "abc"),
    ({"not": {"type": "string"}}, 1),
    ({"if": {"type": "string"}, "then": {"minLength": 2}, "else": False}, "ab"),
    ({"patternProperties": {"^x": {}}, "additionalProperties": False}, {"x1": 1}),
    ({"type": "object", "propertyNames": {"maxLength": 1}}, {"a": 1}),
    ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}, "x"),
    ({"$defs": {"a": {"$anchor": "b", "type": "string"}}, "$ref": "#b"}, "x"),
    ({"properties": {"a": {"$id": "http://x.test/a", "type": "string"}}}, {"a": "x"}),
    ({"prefixItems": [{"type": "string"}], "items": {"type": "number"}}, ["a", 1]),
    ({"prefixItems": [{"type": "string"}], "items": False}, ["a"]),
    ({"unevaluatedProperties": False, "properties": {"a": {}}}, {"a": 1}),
    ({"enum": [[1], {"a": None}], "title": "x"}, {"a": None}),
]


@pytest.mark.parametrize(("document", "value"), TRICKY)
def test_what_is_left_out_only_widens(document: dict[str, Any], value: Any) -> None:
    schema = compiled(document)
    assert schema.errors(value) is None
    assert allows(schema, value)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        *(("maxLength", 9), ("pattern", "a"), ("uniqueItems", True)),
        *(("format", "date"), ("not", {}), ("contains", {}), ("maximum", 3)),
    ],
)
def test_what_decoders_enforce_badly_is_left_out(keyword: str, value: object) -> None:
    assert keyword not in derived({"type": "string", keyword: value})


ASSIST: dict[str, Any] = {
    "type": "object",
    "properties": {
        "citations": {
            "type": "array",
            "items": {"type": "string"},
            "uniqueItems": True,
        }
    },
}


@pytest.mark.parametrize("count", range(LISTED + 1))
def test_citations_are_aliases_without_repetition(count: int) -> None:
    schema = compiled(ASSIST)
    names = [f"c{number}" for number in range(1, count + 1)]
    assert allows(schema, {"citations": names[::-1]}, count)
    assert allows(schema, {"citations": []}, count)
    assert not allows(schema, {"citations": [*names, f"c{count + 1}"]}, count)
    if names:
        assert allows(schema, {"citations": names[-1:]}, count)
        assert not allows(schema, {"citations": names[:1] * 2}, count)


def test_many_citations_are_aliases_all_the_same() -> None:
    schema = compiled(ASSIST)
    assert allows(schema, {"citations": ["c64", "c1"]}, 64)
    assert not allows(schema, {"citations": ["c65"]}, 64)


def test_without_a_known_context_citations_stay_as_they_are() -> None:
    assert allows(compiled(ASSIST), {"citations": ["anything"]})


@given(st.sampled_from([document for document, _ in TRICKY]))
def test_the_same_schema_gives_the_same_bytes(document: dict[str, Any]) -> None:
    one, other = compiled(document), compiled(document)
    assert decode_schema(one, aliases=3) == decode_schema(other, aliases=3)
