"""Strict JSON (RFC 8259) out of bytes: what this refuses is never adherent.

The parser is jiter. On top of it: a size cap, no number that a double cannot hold
(jiter reads `1e999` as infinity), and one stable code for each reason.
"""

from collections.abc import Iterable
from math import isinf
from typing import Final, cast

import jiter

from structured.errors import ParseError

MAX_BYTES: Final = 1 << 20
"""Longest text that is looked at, in bytes."""

MAX_DEPTH: Final = 200
"""Deepest nesting, jiter's own limit, which a test pins. A validator that recurses
over a deeper value under a recursive schema ends the process, so this comes first."""

MAX_NODES: Final = 50_000
"""Most values in one text: looking at each of a million would stall the event loop."""

_CODES: Final = (
    ("Detected duplicate key", "duplicate_key", "an object names a key twice"),
    ("recursion limit", "too_deep", f"nested deeper than {MAX_DEPTH}"),
    ("number out of range", "number_out_of_range", "a number has too many digits"),
)


def parse(raw: bytes) -> object:
    """Return the value of a strict JSON text; raises ParseError.

    Codes: `too_large`, `invalid_encoding`, `duplicate_key`, `too_deep`,
    `number_out_of_range`, and `invalid_json` for every other fault of syntax.
    """
    if len(raw) > MAX_BYTES:
        raise ParseError("too_large", f"longer than {MAX_BYTES} bytes")
    try:
        value = jiter.from_json(
            raw, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="keys"
        )
    except ValueError as error:
        raise _explain(raw, str(error)) from None
    size(value)
    return value


def size(value: object) -> int:
    """Count a value's nodes; raises ParseError over the cap and on infinity."""
    count = 0
    stack = [value]
    while stack:
        node = stack.pop()
        count += 1
        if count + len(stack) > MAX_NODES:
            raise ParseError("too_large", f"more than {MAX_NODES} values")
        if isinstance(node, dict):
            stack.extend(cast("dict[str, object]", node).values())
        elif isinstance(node, list):
            stack.extend(cast("Iterable[object]", node))
        elif isinstance(node, float) and isinf(node):
            raise ParseError("number_out_of_range", "a number no double can hold")
    return count


def _explain(raw: bytes, message: str) -> ParseError:
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return ParseError("invalid_encoding", f"byte {error.start} is not UTF-8")
    for start, code, text in _CODES:
        if message.startswith(start):
            return ParseError(code, text)
    return ParseError("invalid_json", message)
