"""Schemas with instances of them, and the ways in which a model breaks a text."""

import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from hypothesis import strategies as st

from structured.lexer import Token, lex
from structured.schema import Schema, compile_schema

TEXT: Final = st.text(
    st.sampled_from("ab Z0'\"\\/{}[]:,`“”‘’é\n\t\r\x01\x7f😀-\u2028")  # noqa: RUF001 (typographic quotes are the subject)
    | st.characters(exclude_categories=["Cs"]),
    max_size=12,
)
IDS: Final = ("S1", "S2", "S3", "it's", 'a"b')

CITING: Final = {
    "type": "object",
    "properties": {
        "status": {"enum": ["ok", "uncertain", "refused"]},
        "answer": {"type": "string"},
        "citations": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["status", "answer", "citations"],
    "additionalProperties": False,
}
# No property is required and extra ones are allowed: nothing but the text itself can
# tell whether a part is missing. This is where a careless repair is silently wrong.
_LOOSE: Final = {"type": "object"}
_LIST: Final = {"type": "array"}
_ANY: Final = True
_FULL: Final = {
    "type": "object",
    "properties": {
        "n": {"type": "number"},
        "pair": {"type": "array", "maxItems": 2, "items": {"$ref": "#/$defs/leaf"}},
        "deep": {"$ref": "#/$defs/leaf"},
    },
    "additionalProperties": False,
    "$defs": {
        "leaf": {
            "type": "object",
            "properties": {"t": {"type": "string"}, "b": {"type": "boolean"}},
            "additionalProperties": False,
        }
    },
}

_SCALAR: Final = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
_VALUE: Final = st.recursive(
    _SCALAR,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)
    ),
    max_leaves=8,
)
_LEAF: Final = st.fixed_dictionaries({}, optional={"t": TEXT, "b": st.booleans()})


class Case(NamedTuple):
    """A valid text of a schema, and the value that it has."""

    schema: Schema
    text: str
    value: object


def _compiled(document: object) -> Schema:
    return compile_schema(json.dumps(document).encode(), name="case")


_PAIRS: Final[tuple[tuple[Schema, st.SearchStrategy[Any]], ...]] = (
    (
        _compiled(CITING),
        st.fixed_dictionaries(
            {
                "status": st.sampled_from(["ok", "uncertain", "refused"]),
                "answer": TEXT,
                "citations": st.lists(st.sampled_from(IDS), unique=True),
            }
        ),
    ),
    (_compiled(_LOOSE), st.dictionaries(TEXT, _VALUE, max_size=4)),
    (_compiled(_LIST), st.lists(_VALUE, max_size=4)),
    (_compiled(_ANY), _VALUE),
    (
        _compiled(_FULL),
        st.fixed_dictionaries(
            {},
            optional={
                "n": st.integers() | st.floats(allow_nan=False, allow_infinity=False),
                "pair": st.lists(_LEAF, max_size=2),
                "deep": _LEAF,
            },
        ),
    ),
)


@st.composite
def cases(draw: st.DrawFn, *, citing: bool = False) -> Case:
    """Draw a schema (the one that cites, if asked), an instance, and its spelling."""
    schema, values = _PAIRS[0] if citing else draw(st.sampled_from(_PAIRS))
    value = draw(values)
    text = json.dumps(
        value,
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, None, 1])),
        separators=draw(st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")])),
    )
    return Case(schema, text, value)


def _tokens(raw: bytes) -> tuple[Token, ...]:
    return lex(raw, 0).tokens if raw[:1] in (b"{", b"[") else ()


def _cut(raw: bytes, token: Token, text: bytes) -> bytes:
    return raw[: token.start] + text + raw[token.end :]


def _respell(raw: bytes, kind: str, change: Callable[[bytes], bytes]) -> bytes:
    for token in reversed(_tokens(raw)):
        if token.kind == kind:
            raw = _cut(raw, token, change(raw[token.start : token.end]))
    return raw


def _single(word: bytes) -> bytes:
    body = word[1:-1].replace(b'\\"', b'"').replace(b"'", b"\\'")
    return b"'" + body + b"'"


