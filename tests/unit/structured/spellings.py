"""Schemas of every kind, instances of them, and all the ways in which JSON spells one."""

import json
from typing import Any, Final, NamedTuple, cast

from hypothesis import strategies as st

from structured.schema import Schema, compile_schema
from tests.unit.structured.cases import TEXT

_Parts = dict[str, st.SearchStrategy[Any]]


def _fields(always: _Parts, sometimes: _Parts) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(always, optional=sometimes)


_NODE: Final = {
    "type": "object",
    "properties": {
        "v": {"type": "integer"},
        "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
        "all": {"type": "array", "items": {"$ref": "#/$defs/node"}},
    },
    "required": ["v"],
    "additionalProperties": False,
}
_NODES: Final = st.recursive(
    st.fixed_dictionaries({"v": st.integers()}),
    lambda inner: _fields(
        {"v": st.integers()}, {"next": inner | st.none(), "all": st.lists(inner)}
    ),
    max_leaves=6,
)
_INTEGRAL: Final = st.integers(-(10**6), 10**6) | st.sampled_from([1.0, -0.0, 1e300])
_MIXED: Final[list[Any]] = [1, "a", None, True, [1, {"k": 2.5}], {"k": "v"}, "1", 2.0]
_SCALAR: Final = st.none() | st.booleans() | st.integers() | TEXT

PAIRS: Final[dict[str, tuple[Any, st.SearchStrategy[Any]]]] = {
    "recursive reference": (
        {"$ref": "#/$defs/node", "$defs": {"node": _NODE}},
        _NODES,
    ),
    "root reference": (
        {"type": "object", "additionalProperties": {"$ref": "#"}},
        st.recursive(
            st.just(dict[str, Any]()),
            lambda inner: st.dictionaries(TEXT, inner, max_size=3),
            max_leaves=5,
        ),
    ),
    "keywords beside a reference": (
        {
            "type": "object",
            "properties": {
                "s": {"$ref": "#/$defs/s", "type": ["string", "null"], "maxLength": 9},
                "o": {"$ref": "#/$defs/o", "properties": {"x": {"type": "integer"}}},
            },
            "$defs": {"s": {"type": ["string", "integer"]}, "o": {"type": "object"}},
        },
        st.fixed_dictionaries(
            {},
            optional={
                "s": st.text("aé😀", max_size=9),
                "o": st.fixed_dictionaries({"x": _INTEGRAL, "y": _SCALAR}),
            },
        ),
    ),
    "long chain of references": (
        {
            "$ref": "#/$defs/d0",
            "$defs": {
                **{f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(20)},
                "d20": {"type": "array", "items": {"type": "integer"}},
            },
        },
        st.lists(_INTEGRAL, max_size=4),
    ),
    "anchor and escaped pointers": (
        {
            "type": "object",
            "properties": {
                "a/b~c": {"$ref": "#/$defs/x~1y%25"},
                "": {"$ref": "#leaf"},
                "$ref": {"$ref": "#/properties/a~1b~0c"},
            },
            "additionalProperties": False,
            "$defs": {"x/y%": {"type": "string"}, "z": {"$anchor": "leaf"}},
        },
        st.fixed_dictionaries({}, optional={"a/b~c": TEXT, "": _SCALAR, "$ref": TEXT}),
    ),
    "resource of its own": (
        {
            "type": "object",
            "properties": {"a": {"$ref": "http://e.example/s"}},
            "$defs": {
                "s": {
                    "$id": "http://e.example/s",
                    "$ref": "#/$defs/t",
                    "$defs": {"t": {"type": "integer"}},
                },
                "t": {"type": "string"},
            },
        },
        st.fixed_dictionaries({"a": _INTEGRAL}),
    ),
    "anyOf, allOf, oneOf, not, if": (
        {
            "type": "object",
            "allOf": [
                {"properties": {"a": {"anyOf": [{"type": "string"}, {"minimum": 0}]}}},
                {"properties": {"b": {"oneOf": [{"type": "array"}, {"const": 1}]}}},
                {"properties": {"c": {"not": {"type": "null"}}}},
                {
                    "if": {"properties": {"c": {"const": "x"}}, "required": ["c"]},
                    "then": {"properties": {"d": {"type": "string"}}},
                    "else": {"properties": {"d": {"type": "boolean"}}},
                },
            ],
            "unevaluatedProperties": False,
        },
        st.fixed_dictionaries(
            {},
            optional={
                "a": TEXT | st.integers(0, 9),
                "b": st.lists(_SCALAR, max_size=2) | st.just(1.0),
                "c": st.integers(),
                "d": st.booleans(),
            },
        ),
    ),
    "enum of anything": (
        {
            "type": "object",
            "properties": {
                "one": {"enum": [1]},
                "any": {"enum": _MIXED},
                "typed": {"type": ["integer", "string"], "enum": [1, "1", "é"]},
            },
        },
        st.fixed_dictionaries(
            {},
            optional={
                "one": st.sampled_from([1, 1.0]),
                "any": st.sampled_from(_MIXED),
                "typed": st.sampled_from([1, 1.0, "1", "é"]),
            },
        ),
    ),
    "pattern properties": (
        {
            "type": "object",
            "properties": {"n": {"type": "integer"}},
            "patternProperties": {"^x": {"type": "string"}, "^n$": {"minimum": 0}},
            "additionalProperties": False,
        },
        st.dictionaries(st.text("xé/~", max_size=4).map("x{}".format), TEXT).flatmap(
            lambda more: st.fixed_dictionaries({"n": st.integers(0, 9)}).map(
                lambda some: more | some
            )
        ),
    ),
    "prefix items": (
        {
            "type": "array",
            "prefixItems": [{"type": "string"}, {"type": "array", "maxItems": 1}],
            "items": {"type": "integer"},
        },
        st.tuples(TEXT, st.lists(_SCALAR, max_size=1)).flatmap(
            lambda head: st.lists(_INTEGRAL, max_size=3).map(
                lambda tail: [*head, *tail]
            )
        ),
    ),
    "nothing after the prefix": (
        {"type": "array", "prefixItems": [{"type": "null"}], "items": False},
        st.sampled_from([[], [None]]),
    ),
    "numbers": (
        {"type": "array", "items": {"type": ["number", "null"]}},
        st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False) | _INTEGRAL),
    ),
    "integers": (
        {"type": "object", "additionalProperties": {"type": "integer"}},
        st.dictionaries(TEXT, _INTEGRAL, max_size=4),
    ),
    "one scalar": ({"type": ["string", "number", "boolean", "null"]}, _SCALAR),
    "anything": (True, st.lists(_SCALAR | st.dictionaries(TEXT, _SCALAR, max_size=3))),
}  # fmt: skip


