"""Whether a text that is still being written can become JSON that fits.

For streams that go out while they are written. It never says no to a beginning that
some valid text has; it says no as early as that is cheap to see: syntax, the type of a
value, a key that an object may not have or has already, a string that is no member of
its enum, more values or levels than are ever looked at. The whole text is checked again
at its end, so what slips through here costs time and nothing else.

It takes time in proportion to the text, in whatever pieces that comes: nothing is
looked at twice but a string at its end, and an escape that a piece has cut.
"""

import re
from typing import Final, cast

import jiter
import msgspec

from structured import pointer
from structured.closing import follow
from structured.parse import MAX_DEPTH, MAX_NODES
from structured.schema import Violation

_BLANK: Final = " \t\n\r"
_PLAIN: Final = r'[^"\\\x00-\x1f\ud800-\udfff]*+'
_INSIDE: Final = re.compile(
    rf'{_PLAIN}(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{{4}}){_PLAIN})*'
)
_CUT_ESCAPE: Final = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?")
_WORD: Final = re.compile(r"[-+.0-9A-Za-z]*+")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LITERALS: Final = ("true", "false", "null")
_KINDS: Final = {
    **dict.fromkeys("-0123456789", ("number", "integer")),
    '"': ("string",),
    "{": ("object",),
    "[": ("array",),
    "t": ("boolean",),
    "f": ("boolean",),
    "n": ("null",),
}
_EXPECTED: Final = {
    "value": "a value",
    "first": "a value or a closing bracket",
    "key": "a key in double quotes",
    "first key": "a key in double quotes or a closing bracket",
    "colon": "a colon",
    "after": "a comma or the closing bracket",
}
_MAX_PATH: Final = 300
"""Characters of a path; a schema may name its properties at any length."""


class _Open(msgspec.Struct):
    """An object or array that is not closed: its schema, its keys, and where it is."""

    closer: str
    schema: dict[str, object]
    keys: set[str] = msgspec.field(default_factory=set[str])
    step: str | int | None = None
    """The member that is being written; None between members, and below a key that is
    the output's own and not the schema's: what a model wrote is never quoted."""