def _one(raw: bytes, at: int, kinds: str, text: bytes) -> bytes:
    found = [token for token in _tokens(raw) if token.kind in kinds.split()]
    return _cut(raw, found[at % len(found)], text) if found else raw


def _literals(word: bytes) -> bytes:
    return {b"true": b"True", b"false": b"False", b"null": b"None"}.get(word, word)


def _repeat_key(raw: bytes, at: int) -> bytes:
    return raw[:-1] + b"," + raw[1:] if raw[:1] == b"{" else raw


Corruption = Callable[[bytes, int], bytes]

ONE_READING: Final[dict[str, Corruption]] = {
    "fence": lambda raw, at: b"```json\n" + raw + b"\n```",
    "prose": lambda raw, at: b"Here it is:\n" + raw + b"\nSee [S1] and {name}.",
    "repeated": lambda raw, at: raw + b"\n" + raw,
    "bom": lambda raw, at: b"\xef\xbb\xbf" + raw,
    "trailing comma": lambda raw, at: raw[:-1] + b"," + raw[-1:],
}
"""Nothing is lost and one value can be meant: an object comes back exactly."""

CORRUPTIONS: Final[dict[str, Corruption]] = {
    **ONE_READING,
    "missing comma": lambda raw, at: _one(raw, at, ",", b" "),
    "missing comma, no space": lambda raw, at: _one(raw, at, ",", b""),
    "comma inside": lambda raw, at: _one(raw, at, "} ]", b",]"),
    "double comma": lambda raw, at: _one(raw, at, ",", b",,"),
    "single quotes": lambda raw, at: _respell(raw, "double", _single),
    "single quotes, not escaped": lambda raw, at: raw.replace(b'"', b"'"),
    "one single quote": lambda raw, at: raw.replace(b'"', b"'", at % 4),
    "smart quotes": lambda raw, at: _respell(
        raw, "double", lambda word: "“".encode() + word[1:-1] + "”".encode()
    ),
    "one smart quote": lambda raw, at: raw.replace(b'"', "“".encode(), at % 4),
    "python literals": lambda raw, at: _respell(raw, "word", _literals),
    "raw newlines": lambda raw, at: _respell(
        raw, "double", lambda word: word.replace(b"\\n", b"\n").replace(b"\\t", b"\t")
    ),
    "unescaped quote": lambda raw, at: raw.replace(b'\\"', b'"'),
    "lost quote": lambda raw, at: _one(raw, at, "double", b'"lost'),
    "comment": lambda raw, at: _one(raw, at, ",", b", // why\n"),
    "missing closers": lambda raw, at: raw.rstrip(b"]} \n")[: len(raw) - 1],
    "lost closer": lambda raw, at: _one(raw, at, "} ]", b""),
    "extra closer": lambda raw, at: _one(raw, at, "} ]", b"}}"),
    "swapped brackets": lambda raw, at: _one(raw, at, "} ]", b"]"),
    "swapped opener": lambda raw, at: _one(raw, at, "{ [", b"["),
    "lost colon": lambda raw, at: _one(raw, at, ":", b" "),
    "cut": lambda raw, at: raw[: at % max(len(raw), 1)],
    "lost head": lambda raw, at: raw[at % max(len(raw), 1) :],
    "torn": lambda raw, at: raw + b"\n" + raw[: at % max(len(raw), 1)],
    "wrapped": lambda raw, at: b"[" + raw + b", 1]" + b"]",
    "duplicate keys": _repeat_key,
    "number forms": lambda raw, at: _one(
        raw, at, "word", (b"01", b"+1", b".5", b"1.", b"NaN", b"1e999", b"0x1")[at % 7]
    ),
    "nul": lambda raw, at: raw.replace(b" ", b"\x00"),
    "latin-1": lambda raw, at: raw.replace("é".encode(), b"\xe9"),
}

LOSES_QUOTES: Final = frozenset({"single quotes, not escaped", "one single quote"})
"""Turns a `"` inside a string into a quote of the other kind: the text that results is
the right spelling of another value, so it can be flagged but not recognised."""
