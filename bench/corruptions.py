"""Schemas, instances, and the ways in which a model breaks a text: all by one seed.

Each corruption is made from the tokens of a valid text, so that it is known what was
broken and what the original said. A class has `one_reading` when nothing of the text's
content is lost and nothing else can be meant: there a repairer should be exact.
"""

import json
import random  # noqa: TID251 -- nothing is bucketed here
import string
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Final, NamedTuple

from structured.lexer import Token, lex
from structured.schema import Schema, compile_schema

IDS: Final = ("S1", "S2", "doc-7", "kb/12", "[x]")
CONTEXT: Final = frozenset(IDS)
_WORDS: Final = (
    *("the", "kettle", "holds", "1.7", "litres", "isn't", "a", "“quoted”", "word"),
    *(
        '"New',
        'York,"',
        "{braces}",
        "[brackets]",
        "key:",
        "value,",
        "C:\\temp",
        "naïve",
    ),
    *(
        "日本",
        "😀",
        "line\nbreak",
        "tab\there",
        "`code`",
        "//",
        "#1",
        "50%",
        "it's",
        "True",
    ),
)


class Instance(NamedTuple):
    """A valid text, what it says, and the schema that it fits."""

    schema: Schema
    value: Any
    text: bytes


class Case(NamedTuple):
    """One broken text."""

    kind: str
    raw: bytes
    finish_reason: str
    original: Instance


def instances(seed: int, count: int) -> list[Instance]:
    """Make `count` schemas, each with an instance."""
    draw = random.Random(seed)  # noqa: S311 -- reproducible, not secret
    return [_instance(draw, number) for number in range(count)]


def _instance(draw: random.Random, number: int) -> Instance:
    document, value = _assist(draw) if number % 3 == 0 else _object(draw, 3)
    schema = compile_schema(json.dumps(document).encode(), name=f"s{number}")
    separators = draw.choice([(",", ":"), (", ", ": "), (" , ", " : ")])
    text = json.dumps(
        value,
        ensure_ascii=_seldom(draw),
        indent=draw.choice([None, None, 2]),
        separators=separators,
    )
    if schema.errors(value) is not None:
        raise AssertionError(f"the generator made an invalid instance: {text}")
    return Instance(schema, value, text.encode())


def _assist(draw: random.Random) -> tuple[dict[str, Any], Any]:
    document: dict[str, Any] = {
        "type": "object",
        "properties": {
            "status": {"enum": ["ok", "uncertain", "refused"]},
            "answer": {"type": "string"},
            "citations": {"type": "array", "items": {"type": "string"}},
            "price": {"type": "number"},
        },
        "required": draw.sample(["status", "answer", "citations"], draw.randint(0, 3)),
        "additionalProperties": _seldom(draw),
    }
    value = {
        "status": draw.choice(["ok", "uncertain", "refused"]),
        "answer": _text(draw, draw.choice([3, 12, 60])),
        "citations": draw.sample(IDS, draw.randint(0, 3)),
        "price": draw.choice([1, 12.5, -3, 1e-7]),
    }
    kept = [k for k in value if k in document["required"] or not _seldom(draw)]
    return document, {key: value[key] for key in kept or ["status"]}


def _object(draw: random.Random, depth: int) -> tuple[dict[str, Any], Any]:
    names = [_name(draw) for _ in range(draw.randint(1, 4))]
    parts = {name: _any(draw, depth - 1) for name in names}
    document: dict[str, Any] = {
        "type": "object",
        "properties": {name: schema for name, (schema, _) in parts.items()},
        "additionalProperties": draw.choice([True, False]),
    }
    if draw.choice([True, False]):
        document["required"] = sorted(parts)[:2]
    return document, {name: value for name, (_, value) in parts.items()}


def _any(draw: random.Random, depth: int) -> tuple[Any, Any]:
    kind = draw.choice(("text", "text", "number", "literal", "enum", "list", "object"))
    if kind == "object" and depth > 0:
        return _object(draw, depth)
    if kind == "list" and depth > 0:
        schema, _ = pair = _any(draw, 0)
        again = [pair[1]] * draw.randint(0, 3)
        return {"type": "array", "items": schema}, again
    if kind == "number":
        return {"type": "number"}, draw.choice([0, -1, 3.25, 10**12, 1.5e-9])
    if kind == "literal":
        return {"type": ["boolean", "null"]}, draw.choice([True, False, None])
    if kind == "enum":
        return {"enum": ["red", "green", "it's blue"]}, draw.choice(
            ["red", "it's blue"]
        )
    return {"type": "string"}, _text(draw, draw.choice([0, 1, 5, 25]))


