"""The schema that the engine decodes by, derived from the one that validates.

The grammar must never forbid what the validation allows, and need not forbid all that
it forbids: every output is validated again. So keywords that decoders enforce badly or
not at all are left out, which only ever widens, and what is left is plain structure.
"""

import re
from itertools import permutations
from typing import Final, cast

import msgspec

from structured.schema import Schema

LISTED: Final = 4
"""Most context items for which each list of citations without repetition is spelt out:
65 lists for four, 326 for five. Above, a repetition is left to the validation."""

MIN_LENGTH: Final = 16
"""Longest `minLength` that is passed on; a grammar unrolls it."""

_AS_IS: Final = frozenset({"title", "type", "enum", "const", "required"})
_KEPT: Final = re.compile(r"#|#/(?:\$defs|definitions)/[^/]+")
_COUNTS: Final = frozenset({"minItems", "maxItems"})
_COUNT: Final = 64


def alias(number: int) -> str:
    """The short id of a context item, counted from 1."""
    return f"c{number}"


def decode_schema(schema: Schema, *, aliases: int | None) -> bytes:
    """Return what the engine is told, as JSON bytes.

    The same bytes for the same arguments.

    Args:
        schema: what outputs are validated by.
        aliases: how many context items there are. The root's `citations` may then name
            `c1` to `cN`, each once; without any, none. None leaves them alone.
    """
    # A schema whose pointers do not start at its root cannot be taken apart safely.
    derived = {} if schema.guide is True else _derived(schema.guide)
    if aliases is not None and isinstance(derived, dict):
        properties = derived.get("properties")
        if isinstance(properties, dict) and "citations" in properties:
            named = cast("dict[str, object]", properties) | {
                "citations": _citations(aliases)
            }
            derived = derived | {"properties": named}
    return msgspec.json.encode(derived)


def _citations(count: int) -> dict[str, object]:
    names = [alias(number) for number in range(1, count + 1)]
    if count > LISTED:
        return {"type": "array", "items": {"enum": names}, "maxItems": count}
    none: dict[str, object] = {"type": "array", "maxItems": 0}
    lists: list[dict[str, object]] = [
        {
            "type": "array",
            "prefixItems": [{"const": name} for name in chosen],
            "items": False,
            "minItems": size,
            "maxItems": size,
        }
        for size in range(1, count + 1)
        for chosen in permutations(names, size)
    ]
    return {"anyOf": [none, *lists]}


def _derived(node: object) -> dict[str, object] | bool:
    if not isinstance(node, dict):
        return node is not False
    members = cast("dict[str, object]", node)
    out = {key: value for key, value in members.items() if key in _AS_IS}
    for keyword in ("$defs", "definitions", "properties"):
        out |= _named(members, keyword)
    reference = members.get("$ref")
    if isinstance(reference, str):
        if not _KEPT.fullmatch(reference):
            # leads to where nothing may be left: anything goes
            return {k: out[k] for k in ("$defs", "definitions") if k in out}
        # beside a reference, decoders differ in what they make of other keywords
        return {"$ref": reference} | {
            k: out[k] for k in ("$defs", "definitions") if k in out
        }
    return out | _lists(members) | _bounds(members)


def _named(members: dict[str, object], keyword: str) -> dict[str, object]:
    given = members.get(keyword)
    if not isinstance(given, dict):
        return {}
    named = cast("dict[str, object]", given)
    return {keyword: {name: _derived(each) for name, each in named.items()}}


def _lists(members: dict[str, object]) -> dict[str, object]:
    """Alternatives, and what arrays and further members hold."""
    out: dict[str, object] = {}
    for keyword, kept_as in (
        ("anyOf", "anyOf"),
        ("oneOf", "anyOf"),
        ("allOf", "allOf"),
    ):
        given = members.get(keyword)
        if isinstance(given, list) and kept_as not in out:
            branches = cast("list[object]", given)
            if keyword != "allOf" or len(branches) == 1:
                out[kept_as] = [_derived(each) for each in branches]
    if "prefixItems" in members:
        first = cast("list[object]", members["prefixItems"])
        out["prefixItems"] = [_derived(each) for each in first]
    if "items" in members:
        out["items"] = _derived(members["items"])
    if "additionalProperties" in members and "patternProperties" not in members:
        out["additionalProperties"] = _derived(members["additionalProperties"])
    return out


def _bounds(members: dict[str, object]) -> dict[str, object]:
    out: dict[str, object] = {}
    for keyword in (*_COUNTS, "minLength"):
        value = members.get(keyword)
        most = _COUNT if keyword in _COUNTS else MIN_LENGTH
        if isinstance(value, int) and value <= most:
            out[keyword] = value
    return out
