"""Bad days as cases, and an engine that has them: `python -m bench.hostile PORT`.

Each case is a request with the number of its case in the message, what the engine then
says, and the outcome that the gateway owes: a status, and a code or a verdict.
"""

import argparse
import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from aiohttp import web

MIB: Final = 1 << 20
PIECE: Final = 4 * 1024
"""Bytes of an answer in one event; a real engine sends less."""

_CASE: Final = re.compile(rb"case (\d+)")
_EPOCH: Final = "process_start_time_seconds 1760000000\n"


class Case(NamedTuple):
    """One bad day."""

    name: str
    expected: str
    said: Callable[[], str | bytes]
    """What the engine says; bytes go into the stream as they are."""
    schema: object = None
    """The request's own; the loose surface's if there is none."""
    dies_again: bool = False
    """A second question ends in a reset connection."""
    leaves: float = 0.0
    """The client closes its connection after so many seconds."""


def _deep(depth: int) -> Callable[[], str]:
    return lambda: '{"a":' * depth + "5" + "}" * depth


def _listed(each: Callable[[int], object], count: int) -> Callable[[], str]:
    return lambda: json.dumps([each(number) for number in range(count)])


def _refused(schema: object, name: str) -> Case:
    return Case(name, "400 invalid_request", str, schema)


_TWICE: Final = {
    "properties": {"a": {"$ref": "#/$defs/t"}},
    "allOf": [{"properties": {"a": {"$ref": "#/$defs/t"}}}],
}
_CIRCLE: Final = {"$defs": {"t": _TWICE}, "allOf": [{"$ref": "#/$defs/t"}, {"required": ["z"]}]}  # fmt: skip
_BRANCHES: Final = {"anyOf": [{"properties": {"a": {"$ref": "#"}}, "type": "object"}] * 2}  # fmt: skip
_NEAR: Final = {"allOf": [{"pattern": f"a{{0,1200}}{n}"} for n in range(9)]}
STRICT, TOO, LARGE = "502 strict", "502 strict too_complex", "502 gate too_large"


def _unevaluated(levels: int) -> object:
    schema: dict[str, Any] = {"properties": {"a": True}}
    for _ in range(levels):
        schema = {"allOf": [schema], "unevaluatedProperties": {"type": "null"}}
    return schema


def _chain(levels: int) -> object:
    chain: dict[str, Any] = {
        f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(levels)
    }
    chain[f"d{levels}"] = {"type": "integer"}
    return {"$defs": chain, "$ref": "#/$defs/d0"}


