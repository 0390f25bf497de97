"""What a value costs: counted by what may apply to it at once, and by depth in circles."""

from typing import Any

import pytest

from structured.cost import METASCHEMA, Costs, costs
from structured.units import MOST, own


def cost(document: dict[str, Any], **registered: object) -> Costs:
    return costs(document, registered)


def each(document: dict[str, Any]) -> int:
    return cost(document).asked.each


def test_of_several_members_a_value_is_only_one() -> None:
    integer = {"type": "integer"}
    one = {"properties": {"a": integer}}
    many = {"properties": dict.fromkeys("abcdefgh", integer)}
    assert each(many) == each(one)


def test_of_several_items_a_value_is_only_one() -> None:
    assert each({"prefixItems": [{"type": "null"}] * 9}) == each(
        {"prefixItems": [{"type": "null"}]}
    )


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
def test_what_applies_in_place_adds_up(keyword: str) -> None:
    part = {"enum": ["a"] * 100}
    assert each({keyword: [part] * 3}) > 3 * 100


def test_every_pattern_may_apply_to_one_member() -> None:
    part = {"enum": ["a"] * 100}
    assert each({"patternProperties": {"a": part, "^a": part}}) > 2 * 100
    assert cost({"patternProperties": {"a": True, "^a": True}}).asked.scans == 2


def test_what_is_below_alternatives_is_counted_for_their_errors() -> None:
    plain = cost({"items": {"enum": ["a"] * 100}})
    within = cost({"anyOf": [{"items": {"enum": ["a"] * 100}}, {"type": "null"}]})
    assert plain.told[0].branched == 0
    assert within.told[0].branched > 100


def test_unevaluated_inside_unevaluated_multiplies() -> None:
    def nested(levels: int) -> dict[str, Any]:
        schema: dict[str, Any] = {"properties": {"a": True}}
        for _ in range(levels):
            schema = {"allOf": [schema], "unevaluatedProperties": {"type": "null"}}
        return schema

    assert each(nested(8)) > 10 * each(nested(4))
    assert each(nested(40)) <= MOST


DOUBLE: dict[str, Any] = {
    "properties": {"a": {"$ref": "#"}},
    "allOf": [{"properties": {"a": {"$ref": "#"}}}],
}
SINGLE: dict[str, Any] = {
    "anyOf": [
        {"type": "string"},
        {"properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "required": ["a"]},
    ]
}


def test_two_references_into_a_circle_double_the_reason_at_each_level() -> None:
    found = cost(DOUBLE)
    assert found.endless
    ten, eleven = found.told[10], found.told[11]
    assert 1.8 * ten.each < eleven.each < 2.2 * ten.each
    assert found.at(200) is None


def test_one_reference_into_a_circle_costs_the_same_at_each_level() -> None:
    found = cost(SINGLE)
    assert not found.endless
    deep = found.at(200)
    assert deep is not None
    assert deep == found.told[-1]


def test_without_a_circle_the_depth_does_not_matter() -> None:
    found = cost({"$defs": {"a": {"type": "null"}}, "items": {"$ref": "#/$defs/a"}})
    assert (len(found.told), found.endless) == (1, False)


def test_a_circle_without_structure_ends() -> None:
    for document in (
        {"$ref": "#"},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}
        | {"$ref": "#/$defs/a"},
    ):
        assert cost(document).at(3) is not None


def test_a_metaschema_counts_as_a_whole() -> None:
    found = cost({"$ref": "https://json-schema.org/draft/2020-12/schema"})
    assert found.asked.each >= METASCHEMA.each


def test_what_a_reference_leads_to_counts_wherever_it_is() -> None:
    wide = {"$id": "http://x.test/wide", "enum": ["a"] * 300}
    found = costs({"$ref": "http://x.test/wide"}, {"http://x.test/wide": wide})
    assert found.asked.each > 300


def test_a_schema_of_many_steps_is_given_up_and_not_forgotten() -> None:
    # a circle through 200 schemas takes 200 levels of 200 steps to be seen through
    names = [f"n{number}" for number in range(200)]
    chain = {
        name: {
            "properties": {"a": {"$ref": f"#/$defs/{following}"}},
            "allOf": [{"properties": {"a": {"enum": ["x"]}}}],
        }
        for name, following in zip(names, [*names[1:], names[0]], strict=True)
    }
    found = cost({"$defs": chain, "$ref": "#/$defs/n0"})
    assert found.at(0) is not None
    assert found.endless == (found.at(200) is None)


@pytest.mark.parametrize(
    ("light", "heavy"),
    [
        ({"minimum": 1}, {"minimum": 0.1}),
        ({"multipleOf": 1}, {"multipleOf": 0.1}),
        ({"minimum": 0.1}, {"multipleOf": 0.1}),
        ({"enum": [1]}, {"enum": [1, 2]}),
        ({"const": 1}, {"const": 1e-300}),
        ({"maximum": 1}, {"maximum": 10**300}),
    ],
)
def test_numbers_cost_by_what_comparing_them_takes(
    light: dict[str, Any], heavy: dict[str, Any]
) -> None:
    assert own(light).numeric < own(heavy).numeric


def test_words_are_cheap_to_compare_and_whole_objects_are_not() -> None:
    assert own({"enum": ["a"] * 10}).each < own({"const": {"a": {"b": "c"}}}).each
    assert own({"const": {"a": 0.1}}).each > own({"const": {"a": "b"}}).each


@pytest.mark.parametrize(
    "broken",
    [
        *({"enum": 1}, {"required": 1}, {"patternProperties": 1}, {"minimum": "x"}),
        *({"dependentRequired": 1}, {"dependentRequired": {"a": 1}}),
    ],
)
def test_what_is_no_schema_is_left_to_the_compilation(broken: dict[str, Any]) -> None:
    assert own(broken).each >= 1