def _seldom(draw: random.Random) -> bool:
    return draw.choice([True, False, False])


def _text(draw: random.Random, words: int) -> str:
    return " ".join(draw.choice(_WORDS) for _ in range(words))


def _name(draw: random.Random) -> str:
    return draw.choice(["id", "name", "größe", "a b", "it's"]) + draw.choice(
        string.ascii_lowercase
    )


# --------------------------------------------------------------------- the corruptions

Corruption = Callable[[bytes, tuple[Token, ...], random.Random], bytes | None]


def _at(
    raw: bytes, tokens: tuple[Token, ...], draw: random.Random, kinds: str, text: bytes
) -> bytes | None:
    """Put `text` in the place of one token of some kinds."""
    found = [token for token in tokens if token.kind in kinds.split()]
    if not found:
        return None
    token = draw.choice(found)
    return raw[: token.start] + text + raw[token.end :]


def _each(raw: bytes, tokens: tuple[Token, ...], kind: str, change: Any) -> bytes:
    for token in reversed(tokens):
        if token.kind == kind:
            word = change(raw[token.start : token.end])
            raw = raw[: token.start] + word + raw[token.end :]
    return raw


def _before_closer(raw: bytes, tokens: Any, draw: Any, text: bytes) -> bytes | None:
    """Put `text` before a closing bracket that something stands before."""
    found = [
        token
        for last, token in pairwise(tokens)
        if token.kind in "}]" and last.kind not in "{["
    ]
    if not found:
        return None
    token = draw.choice(found)
    return raw[: token.start] + text + raw[token.start :]


def _single(word: bytes) -> bytes:
    body = word[1:-1].replace(b'\\"', b'"').replace(b"'", b"\\'")
    return b"'" + body + b"'"


def _smart(word: bytes) -> bytes:
    return "“".encode() + word[1:-1] + "”".encode()


def _python(word: bytes) -> bytes:
    return {b"true": b"True", b"false": b"False", b"null": b"None"}.get(word, word)


def _raw_controls(word: bytes) -> bytes:
    word = word.replace(b"\\\\", b"\x00").replace(b"\\n", b"\n").replace(b"\\t", b"\t")
    return word.replace(b"\x00", b"\\\\")


def _unless_same(raw: bytes, changed: bytes) -> bytes | None:
    return None if raw == changed else changed


def _swap(raw: bytes, tokens: tuple[Token, ...], draw: random.Random) -> bytes | None:
    other = {"{": b"[", "[": b"{", "}": b"]", "]": b"}"}
    found = [token for token in tokens if token.kind in other]
    token = draw.choice(found)
    return raw[: token.start] + other[token.kind] + raw[token.end :]


def _repeat(same: bool) -> Corruption:  # noqa: FBT001 -- two kinds of one corruption
    def change(raw: bytes, tokens: Any, draw: Any) -> bytes | None:
        if len(tokens) < 4 or tokens[1].kind != "double":  # noqa: PLR2004 -- {"k":v}
            return None
        key = raw[tokens[1].start : tokens[1].end]
        value = raw[tokens[3].start : tokens[3].end]
        if tokens[3].kind in "{[":
            return None
        return raw[:1] + key + b":" + (value if same else b'"other"') + b"," + raw[1:]

    return change


def _forms(raw: bytes, tokens: Any, draw: Any) -> bytes | None:
    forms = (b"01", b"+1", b".5", b"1.", b"NaN", b"-Infinity", b"1e999", b"0x1", b"1_0")
    numbers = tuple(
        token
        for token in tokens
        if token.kind == "word" and raw[token.start] in b"-0123456789"
    )
    return _at(raw, numbers, draw, "word", draw.choice(forms))


def _other(raw: bytes, tokens: Any, draw: Any) -> bytes:
    return raw + b"\n" + raw[:1] + b'"x": 1, ' + raw[1:].lstrip()


