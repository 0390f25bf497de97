"""JSON pointers (RFC 6901), and references inside one schema document."""

from collections.abc import Iterable
from typing import cast
from urllib.parse import unquote

from structured.errors import SchemaError


def join(steps: Iterable[str | int]) -> str:
    """Render steps as a pointer; no steps are the root, `""`."""
    return "".join(
        "/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps
    )


def resolve(document: object, reference: str) -> object:
    """Return the subschema that `#` or `#/pointer` names; raises SchemaError."""
    if reference == "#":
        return document
    if not reference.startswith("#/"):
        raise SchemaError(
            "",
            f"$ref {reference[:80]!r} does not stay inside the document;"
            " use '#' or '#/$defs/NAME'",
        )
    node = document
    for step in unquote(reference[2:]).split("/"):
        node = child(node, step.replace("~1", "/").replace("~0", "~"))
        if node is None:
            raise SchemaError(
                "", f"$ref {reference[:80]!r} names nothing in this document"
            )
    return node


def child(node: object, step: str) -> object:
    """Return what one step of a pointer leads to; None where there is nothing."""
    if isinstance(node, dict) and step in node:
        return cast("dict[str, object]", node)[step]
    if isinstance(node, list) and step.isdecimal():
        items = cast("list[object]", node)
        if int(step) < len(items):
            return items[int(step)]
    return None
