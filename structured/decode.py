"""The schema that the engine decodes by, derived from the one that validates.

The grammar must never forbid what the validation allows, and need not forbid all that
it forbids: every output is validated again. So keywords that decoders enforce badly or
not at all are left out, which only ever widens, and what is left is plain structure.
"""

import re
from itertools import permutations
from typing import Final, cast
from urllib.parse import unquote

import msgspec

from structured import pointer
from structured.schema import Schema

LISTED: Final = 4
"""Most context items for which each list of citations without repetition is spelt out:
65 lists for four, 326 for five. Above, a repetition is left to the validation."""

MIN_LENGTH: Final = 16
"""Longest `minLength` that is passed on; a grammar unrolls it."""

_AS_IS: Final = frozenset({"title", "type", "required"})
_VALUES: Final = frozenset({"enum", "const"})
_EXACT: Final = 1 << 53
"""Decoders hold numbers as doubles: they would spell a larger integer as another."""

_KEPT: Final = re.compile(r"#|#/(?:\$defs|definitions)/[^/]+")
_DEFINED: Final = ("$defs", "definitions")
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
    # The engine takes objects only. `false` gives a text that is refused afterwards.
    derived = _rooted(_opened(derived)) if isinstance(derived, dict) else {}
    if aliases is not None:
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
    out = {
        key: value
        for key, value in members.items()
        if key in _AS_IS or (key in _VALUES and _spelt(value))
    }
    for keyword in (*_DEFINED, "properties"):
        out |= _named(members, keyword)
    reference = members.get("$ref")
    if isinstance(reference, str):
        if not _KEPT.fullmatch(reference):
            # leads to where nothing may be left: anything goes
            return {k: out[k] for k in _DEFINED if k in out}
        # beside a reference, decoders differ in what they make of other keywords
        return {"$ref": reference} | {k: out[k] for k in _DEFINED if k in out}
    return out | _lists(members) | _bounds(members)


def _spelt(value: object) -> bool:
    """Whether a decoder can spell a value of `enum` or `const` as it is."""
    if isinstance(value, dict):
        return all(map(_spelt, cast("dict[str, object]", value).values()))
    if isinstance(value, list):
        return all(map(_spelt, cast("list[object]", value)))
    return not isinstance(value, int) or -_EXACT <= value <= _EXACT


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


def _opened(root: dict[str, object]) -> dict[str, object]:
    """Let go of references that come back to themselves for the same value.

    They allow everything; to a grammar, which has to read something first, nothing.
    """
    names: dict[str, object] = {"#": root} | {
        f"#{pointer.join((keyword, name))}": each
        for keyword in _DEFINED
        for name, each in cast("dict[str, object]", root.get(keyword, {})).items()
    }
    leads = {name: _references(node) for name, node in names.items()}
    circles = {name for name in names if name in _reached(leads, name)}
    if not circles:
        return root
    opened = {
        name: _without(node, circles) if name in circles else node
        for name, node in names.items()
    }
    kept = {
        keyword: {
            name: opened[f"#{pointer.join((keyword, name))}"]
            for name in cast("dict[str, object]", root[keyword])
        }
        for keyword in _DEFINED
        if keyword in root
    }
    return cast("dict[str, object]", opened["#"]) | kept


def _references(node: object) -> set[str]:
    """Where a value is evaluated as well, in the place where `node` is."""
    if not isinstance(node, dict):
        return set()
    members = cast("dict[str, object]", node)
    found = _reference(members)
    for branch in _branches(members):
        found |= _references(branch)
    return found


def _branches(members: dict[str, object]) -> list[object]:
    return [
        each
        for keyword in ("anyOf", "allOf")
        for each in cast("list[object]", members.get(keyword, []))
    ]


def _reached(leads: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = list(leads[start])
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += leads.get(name, ())
    return found


def _without(node: object, circles: set[str]) -> object:
    if not isinstance(node, dict):
        return node
    members = cast("dict[str, object]", node)
    if not circles.isdisjoint(_reference(members)):
        return {}
    return members | {
        keyword: [_without(each, circles) for each in cast("list[object]", branches)]
        for keyword, branches in members.items()
        if keyword in ("anyOf", "allOf")
    }


def _reference(members: dict[str, object]) -> set[str]:
    reference = members.get("$ref")
    return {unquote(reference)} if isinstance(reference, str) else set()


def _rooted(root: dict[str, object]) -> dict[str, object]:
    """Put in what a root that is only a reference refers to, and keep the rest."""
    kept = {keyword: root[keyword] for keyword in _DEFINED if keyword in root}
    while isinstance(reference := root.get("$ref"), str):
        target = pointer.resolve(kept, reference)
        root = cast("dict[str, object]", target) if isinstance(target, dict) else {}
    return root | kept
