"""How much work one walk over a schema is once its references are followed.

Every JSON value in a schema counts as one, definitions too, and every `$ref` as a copy of its target:
an upper bound that needs no knowledge of keywords. A reference back into a definition
that is being walked counts as one, since it costs only as the instance gets deeper.
"""

from typing import cast

from structured.errors import SchemaError
from structured.pointer import resolve


def expansion(document: object, *, limit: int) -> int:
    """Return the bound for `document`; raises SchemaError above `limit`."""
    known: dict[int, int] = {}
    running: set[int] = set()
    stack = [document]
    while stack:
        node = stack[-1]
        if id(node) in known:
            stack.pop()
            continue
        below = _below(node, document)
        fresh = [x for x in below if id(x) not in known and id(x) not in running]
        running.add(id(node))
        if fresh:
            stack.extend(fresh)
            continue
        stack.pop()
        running.discard(id(node))
        known[id(node)] = total = 1 + sum(known.get(id(x), 1) for x in below)
        if total > limit:
            raise SchemaError(
                "", f"its references expand to more than {limit} subschemas"
            )
    return known[id(document)]


def _below(node: object, document: object) -> list[object]:
    if isinstance(node, list):
        return cast("list[object]", node)
    if not isinstance(node, dict):
        return []
    members = cast("dict[str, object]", node)
    below = list(members.values())
    reference = members.get("$ref")
    if isinstance(reference, str):
        below.append(resolve(document, reference))
    return below
