"""Tokens of a text that is nearly JSON: where its one top-level value ends.

Every byte is looked at a bounded number of times: a string without an end stops the
scan, since nothing after it can be told from its content.
"""

import re
from typing import Final, NamedTuple

from structured.parse import MAX_DEPTH

MAX_TOKENS: Final = 16_000
"""Most tokens of a text that is repaired: Python takes a microsecond for each step."""

_DOUBLE: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SINGLE: Final = rb"'[^'\\]*+(?:\\.[^'\\]*+)*+'"
# Typographic quotes nest in prose, and mix with straight ones: a string that holds
# either kind has two readings, so it does not count as a string.
_SMART: Final = (
    rb"\xe2\x80\x9c(?:[^\"\\\xe2]|\\.|\xe2(?!\x80[\x9c\x9d]))*+\xe2\x80\x9d"
    rb"|\xe2\x80\x98(?:[^\"\\\xe2]|\\.|\xe2(?!\x80[\x98\x99]))*+\xe2\x80\x99"
)
_REST: Final = (
    rb"(?P<space>[ \t\n\r]++)|(?P<mark>[{}\[\]:,])|(?P<word>[^ \t\n\r{}\[\]:,\"]++)"
)
_STRICT: Final = re.compile(rb"(?P<double>" + _DOUBLE + rb")|" + _REST, re.DOTALL)
_OPEN: Final = re.compile(
    rb"(?P<double>"
    + _DOUBLE
    + rb")|(?P<single>"
    + _SINGLE
    + rb")|(?P<smart>"
    + _SMART
    + rb")|"
    + _REST,
    re.DOTALL,
)
_STARTS: Final = frozenset("{[,:")
"""Only after one of these can a quote other than `"` open a string: anywhere else it
is an apostrophe."""


class Token(NamedTuple):
    """`kind` is the mark itself, or `double`, `single`, `smart`, `word`."""

    kind: str
    start: int
    end: int


class Span(NamedTuple):
    """The tokens of one value: `closed` if its brackets balance, `fault` if it is cut.

    `end` is where the value ends, or the text if the value does not.
    """

    start: int
    end: int
    tokens: tuple[Token, ...]
    closed: bool
    fault: str = ""


def lex(raw: bytes, start: int) -> Span:
    """Read tokens from the opening bracket at `start` until it is closed."""
    tokens: list[Token] = []
    depth, at = 0, start
    while at < len(raw):
        token = _next(raw, at, tokens)
        if token is None:
            return Span(
                start,
                len(raw),
                tuple(tokens),
                closed=False,
                fault="a string has no end",
            )
        at = token.end
        if token.kind == "space":
            continue
        tokens.append(token)
        depth += (token.kind in "{[") - (token.kind in "}]")
        if depth == 0:
            return Span(start, at, tuple(tokens), closed=True)
        if depth > MAX_DEPTH or len(tokens) > MAX_TOKENS:
            fault = f"over {MAX_DEPTH} deep or over {MAX_TOKENS} tokens"
            return Span(start, len(raw), tuple(tokens), closed=False, fault=fault)
    return Span(start, at, tuple(tokens), closed=False)


def _next(raw: bytes, at: int, tokens: list[Token]) -> Token | None:
    may_open = bool(tokens) and tokens[-1].kind in _STARTS
    match = (_OPEN if may_open else _STRICT).match(raw, at)
    if match is None:
        return None
    kind = match.lastgroup or ""
    if kind == "word" and may_open and raw[at : at + 1] == b"'":
        return None
    if kind == "mark":
        kind = match.group().decode()
    return Token(kind, at, match.end())