class Viable:
    """Follows one text.

    Args:
        guide: the schema's `guide`; `true` for syntax alone.
    """

    def __init__(self, guide: object) -> None:
        self._guide = guide
        self._open: list[_Open] = []
        self._expects = "value"
        self._schema: dict[str, object] = follow(guide, guide)
        self._token: list[str] = []  # of the string or word that is being written
        self._is_key = False
        self._cut = ""  # what a piece has cut of an escape
        self._size = 0
        self._values = 0
        self._dead: Violation | None = None
        self.opened = False
        """Whether the root is an object or an array, and has begun."""
        self.closing: int | None = None
        """Where the root's closing bracket stands, once it is there."""

    def feed(self, text: str) -> Violation | None:
        """Take the next piece; what is wrong with the whole, or None so far."""
        text, self._cut = self._cut + text, ""
        at = 0
        while self._dead is None and at < len(text):
            if self._expects == "string":
                at = self._string(text, at)
            elif self._expects == "word":
                at = self._word(text, at)
            else:
                if text[at] not in _BLANK:
                    self._mark(text[at], at)
                at += 1
        self._size += len(text) - len(self._cut)
        return self._dead

    # ------------------------------------------------------------- between the scalars

    def _mark(self, letter: str, at: int) -> None:
        expects = self._expects
        if expects in ("value", "first") and letter != "]":
            self._begin(letter)
        elif letter == '"' and expects in ("key", "first key"):
            self._expects, self._token, self._is_key = "string", [], True
        elif letter == ":" and expects == "colon":
            self._expects = "value"
        elif letter == "," and expects == "after" and self._open:
            self._next()
        elif (
            self._open
            and letter == self._open[-1].closer
            and expects in ("after", "first", "first key", "closer")
        ):
            self._open.pop()
            self._expects = "after"
            if not self._open:
                self.closing = self._size + at
        elif expects == "closer":
            self._die("too_deep", f"nested deeper than {MAX_DEPTH}")
        else:
            over = expects == "after" and not self._open
            expected = "nothing more" if over else _EXPECTED[expects]
            self._die("syntax", f"{expected} was expected")

    def _begin(self, letter: str) -> None:
        self._values += 1
        kinds = _KINDS.get(letter)
        asked = self._schema.get("type")
        wanted = cast("list[str]", asked if isinstance(asked, list) else [asked])
        if kinds is None:
            self._die("syntax", "no JSON value begins like this")
        elif asked is not None and not set(kinds) & set(wanted):
            self._die("schema", f"{kinds[0]} where it must be {' or '.join(wanted)}")
        elif self._values > MAX_NODES:
            self._die("too_large", f"more than {MAX_NODES} values")
        elif letter in "{[":
            self._descend(letter)
        else:
            self._expects = "string" if letter == '"' else "word"
            self._token = [] if letter == '"' else [letter]
            self._is_key = False

    def _descend(self, letter: str) -> None:
        self.opened = True
        if letter == "{":
            self._open.append(_Open("}", self._schema))
            self._expects = "first key"
        else:
            self._open.append(_Open("]", self._schema, step=0))
            self._expects = "first"
            self._schema = self._items()
        if len(self._open) > MAX_DEPTH:
            # The parser does not go down into what is empty.
            self._expects = "closer"

    def _next(self) -> None:
        top = self._open[-1]
        if isinstance(top.step, int):
            top.step += 1
            self._expects, self._schema = "value", self._items()
        else:
            top.step = None
            self._expects = "key"

    def _items(self) -> dict[str, object]:
        """What an array's items must match, if all of them must match the same."""
        schema = self._open[-1].schema
        if "prefixItems" in schema:
            return {}
        return follow(self._guide, schema.get("items"))

    # --------------------------------------------------------------------- the scalars

    def _string(self, text: str, at: int) -> int:
        inside = _INSIDE.match(text, at)
        end = inside.end() if inside else at
        self._token.append(text[at:end])
        if end == len(text):
            return end
        if text[end] == '"':
            self._end_string()
        elif _CUT_ESCAPE.fullmatch(text, end):
            self._cut = text[end:]
            return len(text)
        elif text[end] == "\\":
            self._die("syntax", "an escape that JSON does not know")
        else:
            self._die("syntax", "a control character or half a character")
        return end + 1

    def _end_string(self) -> None:
        token = f'"{"".join(self._token)}"'
        try:
            value = cast("str", jiter.from_json(token.encode(), cache_mode="none"))
        except ValueError:  # half of a surrogate pair
            self._die("syntax", "a string that is no text")
            return
        if self._is_key:
            self._end_key(value)
            return
        allowed = self._schema.get("enum")
        if isinstance(allowed, list) and value not in cast("list[object]", allowed):
            self._die("schema", "a value that the schema does not list")
        self._expects = "after"

    def _end_key(self, key: str) -> None:
        top = self._open[-1]
        given = top.schema.get("properties")
        properties = cast("dict[str, object]", given) if given else {}
        if key in top.keys:
            self._die("duplicate_key", "an object names a key twice")
        elif key in properties:
            top.step = key
        elif top.schema.get("additionalProperties") is False and not top.schema.get(
            "patternProperties"
        ):
            self._die("schema", "a key that the schema forbids")
        top.keys.add(key)
        self._schema = follow(self._guide, properties.get(key))
        self._expects = "colon"

    def _word(self, text: str, at: int) -> int:
        match = _WORD.match(text, at)
        end = match.end() if match else at
        self._token.append(text[at:end])
        if end < len(text):
            word = "".join(self._token)
            if word not in _LITERALS and not _NUMBER.fullmatch(word):
                self._die("syntax", "a word that is no JSON value")
            self._expects = "after"
        elif self._token[0].isalpha():
            # no longer than a literal, or it is given up here
            word = "".join(self._token)
            if not any(literal.startswith(word) for literal in _LITERALS):
                self._die("syntax", "a word that is no JSON value")
        return end

    def _die(self, code: str, message: str) -> None:
        """Give the text up, because of what has come at the present place."""
        steps: list[str | int] = []
        for each in self._open:
            if each.step is None:
                break
            steps.append(each.step)
        else:
            if self._expects == "after" and steps:
                steps.pop()  # the last member is whole; what follows it is not
        self._dead = Violation(pointer.join(steps)[:_MAX_PATH], code, message)