class Spelt(NamedTuple):
    """A text of a value that fits the schema."""

    schema: Schema
    text: str


SCHEMAS: Final = {
    name: compile_schema(json.dumps(document).encode(), name=name)
    for name, (document, _) in PAIRS.items()
}


@st.composite
def spelt(draw: st.DrawFn) -> Spelt:
    """Draw a schema, an instance, and one of its spellings."""
    name = draw(st.sampled_from(sorted(PAIRS)))
    value = draw(PAIRS[name][1])
    return Spelt(SCHEMAS[name], draw(_blank()) + _value(draw, value) + draw(_blank()))


def _blank() -> st.SearchStrategy[str]:
    return st.sampled_from(["", "", "", " ", "\n\t", " \r\n"])


def _value(draw: st.DrawFn, value: Any) -> str:
    if isinstance(value, str):
        return _string(draw, value)
    if isinstance(value, dict):
        members = (
            f"{_string(draw, key)}{draw(_blank())}:{draw(_blank())}{_value(draw, each)}"
            for key, each in cast("dict[str, Any]", value).items()
        )
        return f"{{{_joined(draw, members)}}}"
    if isinstance(value, list):
        items = (_value(draw, each) for each in cast("list[Any]", value))
        return f"[{_joined(draw, items)}]"
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    return _number(draw, value)


def _joined(draw: st.DrawFn, parts: Any) -> str:
    blank = draw(_blank())
    return blank + f"{blank},{blank}".join(parts) + blank


def _string(draw: st.DrawFn, text: str) -> str:
    """Each letter as it is, by its short escape, or by its number, a pair if need be."""
    whole = json.dumps(text)
    if draw(st.booleans()):
        return whole
    letters: list[str] = []
    for letter in text:
        utf16 = letter.encode("utf-16-be")
        units = [utf16[at : at + 2].hex() for at in range(0, len(utf16), 2)]
        numbered = "".join(f"\\u{unit}" for unit in units)
        usual = json.dumps(letter, ensure_ascii=False)[1:-1]
        ways = [usual, numbered, numbered.upper().replace("\\U", "\\u")]
        letters.append(draw(st.sampled_from(["\\/", *ways] if letter == "/" else ways)))
    return '"' + "".join(letters) + '"'


def _number(draw: st.DrawFn, value: float) -> str:
    """Also with a point, and with an exponent."""
    usual = json.dumps(value)
    ways = [usual]
    if "e" not in usual and "." not in usual:
        ways += [f"{usual}.0", f"{usual}e0", f"{usual}E+00"]
        ways += [f"{usual}0e-1"] if value else []
    return draw(st.sampled_from(ways))
