"""One streamed completion: its deadlines, its end, its connection."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Final, Self

from gateway.engine.connection import Connection
from gateway.engine.port import Timeouts
from gateway.engine.refusal import (
    FOREIGN,
    Limit,
    failed,
    is_error_event,
    refused,
    translated,
)
from gateway.engine.sse import EventParser, EventSizeError
from gateway.errors import GatewayError, UpstreamError

MAX_ANSWER: Final = 16 << 20
"""Bytes of an answer that does not stream."""

END_GRACE: Final = 0.05
"""Seconds that the end of a stream may come after `[DONE]` for its connection to be
used again; it is the last few bytes of the same answer."""

HTTP_OK: Final = 200


class Limits:
    """The deadlines of every exchange, made once."""

    __slots__ = ("between_chunks", "first_token", "total")

    def __init__(self, timeouts: Timeouts) -> None:
        self.first_token = Limit("first_token", timeouts.first_token)
        self.between_chunks = Limit("between_chunks", timeouts.between_chunks)
        self.total = Limit("total", timeouts.total)


class Stream:
    """The context of a stream, and the iterator over its events' data.

    Raises, on entering or iterating, what `gateway.engine.port` lists.
    """

    __slots__ = (
        "_complete",
        "_end",
        "_failure",
        "_first_by",
        "_limits",
        "_parser",
        "_ready",
        "_response",
        "_send",
    )

    def __init__(
        self, send: Callable[[], Awaitable[Connection]], limits: Limits
    ) -> None:
        """Take how to send the request; it is sent on entering the context."""
        self._send = send
        self._limits = limits
        self._parser = EventParser()
        self._ready: deque[bytes] = deque()
        self._response: Connection | None = None
        self._failure: GatewayError | None = None
        self._complete = False
        self._first_by: float | None = None
        self._end = 0.0

    async def __aenter__(self) -> AsyncIterator[bytes]:
        now = asyncio.get_running_loop().time()
        self._first_by = now + self._limits.first_token.seconds
        self._end = now + self._limits.total.seconds
        until, limit = self._next_deadline(now)
        deadline = asyncio.timeout_at(until)
        try:
            async with deadline:
                response = await self._send()
                if response.status != HTTP_OK:
                    raise refused(response.status, await read_whole(response))
        except FOREIGN as error:
            passed = limit if deadline.expired() else None
            raise translated(error, passed) from error
        self._response = response
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        response = self._response
        if response is None:
            return
        try:
            if self._complete and error is None:
                await _finish(response)
        finally:
            # Closes the connection unless the answer was read to its end: that is
            # what makes vLLM abort the request.
            response.release()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._ready:
            if self._failure is not None:
                raise self._failure
            if self._complete:
                raise StopAsyncIteration
            await self._fill()
        return self._ready.popleft()

    async def _fill(self) -> None:
        """Wait for the next events; queue them, note an end or a failure."""
        until, limit = self._next_deadline(asyncio.get_running_loop().time())
        deadline = asyncio.timeout_at(until)
        try:
            async with deadline:
                events = await self._read_events()
        except FOREIGN as error:
            passed = limit if deadline.expired() else None
            raise translated(error, passed) from error
        except EventSizeError as error:
            raise UpstreamError(f"the engine's stream is malformed: {error}") from error
        self._first_by = None
        for data in events:
            if data == b"[DONE]":
                self._complete = True
                return
            if is_error_event(data):
                self._failure = failed(data)
                return
            self._ready.append(data)

    async def _read_events(self) -> list[bytes]:
        # Comments keep proxies awake and say nothing about the engine: the deadline
        # runs on until there is an event.
        if self._response is None:
            raise UpstreamError("the stream was not entered; use `async with`")
        response = self._response
        while True:
            chunk = await response.readany()
            if not chunk:
                raise UpstreamError("the engine's stream ended without its [DONE]")
            if events := self._parser.feed(chunk):
                return events

    def _next_deadline(self, now: float) -> tuple[float, Limit]:
        """When to give up, and on account of which limit.

        Silence is counted from when the reader asks, so that a reader who is slow
        does not make the engine look stuck.
        """
        if now >= self._end:
            raise self._limits.total.passed()
        limits = self._limits
        if self._first_by is not None:
            until, limit = self._first_by, limits.first_token
        else:
            until, limit = now + limits.between_chunks.seconds, limits.between_chunks
        return (until, limit) if until < self._end else (self._end, limits.total)


async def read_whole(response: Connection) -> bytes:
    """Read a body to its end and give the connection back, or close it.

    Raises:
        BrokenError: it breaks off.
        UpstreamError: it is over `MAX_ANSWER` bytes.
    """
    parts: list[bytes] = []
    size = 0
    try:
        while part := await response.readany():
            parts.append(part)
            size += len(part)
            if size > MAX_ANSWER:
                raise UpstreamError(f"the engine's answer is over {MAX_ANSWER} bytes")
    finally:
        response.release()
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def _finish(response: Connection) -> None:
    """Read what little follows `[DONE]`, so that the connection can be used again."""
    try:
        async with asyncio.timeout(END_GRACE):
            while await response.readany():
                pass
    except FOREIGN:
        return  # the answer is complete; only the connection is lost