ORDINARY: Final = Case("an ordinary answer", "200 valid", lambda: '{"a": [1, 2, 3]}')
CASES: Final = (
    ORDINARY,
    # schemas that a request brings
    _refused({"$ref": "https://example.org/s.json"}, "schema: a remote $ref"),
    _refused({"$ref": "file:///etc/passwd"}, "schema: a file's $ref"),
    _refused({"pattern": "(a{1000}){1000}"}, "schema: a regex of a million states"),
    _refused({"anyOf": [{"const": n} for n in range(900)]}, "schema: too many values"),
    _refused(_chain(24), "schema: $refs that double 24 times"),
    _refused(_unevaluated(20), "schema: 20 unevaluatedProperties inside each other"),
    Case("regex (a+)+$ on 1 MB", f"{STRICT} schema", lambda: f'"{"a" * (MIB - 9)}b"', {"pattern": "^(a+)+$"}),
    Case("regexes near their limit, 9 on 1 MB", TOO, lambda: f'"{"a" * (MIB - 9)}"', _NEAR),
    Case("a circle taken twice, 150 deep", f"{STRICT} schema", _deep(150), _CIRCLE),
    Case("a circle by anyOf, 150 deep", f"{STRICT} schema", _deep(150), _BRANCHES),
    Case("uniqueItems, 49,000 integers", "200 constrained", _listed(lambda n: n, 49_000), {"uniqueItems": True}),
    Case("uniqueItems, 3,000 beyond 63 bits", TOO, _listed(lambda n: (1 << 63) + n, 3_000), {"uniqueItems": True}),
    Case("uniqueItems, 3,000 of 300 digits", TOO, _listed(lambda n: 10**299 + n, 3_000), {"uniqueItems": True}),
    Case("enum of 300 objects, 5,000 values", TOO, _listed(lambda _: {"k": 399}, 5_000), {"items": {"enum": [{"k": n} for n in range(300)]}}),
    Case("multipleOf, 40,000 of 1e300", TOO, _listed(lambda _: 1e300, 40_000), {"items": {"multipleOf": 0.1}}),
    Case("anyOf of 90, 40,000 values", TOO, _listed(lambda n: n, 40_000), {"anyOf": [{"minLength": n, "type": "string"} for n in range(90)]}),
    Case("32 patternProperties, 20,000 keys", TOO, lambda: json.dumps({f"k{n}": 1 for n in range(20_000)}), {"patternProperties": {f"a{n}b{{0,50}}": True for n in range(32)}}),
    Case("a reason about 19,000 members", f"{STRICT} schema", lambda: json.dumps({f"k{n}": n for n in range(19_000)}), {"type": "array"}),
    Case("a reason about 49,000 members", f"{STRICT} schema", lambda: json.dumps({f"k{n}": n for n in range(49_000)}), {"type": "array"}),
    Case("a reason about anyOf, 700 values", f"{STRICT} schema", lambda: json.dumps([{"a": 0}] * 350), {"anyOf": [{"type": "null"}, {"items": {"properties": {"a": {"type": "string"}}}}]}),
    # outputs
    Case("100,000 deep", "502 strict too_deep", lambda: "[" * 100_000 + "]" * 100_000),
    Case("1 MB of [", "502 strict too_deep", lambda: "[" * (MIB - 1)),
    Case("1 MB of {a} ", "502 envelope not_repairable", lambda: "{a} " * (MIB // 4 - 1)),
    Case("10 MB in pieces", LARGE, lambda: '"' + "x" * (10 * MIB) + '"'),
    Case("10 MB in one event", "502 upstream_error", lambda: _event('"' + "x" * (10 * MIB) + '"')),
    Case("1 MB of numbers", "502 strict too_large", lambda: "[" + "1," * 500_000 + "1]"),
    Case("Latin-1", "502 upstream_error", lambda: _event("{}").replace(b"{}", "é".encode("latin-1"))),
    Case("a NUL byte", "502 envelope not_repairable", lambda: '{"a": \x00}'),
    Case("a NUL byte in a string", "502 envelope not_repairable", lambda: '{"a": "\x00",}'),
    Case("a lone surrogate", "502 syntax unrepairable", lambda: '{"a": "\\ud800"}'),
    Case("raw lone surrogates", "502 upstream_error", lambda: _event("{}").replace(b"{}", b"\\ud800")),
    # texts to repair, as long as may be
    *(
        Case(f"64 KiB of {piece.strip()}", outcome, lambda piece=piece: _filled(piece))
        for piece, outcome in (
            ('"a word",', "200 repaired"), ('"a word" ', "502 syntax unrepairable"),
            ("'a word',", "502 syntax unrepairable"), ("[[[]]],", "502 envelope ambiguous"),
            ("1,", "502 envelope ambiguous"), ("True,", "502 envelope ambiguous"),
            ('{"a":1,},', "502 envelope ambiguous"), ('{"a":', "502 strict too_deep"),
            ("```\n", "502 envelope ambiguous"), ("{a} ", "502 envelope ambiguous"),
            ("'\"", "502 envelope ambiguous"), ("\\", "502 syntax unrepairable"),
        )
    ),
    *(
        Case(f"30 KiB to scrub: {name}", outcome, lambda piece=piece: f'"{piece * (30_000 // len(piece.encode()))}"')
        for name, piece, outcome in (
            ("digits", "1", "200 valid"), ("digits and blanks", "1 ", "200 valid"),
            ("a@a.", "a@a.", "200 valid"), ("dots", "1.", "200 valid"), ("colons", "a:", "200 valid"),
            ("letters", "A", "200 valid"), ("hyphens", "a-", "200 valid"), ("plus", "+1", "200 valid"),
            ("key=", "key=", "200 valid"), ("sk-a", "sk-a", "200 valid"),
            ("telephones", "0301 ", "200 valid"), ("addresses", "1.2.3.4 ", "200 valid"),
            ("cards", "4111 1111 1111 1111 ", "200 valid"), ("accounts", "DE12 3456 ", "200 valid"),
        )
    ),
    Case("4 KiB of small objects, a comma", "200 repaired", lambda: json.dumps([{"id": n, "ok": True} for n in range(150)])[:-1] + ",]"),
    Case("a second question dies", "502 envelope no_json", lambda: "no JSON at all", dies_again=True),
    Case("the client leaves in a repair", "gone", lambda: _filled("[],"), leaves=0.01),
)  # fmt: skip


def _filled(piece: str) -> str:
    """An array as long as is repaired, of pieces that each end in a comma or in none."""
    return "[" + piece * ((64 * 1024 - 2) // len(piece.encode())) + "]"


def outcome(status: int, said: dict[str, Any]) -> str:
    """An answer of the gateway in a few words, as `Case.expected` has them."""
    if "error" not in said:
        return f"{status} {said['wastegate']['verdict']}"
    error = said["error"]
    if "stage" not in error:
        return f"{status} {error['code']}"
    return f"{status} {error['stage']} {error['message'].partition(':')[0]}"


def body(number: int) -> dict[str, Any]:
    """The chat request of a case."""
    case = CASES[number]
    message = {"role": "user", "content": f"case {number}"}
    asked: dict[str, Any] = {
        "model": "again" if case.dies_again else "loose",
        "messages": [message],
    }
    if case.schema is not None:
        named = {"name": "own", "schema": case.schema}
        asked["response_format"] = {"type": "json_schema", "json_schema": named}
    return asked


def _chunk(text: str | None, reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1}
    return json.dumps(chunk | {"model": "base", "choices": [choice]}).encode()


def _event(text: str) -> bytes:
    return b"data: " + _chunk(text) + b"\n\n"


def events(said: str | bytes) -> Iterator[bytes]:
    """The stream of an answer."""
    if isinstance(said, bytes):
        yield said
    else:
        for at in range(0, len(said), PIECE):
            yield _event(said[at : at + PIECE])
    yield b"data: " + _chunk(None, "stop") + b"\n\ndata: [DONE]\n\n"


async def _chat(request: web.Request) -> web.StreamResponse:
    asked = await request.read()
    found = _CASE.search(asked)
    case = CASES[int(found[1])] if found else ORDINARY
    if case.dies_again and b"assistant" in asked:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    try:
        for event in events(case.said()):
            await response.write(event)
        await response.write_eof()
    except ConnectionResetError:
        pass  # the gateway has read enough
    return response


async def _health(_: web.Request) -> web.Response:
    return web.Response()


async def _metrics(_: web.Request) -> web.Response:
    return web.Response(text=_EPOCH)


async def _models(_: web.Request) -> web.Response:
    return web.json_response({"object": "list", "data": [{"id": "base", "root": "base"}]})  # fmt: skip


@asynccontextmanager
async def engine(port: int = 0) -> AsyncGenerator[str]:
    """Serve on loopback until the end of the block; its URL."""
    app = web.Application()
    app.add_routes(
        [
            web.get("/health", _health),
            web.get("/metrics", _metrics),
            web.get("/v1/models", _models),
            web.post("/v1/chat/completions", _chat),
        ]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _serve(port: int) -> None:
    async with engine(port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    asyncio.run(_serve(parser.parse_args().port))
