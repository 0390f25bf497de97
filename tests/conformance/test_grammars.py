"""The schemas that the engine is told, judged by the library that decodes by them.

Each of them compiles, unless nothing at all fits the schema that it was derived from;
and whatever that one accepts can be written under the grammar, in the order of its
properties and with white space where JSON allows it.
"""

import json
import subprocess
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any, NamedTuple, cast

import pytest

from bench.corruptions import instances
from structured import pointer
from structured.decode import decode_schema
from structured.errors import SchemaError
from structured.schema import Schema, compile_schema
from tests.conformance.suites import schema_groups
from tests.conftest import ENGINE_PYTHON, need

pytestmark = pytest.mark.vllm

UNSATISFIABLE = "Unsatisfiable schema"
WITHIN = 300.0


class Case(NamedTuple):
    """A schema, values that it accepts, and how many context items there are."""

    name: str
    schema: Schema
    valid: tuple[object, ...]
    aliases: int | None = None


class Judged(NamedTuple):
    """What the grammar of a case is like."""

    case: Case
    told: object
    error: str
    refused: tuple[str, ...]
    forced: str


def judged(cases: Iterable[Case]) -> Iterator[Judged]:
    need(ENGINE_PYTHON, "the engine environment, which `make up` creates first")
    cases = list(cases)
    told = [decode_schema(case.schema, aliases=case.aliases) for case in cases]
    texts = [
        [
            json.dumps(
                arranged(value, json.loads(schema)),
                # a grammar takes letters as they are, and no escapes for them
                ensure_ascii=False,
                separators=separators,
            )
            for value in case.valid
            for separators in ((", ", ": "), (",", ":"))
        ]
        for case, schema in zip(cases, told, strict=True)
    ]
    asked = "\n".join(
        json.dumps({"schema": schema.decode(), "texts": each})
        for schema, each in zip(told, texts, strict=True)
    )
    done = subprocess.run(  # noqa: S603 -- our own command line
        [str(ENGINE_PYTHON), "tests/conformance/grammar_judge.py"],
        input=asked,
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    lines = done.stdout.splitlines()
    for case, schema, each, line in zip(cases, told, texts, lines, strict=True):
        said = json.loads(line)
        pairs = zip(each, said["taken"], strict=True) if said["taken"] else ()
        refused = tuple(text for text, taken in pairs if not taken)
        yield Judged(case, json.loads(schema), said["error"], refused, said["forced"])


def arranged(value: Any, told: Any, root: Any = None) -> Any:
    """The value as a grammar spells it.

    Keys in the order of the schema's properties, whole numbers without a fraction, and
    constants as they are written there.
    """
    root = told if root is None else root
    node = followed(told, root)
    for constant in [*node.get("enum", ()), *([node["const"]] if "const" in node else [])]:  # fmt: skip
        if constant == value:
            return whole(constant)
    if isinstance(value, dict):
        named = node.get("properties", {})
        rank = dict(zip(named, count(), strict=False))
        further = node.get("additionalProperties", {})
        members = cast("dict[str, Any]", value)
        return {
            key: arranged(members[key], named.get(key, further), root)
            for key in sorted(members, key=lambda key: rank.get(key, len(rank)))
        }
    if isinstance(value, list):
        first, rest = node.get("prefixItems", []), node.get("items", {})
        return [
            arranged(each, first[at] if at < len(first) else rest, root)
            for at, each in enumerate(cast("list[Any]", value))
        ]
    return whole(value)


def whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: whole(v) for k, v in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [whole(each) for each in cast("list[Any]", value)]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def followed(node: Any, root: Any) -> dict[str, Any]:
    """The properties that a value may meet, behind references and alternatives."""
    if not isinstance(node, dict):
        return {}
    members = cast("dict[str, Any]", node)
    if "$ref" in members:
        return followed(pointer.resolve(root, members["$ref"]), root)
    merged: dict[str, Any] = dict(members)
    for branch in [*members.get("anyOf", ()), *members.get("allOf", ())]:
        for keyword, value in followed(branch, root).items():
            merged[keyword] = (
                merged.get(keyword, {}) | value
                if keyword == "properties"
                else merged.get(keyword, value)
            )
    return merged


def compiled(document: object) -> Schema:
    return compile_schema(json.dumps(document).encode(), name="test")


def suite() -> Iterator[Case]:
    groups, remotes = schema_groups(optional=False)
    for group in groups:
        source = json.dumps(group.schema).encode()
        try:
            schema = compile_schema(source, name="suite", registered=remotes)
        except SchemaError:
            continue  # beyond our caps; tests/conformance/test_schema_suite.py has which
        valid = tuple(test["data"] for test in group.tests if test["valid"])
        yield Case(f"{group.file}: {group.description}", schema, valid)


def assert_wider(found: Judged) -> None:
    what = f"{found.case.name}: {json.dumps(found.told)[:500]}"
    if found.error.startswith(UNSATISFIABLE):
        assert not found.case.valid, what
    else:
        assert not found.error, f"{what}: {found.error}"
    assert not found.refused, f"{what}: {found.refused[:3]}"


def test_every_schema_of_the_suite_can_be_decoded_by() -> None:
    found = list(judged(suite()))
    assert len(found) > 300
    for each in found:
        assert_wider(each)


def test_every_schema_of_the_benchmark_can_be_decoded_by() -> None:
    cases = [
        Case("bench", each.schema, (each.value,))
        for each in instances(seed=7, count=300)
    ]
    for each in judged(cases):
        assert_wider(each)


def nested(keyword: str, levels: int) -> tuple[Any, Any]:
    schema: Any = {"type": "integer"}
    value: Any = 1
    for _ in range(levels):
        if keyword == "properties":
            schema = {"properties": {"a": schema}, "additionalProperties": False}
            value = {"a": value}
        elif keyword == "items":
            schema, value = {"type": "array", "items": schema}, [value]
        elif keyword == "prefixItems":
            schema, value = {"prefixItems": [schema]}, [value]
        elif keyword == "additionalProperties":
            schema, value = {"additionalProperties": schema}, {"a": value}
        else:
            schema = {keyword: [schema]}
    return schema, value


LOOP = {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}
TREE = {
    "oneOf": [
        {"type": "string"},
        {"type": "object", "properties": {"left": {"$ref": "#/$defs/t"}}},
    ]
}
EDGES: list[tuple[str, object, tuple[object, ...]]] = [
    *(("true", True, (1, {"a": []})), ("false", False, ())),
    ("a circle", {"$ref": "#"}, (1, {"a": 1})),
    ("a circle of two", {"$defs": LOOP, "$ref": "#/$defs/a"}, (1, [])),
    ("a circle by allOf", {"allOf": [{"$ref": "#"}]}, (1,)),
    ("a circle by anyOf", {"anyOf": [{"$ref": "#"}, {"type": "string"}]}, ("x",)),
    ("a circle and no more", {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}, (1,)),
    (
        "a circle in a member",
        {"$defs": LOOP, "properties": {"x": {"$ref": "#/$defs/a"}}, "required": ["x"]},
        ({"x": 1},),
    ),
    (
        "a circle with an odd name",
        {
            "$defs": {"ä/~": {"$ref": "#/$defs/%C3%A4~1~0"}},
            "items": {"$ref": "#/$defs/%C3%A4~1~0"},
        },
        ([1, "a"],),
    ),
    (
        "a tree",
        {"$defs": {"t": TREE}, "$ref": "#/$defs/t"},
        ("x", {"left": {"left": "x"}}),
    ),
    ("beyond a double", {"const": 2**53 + 1}, (2**53 + 1,)),
    ("below a double", {"enum": [-(2**60) - 1, "a"]}, (-(2**60) - 1, "a")),
    ("300 digits", {"const": 10**300}, (10**300,)),
    ("large within", {"const": {"a": [2**60 + 1]}}, ({"a": [2**60 + 1]},)),
    ("an empty enum", {"enum": []}, ()),
    ("a contradiction", {"type": "string", "enum": [1]}, ()),
    (
        "a forbidden member",
        {"required": ["a"], "properties": {"a": False}},
        ({}, 1)[1:],
    ),
    ("900 words", {"enum": [f"w{n}" for n in range(900)]}, ("w899",)),
    (
        "300 members",
        {"properties": {f"p{n}": {"type": "integer"} for n in range(300)}},
        ({f"p{n}": n for n in range(300)},),
    ),
    (
        "an odd name",
        {"properties": {'größe "x" \\ \n': {}}, "required": ['größe "x" \\ \n']},
        ({'größe "x" \\ \n': 1},),
    ),
    *(
        (f"{keyword} 60 deep", schema, (value,))
        for keyword in ("properties", "items", "prefixItems", "additionalProperties")
        for levels in (30 if keyword[0] == "p" else 60,)
        for schema, value in (nested(keyword, levels),)
    ),
    *(
        (f"{keyword} 30 deep", *(nested(keyword, 30)[0], (1,)))
        for keyword in ("anyOf", "allOf", "oneOf")
    ),
]


def test_schemas_at_the_edges_can_be_decoded_by() -> None:
    cases = [Case(name, compiled(document), valid) for name, document, valid in EDGES]
    for case in cases:
        assert not [value for value in case.valid if case.schema.errors(value)], case
    for each in judged(cases):
        assert_wider(each)


NUMBERS = [0.1, 1.5, -0.0, 1e22, 1e21, 1e-7, 123456789.123, 1e300, 1e-300, 5e-324]


@pytest.mark.parametrize("as_enum", [True, False])
def test_a_number_is_spelt_so_that_it_validates(as_enum: bool) -> None:  # noqa: FBT001 -- parametrized
    documents = [{"enum": [n]} if as_enum else {"const": n} for n in NUMBERS]
    cases = [Case(str(each), compiled(each), ()) for each in documents]
    for number, found in zip(NUMBERS, judged(cases), strict=True):
        assert not found.error
        assert float(found.forced) == number
        assert found.case.schema.errors(json.loads(found.forced)) is None


BOUND: dict[str, Any] = {
    "type": "object",
    "required": ["status", "answer", "citations"],
    "additionalProperties": False,
    "properties": {
        "status": {"enum": ["ok", "uncertain", "refused"]},
        "answer": {"type": "string"},
        "citations": {
            "type": "array",
            "items": {"type": "string"},
            "uniqueItems": True,
        },
    },
}
BEHIND = {"$defs": {"answer": BOUND}, "$ref": "#/$defs/answer"}


@pytest.mark.parametrize("document", [BOUND, BEHIND])
def test_citations_are_bound_to_the_aliases_also_behind_a_reference(
    document: dict[str, Any],
) -> None:
    def answer(*cited: str) -> object:
        return {"status": "ok", "answer": "x", "citations": list(cited)}

    schema = compiled(document)
    right = [
        Case(f"{n}", schema, tuple(answer(*cited) for cited in ((), *names(n))), n)
        for n in (0, 1, 2, 3, 4, 5, 8, 64)
    ]
    for each in judged(right):
        assert_wider(each)
    wrong = [
        Case(f"{n} wrong", schema, (answer(f"c{n + 1}"), answer("S1"), answer("")), n)
        for n in (0, 1, 2, 4, 5, 64)
    ]
    for each in judged(wrong):
        # every one of them, in both of its spellings
        assert len(each.refused) == 2 * len(each.case.valid)


def names(most: int) -> Iterator[tuple[str, ...]]:
    every = tuple(f"c{number}" for number in range(1, most + 1))
    for size in range(1, most + 1):
        yield every[:size]
        yield every[::-1][:size]
