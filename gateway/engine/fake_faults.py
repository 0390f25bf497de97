"""How the fake breaks a connection or a stream, as its quirks say."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from typing import Final

import msgspec
from aiohttp import web

from gateway.engine import fake_wire as wire
from gateway.engine.fake_quirks import Malformed, Quirks

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER: on, zero seconds
_ENDLESS: Final = b"data: " + b"x" * 65_536
_FAILED: Final = wire.error_event(
    wire.Refusal(500, "InternalServerError", "EngineCore encountered an issue")
)
_PAGE: Final = b"<!doctype html>\n\n<title>It works!</title>\n\n"


class Seen(msgspec.Struct):
    """One request as it came, and how it ended."""

    method: str
    path: str
    headers: Mapping[str, str]
    raw: bytes
    ended: str = ""
    """Empty while it runs; `answered`, `aborted` (the client left) or `cut` (a quirk)."""

    @property
    def body(self) -> dict[str, object]:
        """The body's JSON object."""
        return msgspec.json.decode(self.raw, type=dict[str, object])


SEEN: Final = web.RequestKey("seen", Seen)
"""Where a handler finds its request's record."""


async def deliver(
    request: web.Request, reply: wire.Reply, quirks: Quirks
) -> AsyncIterator[bytes]:
    """Give out the bytes of a stream, and break it as the quirks say."""
    sent = 0
    async for data in _paced(request, reply, quirks):
        if quirks.cut_at_byte is not None and sent + len(data) > quirks.cut_at_byte:
            yield data[: quirks.cut_at_byte - sent]
            if not quirks.cut_cleanly:
                cut(request)
            request[SEEN].ended = "cut"
            return
        sent += len(data)
        yield data


async def _paced(
    request: web.Request, reply: wire.Reply, quirks: Quirks
) -> AsyncIterator[bytes]:
    for at, event in enumerate(_events(reply, quirks.malformed)):
        await asyncio.sleep(quirks.chunk_delay if at else quirks.first_token_delay)
        if at == quirks.freeze_at:
            await asyncio.Event().wait()
        if at == quirks.die_at:
            if quirks.die_inside_character:
                yield event[: _inside_character(event)]
            cut(request)
        if at == quirks.error_at:
            yield _FAILED + wire.DONE
            return
        yield b": keep-alive\n\n" + event if quirks.keep_alive else event


def _events(reply: wire.Reply, malformed: Malformed) -> list[bytes]:
    if malformed == "no_finish":
        reply = msgspec.structs.replace(reply, finish_reason="")
    refusal = reply.body.response_format.refusal
    if refusal is not None:
        return [wire.error_event(refusal), wire.DONE]
    events = [*reply.events(), wire.DONE]
    if malformed == "no_done":
        return events[:-1]
    if malformed == "error_event":
        return [*events[:-2], _FAILED, wire.DONE]
    if malformed == "html":
        return [_PAGE]
    if malformed == "endless_event":
        return [_ENDLESS, *[b"x" * 65_536] * 31]
    return events


def _inside_character(event: bytes) -> int:
    """Where to cut so that a character of several bytes is torn; else the middle."""
    torn = (at + 1 for at, byte in enumerate(event) if byte >= 0xC0)  # noqa: PLR2004 -- UTF-8 lead bytes
    return next(torn, len(event) // 2)


def cut(request: web.Request, last_words: bytes = b"") -> None:
    """Reset the connection; never returns."""
    seen = request[SEEN]
    seen.ended = "cut"
    if request.transport is not None:
        request.transport.write(last_words)
        reset(request.transport)
    raise ConnectionResetError("the fake resets this connection")


def reset(transport: asyncio.BaseTransport | None) -> None:
    """Close a connection by RST, as the kernel does for a process that was killed."""
    if not isinstance(transport, asyncio.WriteTransport):
        return
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()
