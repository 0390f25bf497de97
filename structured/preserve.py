"""The proof that a repair kept everything, which trusts nothing the repairer did.

Both texts are read token by token. The result must be the input's scalars and keys, in
order, with the same brackets and colons; all that may differ is a comma more or less,
brackets that close the end, and how a scalar is spelt: the quotes around it, a control
character for its escape, `True` for `true`.
"""

import re
from typing import Final

from structured.lexer import Span, Token, lex

_SAME: Final = {b"True": b"true", b"False": b"false", b"None": b"null"}
_PIECE: Final = re.compile(rb"\\u[0-9a-fA-F]{4}|\\.|[^\\]", re.DOTALL)
_ESCAPED: Final = {
    b"\b": b"\\b",
    b"\t": b"\\t",
    b"\n": b"\\n",
    b"\f": b"\\f",
    b"\r": b"\\r",
}
_QUOTE: Final = {"double": 1, "single": 1, "smart": 3}


def preserved(raw: bytes, span: Span, result: bytes) -> bool:
    """Whether `result` is `raw`'s span with nothing lost, added or reordered."""
    told = lex(result, 0)
    if not told.closed or told.end != len(result):
        return False
    before = [token for token in span.tokens if token.kind != ","]
    after = [token for token in told.tokens if token.kind != ","]
    if len(after) < len(before) or not _covers(raw, span):
        return False
    closers = after[len(before) :]
    return all(token.kind in "}]" for token in closers) and all(
        _same(raw, old, result, new) for old, new in zip(before, after, strict=False)
    )


def _covers(raw: bytes, span: Span) -> bool:
    """Whether the tokens are the whole span but for white space."""
    at = span.start
    for token in span.tokens:
        if raw[at : token.start].strip(b" \t\n\r"):
            return False
        at = token.end
    return not raw[at : span.end].strip(b" \t\n\r")


def _same(raw: bytes, old: Token, result: bytes, new: Token) -> bool:
    was, now = raw[old.start : old.end], result[new.start : new.end]
    if was == now:
        return True
    if new.kind == "word":
        return old.kind == "word" and _SAME.get(was) == now
    return new.kind == "double" and old.kind in _QUOTE and _same_text(was, old, now)


def _same_text(was: bytes, old: Token, now: bytes) -> bool:
    width = _QUOTE[old.kind]
    left = _PIECE.findall(was[width:-width])
    right = _PIECE.findall(now[1:-1])
    return len(left) == len(right) and all(
        a == b or _spelt(a, b, old.kind) for a, b in zip(left, right, strict=True)
    )


def _spelt(was: bytes, now: bytes, kind: str) -> bool:
    if was < b" ":
        return now == _ESCAPED.get(was, b"\\u%04x" % was[0])
    if kind != "double" and was == b'"':
        return now == b'\\"'
    return kind == "single" and was == b"\\'" and now == b"'"
