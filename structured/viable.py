"""Whether a text that is still being written can become JSON that fits.

For streams that go out while they are written. It never says no to a beginning that
some valid text has; it says no as early as that is cheap to see: syntax, the type of a
value, a key that an object may not have or has already, a string that is no member of
its enum. The whole text is checked again at its end, so what slips through here costs
time and nothing else.
"""

import re
from typing import Final, NamedTuple, cast

import jiter

from structured.closing import follow
from structured.parse import MAX_DEPTH
from structured.schema import Violation

_BLANK: Final = " \t\n\r"
_PLAIN: Final = re.compile(r'[^"\\\x00-\x1f\ud800-\udfff]*+')
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
_HEX: Final = frozenset("0123456789abcdefABCDEF")


class _Open(NamedTuple):
    """An object or array that is not closed: its schema, and the keys it has."""

    closer: str
    schema: dict[str, object]
    keys: set[object]


class Viable:
    """Follows one text; `closing` is where its root's closing bracket stands.

    Args:
        guide: the schema's `guide`; `true` for syntax alone.
    """

    def __init__(self, guide: object) -> None:
        self._guide = guide
        self._open: list[_Open] = []
        self._expects = "value"
        self._schema: dict[str, object] = follow(guide, guide)
        self._token = ""  # of the string or word that is being written
        self._is_key = False
        self._escape = ""
        self._size = 0
        self.closing: int | None = None
        self._dead: Violation | None = None

    def feed(self, text: str) -> Violation | None:
        """Take the next piece; what is wrong with the whole, or None so far."""
        at = 0
        while self._dead is None and at < len(text):
            at = self._step(text, at)
        self._size += len(text)
        return self._dead

    def _step(self, text: str, at: int) -> int:
        if self._expects == "string":
            return self._string(text, at)
        if self._expects == "word":
            return self._word(text, at)
        letter = text[at]
        if letter not in _BLANK:
            self._mark(letter, at)
        return at + 1

    # ------------------------------------------------------------- between the scalars

    def _mark(self, letter: str, at: int) -> None:
        expects = self._expects
        if expects in ("value", "first") and letter != "]":
            self._begin(letter)
        elif letter == '"' and expects in ("key", "first key"):
            self._expects, self._token, self._is_key = "string", letter, True
        elif letter == ":" and expects == "colon":
            self._expects = "value"
        elif letter == "," and expects == "after" and self._open:
            top = self._open[-1]
            self._expects = "key" if top.closer == "}" else "value"
            self._schema = self._below("items")
        elif (
            self._open
            and letter == self._open[-1].closer
            and expects in ("after", "first", "first key")
        ):
            self._open.pop()
            self._expects = "after"
            if not self._open:
                self.closing = self._size + at
        else:
            self._die("syntax", f"{letter!r} cannot stand here")

    def _begin(self, letter: str) -> None:
        kinds = _KINDS.get(letter)
        if kinds is None:
            self._die("syntax", "no JSON value begins like this")
            return
        asked = self._schema.get("type")
        listed = cast("list[object]", asked) if isinstance(asked, list) else [asked]
        if asked is not None and not set(kinds) & set(listed):
            self._die("schema", f"{kinds[0]} where the schema wants {asked}")
        elif letter in "{[":
            self._descend(letter)
        else:
            self._expects = "string" if letter == '"' else "word"
            self._token, self._is_key = letter, False

    def _descend(self, letter: str) -> None:
        if len(self._open) == MAX_DEPTH:
            self._die("too_deep", f"nested deeper than {MAX_DEPTH}")
            return
        self._open.append(_Open("}" if letter == "{" else "]", self._schema, set()))
        self._expects = "first key" if letter == "{" else "first"
        self._schema = self._below("items")

    def _below(self, keyword: str) -> dict[str, object]:
        """What an array's items must match, if all of them must match the same."""
        schema = self._open[-1].schema
        if self._open[-1].closer == "}" or "prefixItems" in schema:
            return {}
        return follow(self._guide, schema.get(keyword))

    # --------------------------------------------------------------------- the scalars

    def _string(self, text: str, at: int) -> int:
        if self._escape:
            return self._escaped(text[at], at)
        match = _PLAIN.match(text, at)
        end = match.end() if match else at
        self._token += text[at:end]
        if end < len(text):
            self._token += text[end]
            if text[end] == '"':
                self._end_string()
            elif text[end] == "\\":
                self._escape = "\\"
            else:
                self._die("syntax", "a control character or half a character")
            end += 1
        return end

    def _escaped(self, letter: str, at: int) -> int:
        self._token += letter
        self._escape += letter
        whole = len(self._escape)
        known = (
            letter in '"\\/bfnrtu' if whole == 2 else letter in _HEX  # noqa: PLR2004 -- backslash and letter
        )
        if not known:
            self._die("syntax", "an escape that JSON does not know")
        if self._escape[1] != "u" or whole == len("\\u0000"):
            self._escape = ""
        return at + 1

    def _end_string(self) -> None:
        try:
            value = cast("object", jiter.from_json(self._token.encode()))
        except ValueError:  # half of a surrogate pair
            self._die("syntax", "a string that is no text")
            return
        if self._is_key:
            self._end_key(value)
            return
        self._expects = "after"
        allowed = self._schema.get("enum")
        if isinstance(allowed, list) and value not in cast("list[object]", allowed):
            self._die("schema", "a value that the schema does not list")

    def _end_key(self, key: object) -> None:
        top = self._open[-1]
        given = top.schema.get("properties")
        properties = cast("dict[object, object]", given) if given else {}
        if key in top.keys:
            self._die("duplicate_key", "an object names a key twice")
        elif (
            key not in properties
            and top.schema.get("additionalProperties") is False
            and not top.schema.get("patternProperties")
        ):
            self._die("schema", "a key that the schema forbids")
        top.keys.add(key)
        self._schema = follow(self._guide, properties.get(key))
        self._expects = "colon"

    def _word(self, text: str, at: int) -> int:
        match = _WORD.match(text, at)
        end = match.end() if match else at
        self._token += text[at:end]
        if end < len(text):
            word = self._token
            if word not in _LITERALS and not _NUMBER.fullmatch(word):
                self._die("syntax", "a word that is no JSON value")
            self._expects = "after"
        elif self._token[0].isalpha() and not any(
            word.startswith(self._token) for word in _LITERALS
        ):
            self._die("syntax", "a word that is no JSON value")
        return end

    def _die(self, code: str, message: str) -> None:
        self._dead = self._dead or Violation("", code, message)
