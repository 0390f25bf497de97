"""S5: the few values that a schema reads in one way only, though their type is off.

A white list: a number's own digits in quotes, or out of them; one cited id for a list
of one; an id with white space or brackets around it; the case of a status that claims
less than `ok`. Nothing is filled in, and nothing is dropped unless a surface asks for
that. The edits are of bytes, at the places that break the schema, so that everything
else stays the model's own text.
"""

import re
from itertools import accumulate
from typing import Final, NamedTuple, cast

from structured.closing import follow
from structured.lexer import Span, Token, lex
from structured.parse import parse
from structured.preserve import coerced
from structured.repair import Edit, apply

_NUMBER: Final = re.compile(rb'"-?+(?:0|[1-9]\d*+)(?:\.\d++)?+(?:[eE][+-]?+\d++)?+"')
_INTEGER: Final = re.compile(rb'"-?+(?:0|[1-9]\d*+)"')
_DIGITS: Final = frozenset(b"-0123456789")
_BRACKETED: Final = re.compile(r"\s*+\[([^\[\]]++)\]\s*+")


class Coerced(NamedTuple):
    """The text that came of it; `changes` are (kind, number of the token).

    Commas do not count as tokens; `origins` says where each of the others stood.
    """

    text: bytes
    changes: tuple[tuple[str, int], ...]
    origins: tuple[int, ...]


class _Change(NamedTuple):
    edit: Edit
    token: int


def coerce(
    raw: bytes,
    document: object,
    *,
    context_ids: frozenset[str] | None,
    drop_extra: bool,
) -> Coerced | None:
    """Change what the white list allows to; None if that is nothing.

    Args:
        raw: strict JSON that does not fit its schema.
        document: the schema as a guide.
        context_ids: what may be cited, if that is known.
        drop_extra: whether members that the schema forbids may go.
    """
    span = lex(raw, len(raw) - len(raw.lstrip()))
    if not span.closed:  # a scalar, or more tokens than are looked at
        return None
    walk = _Walk(raw, span.tokens, document, context_ids, drop_extra=drop_extra)
    walk.value(0, document, ())
    found = sorted(walk.found, key=lambda one: one.edit.start)
    whole = Span(0, len(raw), span.tokens, closed=True)
    text = apply(raw, whole, tuple(one.edit for one in found))
    commas = tuple(accumulate(token.kind == "," for token in span.tokens))
    changes = tuple(
        (kind, one.token - commas[one.token])
        for one in found
        for kind in one.edit.kinds
    )
    dropped = any(kind == "extra_key" for kind, _ in changes)
    if not changes or not coerced(raw, text, dropped=dropped):
        return None
    return Coerced(text, changes, span.origins)


