"""The proof that a repair kept everything, which trusts nothing the repairer did.

Both texts are read token by token. The result must be the input's scalars and keys, in
order, with the same brackets and colons; all that may differ is a comma more or less,
brackets that close the end, and how a scalar is spelt: the quotes around it, a control
character for its escape, `True` for `true`.
"""

import re
from typing import Final

from structured.lexer import Span, Token

_SAME: Final = {b"True": b"true", b"False": b"false", b"None": b"null"}
_PIECE: Final = re.compile(
    rb"\\u[0-9a-fA-F]{4}|\\.|[^\\\"'\x00-\x1f]++|[^\\]", re.DOTALL
)
# Not the lexer: what reads the result shares no code with what made it. A quote that
# pairs with no other is a token too: a byte that is passed over is a byte unproved.
_STRICT: Final = re.compile(
    rb"[ \t\n\r,]++|(\"[^\"\\]*+(?:\\.[^\"\\]*+)*+\"|[{}\[\]:]|[^ \t\n\r{}\[\]:,\"]++|\")",
    re.DOTALL,
)
_NUMBER: Final = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_BLANKS: Final = re.compile(rb"\A(?:\s|\\[tnrf])++|(?:\s|\\[tnrf])++\Z")
_BRACKETS: Final = re.compile(rb"\A\[(.*)\]\Z", re.DOTALL)
_ESCAPED: Final = {
    b"\b": b"\\b",
    b"\t": b"\\t",
    b"\n": b"\\n",
    b"\f": b"\\f",
    b"\r": b"\\r",
}
_QUOTE: Final = {"double": 1, "single": 1, "smart": 3}
_CLOSERS: Final = frozenset({b"}", b"]"})


def preserved(raw: bytes, span: Span, result: bytes) -> bool:
    """Whether `result` is `raw`'s span with nothing lost, added or reordered.

    `result` is strict JSON: the check has parsed it before.
    """
    before = [token for token in span.tokens if token.kind != ","]
    after = [text for text in _STRICT.findall(result) if text]
    if len(after) < len(before) or result[-1:] not in _CLOSERS:
        return False
    return (
        _covers(raw, span)
        and all(text in _CLOSERS for text in after[len(before) :])
        and all(
            raw[old.start : old.end] == new or _same(raw, old, new)
            for old, new in zip(before, after, strict=False)
        )
    )


def _covers(raw: bytes, span: Span) -> bool:
    """Whether the tokens are the whole span but for white space."""
    at = span.start
    for _, start, end in span.tokens:
        if start != at and raw[at:start].strip(b" \t\n\r"):
            return False
        at = end
    return not raw[at : span.end].strip(b" \t\n\r")


def _same(raw: bytes, old: Token, now: bytes) -> bool:
    was = raw[old.start : old.end]
    if old.kind == "word":
        return _SAME.get(was) == now
    whole = now[:1] == b'"' and now != b'"'
    return whole and old.kind in _QUOTE and _same_text(was, old, now)


def _same_text(was: bytes, old: Token, now: bytes) -> bool:
    width = _QUOTE[old.kind]
    left = _PIECE.findall(was[width:-width])
    right = _PIECE.findall(now[1:-1])
    return len(left) == len(right) and all(
        a == b or _spelt(a, b, old.kind) for a, b in set(zip(left, right, strict=True))
    )


def _spelt(was: bytes, now: bytes, kind: str) -> bool:
    if was < b" ":
        return now == _ESCAPED.get(was, b"\\u%04x" % was[0])
    if kind != "double" and was == b'"':
        return now == b'\\"'
    return kind == "single" and was == b"\\'" and now == b"'"


def coerced(before: bytes, after: bytes, *, dropped: bool) -> bool:
    """Whether `after` is `before` with nothing changed but what S5 may change.

    Both are strict JSON. With `dropped`, tokens may be missing, but none may be new
    or out of order.
    """
    left = [text for text in _STRICT.findall(before) if text]
    right = [text for text in _STRICT.findall(after) if text]
    at = to = 0
    while to < len(right):
        if at == len(left):
            return False
        if left[at] == right[to] or _read_as(left[at], right[to]):
            at, to = at + 1, to + 1
        elif right[to : to + 3] == [b"[", left[at], b"]"]:
            at, to = at + 1, to + 3
        elif dropped:
            at += 1
        else:
            return False
    return dropped or at == len(left)


def _read_as(was: bytes, now: bytes) -> bool:
    """Whether a scalar may be read as another: quotes, blanks, brackets, case."""
    if was == b'"' + now + b'"' or now == b'"' + was + b'"':
        return _NUMBER.fullmatch(min(was, now, key=len)) is not None
    if was[:1] != b'"' or now[:1] != b'"':
        return False
    if was.lower() == now:
        return now != b'"ok"'
    bare = _BLANKS.sub(b"", was[1:-1])
    return now[1:-1] in (bare, _BLANKS.sub(b"", _BRACKETS.sub(rb"\1", bare)))
