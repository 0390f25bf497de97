"""How large a schema is once its references are followed, as compiling it does.

Every value in a schema counts as one, and every reference as a copy of its target: an
upper bound. A reference back into a schema that is being walked counts as one, since it
costs only as the instance gets deeper. Schemas that nothing leads to cost nothing when
an instance is checked, but are counted as well: they are part of what was sent.
"""

from collections.abc import Mapping
from typing import Final, cast

from structured.errors import SchemaError
from structured.references import Documents, subschemas

METASCHEMA: Final = 1_000
"""What a reference to one of the dialect's own metaschemas counts; all of them together
have fewer values."""


def expansion(document: object, registered: Mapping[str, object], *, limit: int) -> int:
    """Return the bound for `document`; raises SchemaError above `limit`.

    Args:
        document: a schema.
        registered: what its references may lead to beside itself, by URI.
        limit: the most that is allowed.
    """
    documents = Documents(document, registered)
    known: dict[int, int] = {}
    running: set[int] = set()
    stack = [document]
    while stack:
        node = stack[-1]
        if id(node) in known:
            stack.pop()
            continue
        below = [each for _, each in subschemas(node)] + documents.targets(node)
        fresh = [
            each
            for each in below
            if each is not None and id(each) not in known and id(each) not in running
        ]
        running.add(id(node))
        if fresh:
            stack.extend(fresh)
            continue
        stack.pop()
        running.discard(id(node))
        known[id(node)] = total = _own(node) + sum(
            METASCHEMA if each is None else known.get(id(each), 1) for each in below
        )
        if total > limit:
            raise SchemaError(
                "", f"its references expand to more than {limit} subschemas"
            )
    return known[id(document)]


def _own(node: object) -> int:
    """Count a schema's keywords and their plain values, such as an `enum`'s."""
    if not isinstance(node, dict):
        return 1
    total = 1
    for value in cast("dict[str, object]", node).values():
        total += 1
        if isinstance(value, list):
            total += len(cast("list[object]", value))
    return total