class _Walk:
    """Goes through tokens and schema side by side; `value` returns the next index."""

    def __init__(
        self,
        raw: bytes,
        tokens: tuple[Token, ...],
        document: object,
        context_ids: frozenset[str] | None,
        *,
        drop_extra: bool,
    ) -> None:
        self.raw = raw
        self.tokens = tokens
        self.document = document
        self.ids = context_ids
        self.drop_extra = drop_extra
        self.found: list[_Change] = []

    def value(self, at: int, node: object, path: tuple[str, ...]) -> int:
        schema = follow(self.document, node)
        kind = self.tokens[at].kind
        if kind == "{":
            return self._object(at, schema, path)
        if kind == "[":
            return self._array(at, schema, path)
        if kind == "word":
            self._word(at, schema, path)
        else:
            self._string(at, schema, path)
        return at + 1

    def _object(self, at: int, schema: dict[str, object], path: tuple[str, ...]) -> int:
        given = schema.get("properties")
        properties = cast("dict[str, object]", given) if isinstance(given, dict) else {}
        closed = (
            self.drop_extra
            and schema.get("additionalProperties") is False
            and not schema.get("patternProperties")
        )
        members: list[tuple[int, int, bool]] = []
        at += 1
        while self.tokens[at].kind != "}":
            at += self.tokens[at].kind == ","
            key = str(self._text(at))
            known = len(self.found)
            after = self.value(at + 2, properties.get(key), (*path, key))
            extra = closed and key not in properties
            if extra:
                del self.found[known:]
            members.append((at, after, extra))
            at = after
        self._drop(members)
        return at + 1

    def _drop(self, members: list[tuple[int, int, bool]]) -> None:
        """Take out the extra members, each with the comma that it leaves over."""
        kept = False
        for first, after, extra in members:
            comma = self.tokens[first - 1]
            if extra or not kept:
                if comma.kind == ",":
                    self._edit(first, comma.start, comma.end, b"")
                if extra:
                    start, end = self.tokens[first].start, self.tokens[after - 1].end
                    self._edit(first, start, end, b"", "extra_key")
            kept = kept or not extra

    def _array(self, at: int, schema: dict[str, object], path: tuple[str, ...]) -> int:
        # with prefixItems, `items` is not what the first ones must match
        items = None if "prefixItems" in schema else schema.get("items")
        at += 1
        while self.tokens[at].kind != "]":
            at += self.tokens[at].kind == ","
            at = self.value(at, items, (*path, "*"))
        return at + 1

    def _word(self, at: int, schema: dict[str, object], path: tuple[str, ...]) -> None:
        token = self.tokens[at]
        word = self.raw[token.start : token.end]
        cited = path == ("citations", "*") and self.ids is not None
        if (
            schema.get("type") == "string"
            and word[0] in _DIGITS
            and (not cited or word.decode() in (self.ids or ()))
        ):
            self._replace(at, b'"' + word + b'"', "number_text")

    def _string(
        self, at: int, schema: dict[str, object], path: tuple[str, ...]
    ) -> None:
        token = self.tokens[at]
        quoted = self.raw[token.start : token.end]
        kind = schema.get("type")
        if (kind == "number" and _NUMBER.fullmatch(quoted)) or (
            kind == "integer" and _INTEGER.fullmatch(quoted)
        ):
            self._replace(at, quoted[1:-1], "text_number")
        elif path == ("status",):
            self._status(at, schema)
        elif path == ("citations", "*"):
            self._citation(at)
        elif (
            path == ("citations",)
            and kind == "array"
            # where the context is not known, nothing says that this is one id
            and self._text(at) in (self.ids or ())
        ):
            self._replace(at, b"[" + quoted + b"]", "one_to_list")

    def _status(self, at: int, schema: dict[str, object]) -> None:
        """Fold the case of a status, but never into an `ok`."""
        allowed = schema.get("enum")
        text = self._text(at)
        if not isinstance(allowed, list) or not isinstance(text, str):
            return
        folded = text.lower()
        listed = cast("list[object]", allowed)
        if text not in listed and folded in listed and folded != "ok":
            self._replace(at, b'"' + folded.encode() + b'"', "status_case")

    def _citation(self, at: int) -> None:
        """Take white space or brackets off an id, where only so it is one."""
        text = self._text(at)
        if self.ids is None or not isinstance(text, str) or text in self.ids:
            return
        kind, bare = "trimmed_id", text.strip()
        if bare not in self.ids and (bracketed := _BRACKETED.fullmatch(text)):
            kind, bare = "bracketed_id", bracketed[1]
        token = self.tokens[at]
        body = self.raw[token.start + 1 : token.end - 1]
        # only where the id is spelt out: taking off is all that is done to it
        if bare in self.ids and body.count(bare.encode()) == 1:
            self._replace(at, b'"' + bare.encode() + b'"', kind)

    def _text(self, at: int) -> object:
        token = self.tokens[at]
        return parse(self.raw[token.start : token.end])

    def _replace(self, at: int, text: bytes, kind: str) -> None:
        token = self.tokens[at]
        self._edit(at, token.start, token.end, text, kind)

    def _edit(self, at: int, start: int, end: int, text: bytes, *kinds: str) -> None:
        self.found.append(_Change(Edit(start, end, text, kinds), at))
