"""Tokens of a text that is nearly JSON: where its one top-level value ends.

Every byte is looked at a bounded number of times: a string without an end stops the
scan, since nothing after it can be told from its content.
"""

import re
from typing import Final, NamedTuple

from structured.parse import MAX_DEPTH

MAX_TOKENS: Final = 16_000
"""Most tokens of a text that is repaired: Python takes a microsecond for each step."""

_DOUBLE: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_SINGLE: Final = re.compile(rb"'[^'\\]*+(?:\\.[^'\\]*+)*+'", re.DOTALL)
# Typographic quotes nest in prose, and mix with straight ones: a string that holds
# either kind has two readings, so it does not count as a string.
_SMART: Final = re.compile(
    rb"\xe2\x80\x9c(?:[^\"\\\xe2]|\\.|\xe2(?!\x80[\x9c\x9d]))*+\xe2\x80\x9d"
    rb"|\xe2\x80\x98(?:[^\"\\\xe2]|\\.|\xe2(?!\x80[\x98\x99]))*+\xe2\x80\x99",
    re.DOTALL,
)
_WORD: Final = re.compile(rb"[^ \t\n\r{}\[\]:,\"]++")
_SPACES: Final = frozenset(b" \t\n\r")
_MARKS: Final = {mark: chr(mark) for mark in b"{}[]:,"}
_STEP: Final = {"{": 1, "[": 1, "}": -1, "]": -1}
_QUOTE: Final = ord('"')
_APOSTROPHE: Final = ord("'")
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

    @property
    def origins(self) -> tuple[int, ...]:
        """Where each token but the commas starts: no repair changes their order."""
        return tuple(token.start for token in self.tokens if token.kind != ",")


def lex(raw: bytes, start: int) -> Span:
    """Read tokens from the opening bracket at `start` until it is closed."""
    tokens: list[Token] = []
    depth, at, size = 0, start, len(raw)
    while at < size:
        byte = raw[at]
        if byte in _SPACES:
            at += 1
            continue
        kind = _MARKS.get(byte)
        if kind is None:
            token = _scalar(raw, at, tokens)
            if token is None:
                fault = "a string has no end"
                return Span(start, size, tuple(tokens), closed=False, fault=fault)
        else:
            token = Token(kind, at, at + 1)
            depth += _STEP.get(kind, 0)
        tokens.append(token)
        at = token.end
        if depth == 0:
            return Span(start, at, tuple(tokens), closed=True)
        if depth > MAX_DEPTH or len(tokens) > MAX_TOKENS:
            fault = f"over {MAX_DEPTH} deep or over {MAX_TOKENS} tokens"
            return Span(start, size, tuple(tokens), closed=False, fault=fault)
    return Span(start, at, tuple(tokens), closed=False)


def _scalar(raw: bytes, at: int, tokens: list[Token]) -> Token | None:
    """Read the string or word at `at`; None if it is a string without an end."""
    if raw[at] == _QUOTE:
        kind, match = "double", _DOUBLE.match(raw, at)
        return Token(kind, at, match.end()) if match else None
    if tokens and tokens[-1].kind in _STARTS:
        for kind, pattern in (("single", _SINGLE), ("smart", _SMART)):
            match = pattern.match(raw, at)
            if match:
                return Token(kind, at, match.end())
        if raw[at] == _APOSTROPHE:
            return None
    match = _WORD.match(raw, at)
    return Token("word", at, match.end()) if match else None
