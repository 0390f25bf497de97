"""S4: the few edits of syntax that have one reading.

The repairer walks the tokens as a state machine and lists edits; a token that is not
expected ends it. It edits bytes and never builds a value, so what is not edited is
the model's own text. What it may do is in the ADR on structured output.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from structured.errors import RepairError
from structured.lexer import Span, Token

_NUMBER: Final = re.compile(rb"-?+(?:0|[1-9]\d*+)(?:\.\d++)?+(?:[eE][+-]?+\d++)?+")
_LITERALS: Final = frozenset({b"true", b"false", b"null"})
_PYTHON: Final = {b"True": b"true", b"False": b"false", b"None": b"null"}
_CONTROL: Final = re.compile(rb"[\x00-\x1f]")
_CONTROLS: Final = frozenset(range(32))
_SHORT: Final = {8: b"\\b", 9: b"\\t", 10: b"\\n", 12: b"\\f", 13: b"\\r"}
_STRINGS: Final = frozenset({"double", "single", "smart"})
_WIDTH: Final = {"double": 1, "single": 1, "smart": 3}
_ESCAPE: Final = re.compile(rb"(\\.?)", re.DOTALL)
# `\/` is "/" in JSON and backslash-slash in Python: two readings, so it is missing.
_KNOWN_ESCAPES: Final = {
    kind: frozenset(b"\\%c" % letter for letter in letters)
    for kind, letters in (
        ("double", b'"\\/bfnrtu'),
        ("single", b"\"\\bfnrtu'"),
        ("smart", b'"\\/bfnrtu'),
    )
}
_CLOSES: Final = {"}": "{", "]": "["}


class Edit(NamedTuple):
    """Replace `raw[start:end]` by `text`; `kinds` name why."""

    start: int
    end: int
    text: bytes
    kinds: tuple[str, ...]


def edits(raw: bytes, span: Span) -> tuple[tuple[Edit, ...], str]:
    """Return the edits that make a span strict, and the brackets left open.

    Raises RepairError at the first token that no rule covers.
    """
    machine = _Machine(raw)
    for token in span.tokens:
        machine.take(token)
    if machine.stack and machine.state != "after":
        raise RepairError(span.end, "the text breaks off inside a member")
    return tuple(machine.edits), "".join(machine.stack)


def apply(raw: bytes, span: Span, changes: tuple[Edit, ...]) -> bytes:
    """Return the span's bytes with the edits made."""
    out: list[bytes] = []
    at = span.start
    for edit in changes:
        out += (raw[at : edit.start], edit.text)
        at = edit.end
    return b"".join((*out, raw[at : span.end]))


class _Machine:
    """Where a strict text could go on, and which edit lets this one go on.

    States: `value` (one must follow), `first` (after an opening bracket), `after` (a
    value ended), `comma` (after a comma), `colon` (after a key).
    """

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.state = "value"
        self.stack: list[str] = []
        self.edits: list[Edit] = []
        self.last: Token | None = None
        self._marks: dict[str, Callable[[Token], None]] = {
            "}": self._close,
            "]": self._close,
            ",": self._comma,
            ":": self._colon,
        }

    def take(self, token: Token) -> None:
        """Go one token on; raises RepairError where no rule covers it."""
        self._marks.get(token.kind, self._item)(token)
        self.last = token

    def _close(self, token: Token) -> None:
        if not self.stack or self.stack[-1] != _CLOSES[token.kind]:
            raise RepairError(token.start, f"{token.kind!r} closes nothing")
        if self.state == "comma" and self.last is not None:
            self._edit(self.last, b"", "trailing_comma")
        elif self.state not in ("first", "after"):
            raise RepairError(token.start, "a value is missing")
        self.stack.pop()
        self.state = "after"

    def _comma(self, token: Token) -> None:
        if self.state != "after":
            raise RepairError(token.start, "a comma without a value before it")
        self.state = "comma"

    def _colon(self, token: Token) -> None:
        if self.state != "colon":
            raise RepairError(token.start, "a colon without a key before it")
        self.state = "value"

    def _item(self, token: Token) -> None:
        if self.state == "colon":
            raise RepairError(token.start, "a key without a colon after it")
        if self.state == "after":
            self._join(token)
        in_object = bool(self.stack) and self.stack[-1] == "{"
        if in_object and self.state != "value":
            self._key(token)
        else:
            self._value(token)

    def _join(self, token: Token) -> None:
        """Put in a comma where two neighbours cannot be one value cut in two."""
        last = self.last
        if last is None or {last.kind, token.kind} & {"single", "smart"}:
            raise RepairError(token.start, "text after the end of a string")
        if last.kind == token.kind == "word":
            raise RepairError(token.start, "two words side by side")
        if last.end == token.start and last.kind == token.kind == "double":
            raise RepairError(token.start, "text after the end of a string")
        self.edits.append(Edit(last.end, last.end, b",", ("missing_comma",)))

    def _key(self, token: Token) -> None:
        if token.kind not in _STRINGS:
            raise RepairError(token.start, "a key must be a string in quotes")
        self._string(token)
        self.state = "colon"

    def _value(self, token: Token) -> None:
        if token.kind in ("{", "["):
            self.stack.append(token.kind)
            self.state = "first"
            return
        if token.kind == "word":
            self._word(token)
        else:
            self._string(token)
        self.state = "after"

    def _word(self, token: Token) -> None:
        word = self.raw[token.start : token.end]
        if word in _PYTHON:
            self._edit(token, _PYTHON[word], "python_literal")
        elif word not in _LITERALS and not _NUMBER.fullmatch(word):
            raise RepairError(token.start, "a word that is no JSON value")

    def _string(self, token: Token) -> None:
        width = _WIDTH[token.kind]
        body = self.raw[token.start + width : token.end - width]
        kinds = () if token.kind == "double" else (f"{token.kind}_quotes",)
        if _CONTROL.search(body):
            kinds += ("control_character",)
        if kinds:
            self._edit(token, b'"' + _escape(body, token) + b'"', *kinds)

    def _edit(self, token: Token, text: bytes, *kinds: str) -> None:
        self.edits.append(Edit(token.start, token.end, text, kinds))


def _escape(body: bytes, token: Token) -> bytes:
    """Write a string's content as JSON; raises RepairError on a foreign escape."""
    pieces: list[bytes] = _ESCAPE.split(body)  # text, escape, text, …
    if not _KNOWN_ESCAPES[token.kind].issuperset(pieces[1::2]):
        raise RepairError(token.start, "an escape that JSON does not know")
    if token.kind == "single":
        pieces[1::2] = [b"'" if one == b"\\'" else one for one in pieces[1::2]]
    if token.kind != "double":
        pieces[::2] = [one.replace(b'"', b'\\"') for one in pieces[::2]]
    body = b"".join(pieces)
    for code in _CONTROLS.intersection(body):
        body = body.replace(bytes((code,)), _SHORT.get(code, b"\\u%04x" % code))
    return body
