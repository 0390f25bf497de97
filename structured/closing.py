"""Whether a text that lacks only closing brackets can have lost anything.

`{"citations":["S1"` may have been cut before "S2" as well as before "]". Nothing in the
text tells the two apart, but the schema may: an object that names every property it is
allowed is full, and so is an array of `maxItems`. If each open bracket is full, every
valid text that starts like this one has this value, and closing it loses nothing.
Keywords of JSON Schema only ever narrow, so one that says "full" needs no other.
"""

from typing import cast

from structured.errors import SchemaError
from structured.pointer import resolve

_HOPS = 16
"""How many references in a row are followed before a schema counts as unknown."""


def follow(document: object, node: object) -> dict[str, object]:
    """Return a subschema with its references followed; empty if it says nothing."""
    for _ in range(_HOPS):
        if not isinstance(node, dict):
            return {}
        members = cast("dict[str, object]", node)
        reference = members.get("$ref")
        if not isinstance(reference, str):
            return members
        try:
            node = resolve(document, reference)
        except SchemaError:
            return {}
    return {}


def openers(document: object) -> str:
    """Return the brackets with which an instance may start, as far as `type` says."""
    kinds = follow(document, document).get("type", ["object", "array"])
    return "".join(
        bracket
        for bracket, kind in (("{", "object"), ("[", "array"))
        if kind in (kinds if isinstance(kinds, list) else [kinds])
    )


def full(document: object, value: object, depth: int) -> bool:
    """Whether `value` and its last members, `depth` brackets down, can take no more."""
    node: object = document
    for _ in range(depth):
        schema = follow(document, node)
        if isinstance(value, dict) and value:
            members = cast("dict[str, object]", value)
            if not _full_object(schema, members):
                return False
            last = next(reversed(members))
            node = cast("dict[str, object]", schema["properties"])[last]
            value = members[last]
        elif isinstance(value, list) and value:
            items = cast("list[object]", value)
            # with prefixItems, `items` is not what the last one must match
            if schema.get("maxItems") != len(items) or "prefixItems" in schema:
                return False
            node, value = schema.get("items"), items[-1]
        else:
            return False
    return True


def _full_object(schema: dict[str, object], value: dict[str, object]) -> bool:
    properties = schema.get("properties")
    return (
        isinstance(properties, dict)
        and schema.get("additionalProperties") is False
        and not schema.get("patternProperties")
        and properties.keys() == value.keys()
    )