CLASSES: Final[dict[str, tuple[bool, Corruption]]] = {
    "untouched": (True, lambda raw, tokens, draw: raw),
    "trailing comma": (True, lambda r, t, d: _before_closer(r, t, d, b",")),
    "missing comma": (False, lambda r, t, d: _at(r, t, d, ",", b" ")),
    "double comma": (False, lambda r, t, d: _at(r, t, d, ",", b",,")),
    "single quotes": (True, lambda r, t, d: _unless_same(r, _each(r, t, "double", _single))),
    "single, apostrophes bare": (False, lambda r, t, d: _unless_same(r, r.replace(b'"', b"'"))),
    "typographic quotes": (False, lambda r, t, d: _unless_same(r, _each(r, t, "double", _smart))),
    "one odd quote": (False, lambda r, t, d: _unless_same(r, r.replace(b'"', d.choice([b"'", "“".encode()]), d.randint(1, 3)))),
    "inner quote not escaped": (False, lambda r, t, d: _unless_same(r, r.replace(b'\\"', b'"'))),
    "lost quote": (False, lambda r, t, d: _at(r, t, d, "double", b'"lost')),
    "Python literals": (True, lambda r, t, d: _unless_same(r, _each(r, t, "word", _python))),
    "comments": (False, lambda r, t, d: _at(r, t, d, ",", d.choice([b", // why\n", b", /* why */ ", b", # why\n"]))),
    "raw newlines and tabs": (True, lambda r, t, d: _unless_same(r, _each(r, t, "double", _raw_controls))),
    "fence": (True, lambda r, t, d: b"```json\n" + r + b"\n```"),
    "fence and prose": (True, lambda r, t, d: b"Sure, here it is:\n\n```json\n" + r + b"\n```\nTell me if it isn't right."),
    "prose with brackets": (False, lambda r, t, d: b"As [S1] says {see it}:\n" + r + b"\nThat is from [S1]."),
    "reasoning before": (True, lambda r, t, d: b"<think>The user wants a kettle.</think>\n" + r),
    "the same twice": (True, lambda r, t, d: r + b"\n" + r),
    "another after it": (False, _other),
    "missing closers": (False, lambda r, t, d: _unless_same(r, r.rstrip(b"]} \n"))),
    "one closer lost": (False, lambda r, t, d: _at(r, t, d, "} ]", b"")),
    "swapped bracket": (False, _swap),
    "key twice, same value": (False, _repeat(True)),  # noqa: FBT003
    "key twice, other value": (False, _repeat(False)),  # noqa: FBT003
    "number forms": (False, _forms),
    "byte order mark": (True, lambda r, t, d: b"\xef\xbb\xbf" + r),
    "NUL bytes": (False, lambda r, t, d: _unless_same(r, r.replace(b" ", b"\x00", 1))),
    "Latin-1": (False, lambda r, t, d: _unless_same(r, r.replace("ï".encode(), b"\xef"))),
    "lost colon": (False, lambda r, t, d: _at(r, t, d, ":", b" ")),
}  # fmt: skip
_TENTHS: Final = range(1, 10)


def cases(originals: list[Instance], seed: int) -> Iterator[Case]:
    """Yield every class of every instance, and its cuts at each tenth."""
    draw = random.Random(seed)  # noqa: S311 -- as above
    for one in originals:
        tokens = lex(one.text, 0).tokens
        for kind, (_, change) in CLASSES.items():
            raw = change(one.text, tokens, draw)
            if raw is not None:
                yield Case(kind, raw, "stop", one)
        for tenth in _TENTHS:
            cut = one.text[: len(one.text) * tenth // 10]
            yield Case("cut, said to be whole", cut, "stop", one)
            yield Case("cut at max_tokens", cut, "length", one)
        yield from _coercible(one)


def _coercible(one: Instance) -> Iterator[Case]:
    """Values that the white list may read: the original is what was meant."""
    value: dict[str, Any] = one.value
    for key, change in _LOOSE.items():
        if key in value:
            loose = change(value[key])
            if loose is not None:
                raw = json.dumps(value | {key: loose}, ensure_ascii=False).encode()
                yield Case(f"loose {key}", raw, "stop", one)


def _padded(cited: str) -> str:
    return f" {cited}" if cited.startswith("[") else f" [{cited}]"


_LOOSE: Final[dict[str, Callable[[Any], Any]]] = {
    "price": json.dumps,
    "citations": lambda ids: (
        ids[0] if len(ids) == 1 else [_padded(each) for each in ids] or None
    ),
    "status": lambda status: None if status == "ok" else status.upper(),
}
