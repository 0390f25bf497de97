"""One HTTP/1.1 exchange at a time on a kept connection, parsed by httptools.

A general client costs more than all the rest of the gateway: it builds URLs, header
objects, cookies, traces and timers that a completion does not need. Here a request
is ready-made bytes, an answer is a status and its body, and whoever waits brings the
deadline. What such a client must not get wrong is short: a connection is used again
only after an answer that was read to its end, and closed in every other case, which
is what makes vLLM abort; a reader who is slow slows the sender down; a head or a
body that breaks off is an error and never an end.
"""

import asyncio
import ssl
import time
from collections import deque
from typing import Final, Self, cast

import httptools
from yarl import URL

from gateway.errors import UpstreamError, UpstreamLost

KEEP_ALIVE: Final = 4.0
"""Seconds that an idle connection is kept. vLLM's server closes it after 5: a client
that keeps it longer sends requests into connections that are just being closed."""

HEAD_BYTES: Final = 64 << 10
"""Of an answer's head; vLLM's has some hundreds."""

HIGH_WATER: Final = 256 << 10
"""Bytes of a body that may lie unread before the sender is made to wait."""


class BrokenError(ConnectionError):
    """The connection ended, or carried no HTTP, before the answer was complete.

    Its message is ours and holds nothing of the engine's: it may go out to clients.
    """


class Connection(asyncio.Protocol):
    """A connection to one server, and the answer that is coming in on it."""

    def __init__(self, pool: "Pool") -> None:
        """Take the pool to go back to."""
        self._pool = pool
        # Kept: asking for the running loop is a system call each time (getpid).
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._parts: deque[bytes] = deque()
        self._held = 0
        self._head_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._failure: BrokenError | None = None
        self._busy = False
        self._keeps = False
        self.status = 0
        """Of the answer; 0 until its head is complete."""
        self.complete = False
        """Whether the answer has come to its end."""
        self.idle_since = 0.0

    @property
    def usable(self) -> bool:
        """Whether a request may be sent on it."""
        return self._failure is None and self._transport is not None

    def send(self, request: bytes) -> None:
        """Send a whole request. Raises BrokenError."""
        if self._failure is not None or self._transport is None:
            raise self._failure or BrokenError("not connected")
        self._parser = httptools.HttpResponseParser(self)
        self._head_bytes, self.status, self.complete = 0, 0, False
        self._busy = True
        self._transport.write(request)

    async def head(self) -> Self:
        """Wait for the answer's status. Raises BrokenError."""
        while not self.status:
            await self._wait()
        return self

    async def readany(self) -> bytes:
        """Wait for a piece of the body; empty at its end. Raises BrokenError."""
        while not self._parts:
            if self.complete:
                return b""
            await self._wait()
        part = self._parts.popleft()
        if self._held > HIGH_WATER >= self._held - len(part) and self._transport:
            self._transport.resume_reading()
        self._held -= len(part)
        return part

    def release(self) -> None:
        """Give the connection back, or close it unless the answer was read whole."""
        read = self.complete and not self._parts and self.usable
        if read and self._keeps:
            self._busy = False
            self._pool.take_back(self)
        else:
            self.close()

    def close(self) -> None:
        """Close it now: whatever the server is still doing for it is aborted."""
        self._fail("the connection was given up")
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, why: str) -> None:
        if self._failure is None:
            self._failure = BrokenError(why)
        self._wake()

    # ------------------------------------------------ asyncio.Protocol's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's: the connection is there."""
        # uvloop's transports are asyncio's in all but their class.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """asyncio's: bytes have come."""
        if not self._busy or self.complete:
            # Bytes that no request asked for would be taken for the next answer.
            self.close()
            return
        if not self.status:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            kind = type(error).__name__
            self._fail(f"the engine's answer is not HTTP as it should be ({kind})")
            self.close()
        if not self.status and self._head_bytes > HEAD_BYTES:
            self._fail("the head of the engine's answer does not end")
            self.close()

    def eof_received(self) -> None:
        """asyncio's: the server sends no more; let it be closed."""

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's: the connection has ended."""
        if not self.complete or not self._busy:
            self._fail(
                "the engine's answer broke off before its end"
                if self.status
                else "the engine closed the connection before its answer ended"
            )
        self._transport = None
        self._pool.forget(self)
        self._wake()

    # -------------------------------------------- httptools.HttpResponseParser's

    def on_message_begin(self) -> None:
        """httptools': an answer begins; after a whole one, nobody asked for it."""
        if self.complete:
            self._keeps = False

    def on_headers_complete(self) -> None:
        """httptools': the head is complete."""
        if self.complete:
            return
        status = self._parser.get_status_code()
        if status >= 200:  # noqa: PLR2004 -- an interim answer is not the answer
            self.status = status
            # Asked here: once the answer is complete, the parser has forgotten it.
            self._keeps = self._parser.should_keep_alive()
            self._wake()

    def on_body(self, body: bytes) -> None:
        """httptools': a piece of the body."""
        if self.complete:
            return
        self._parts.append(body)
        if self._held <= HIGH_WATER < self._held + len(body) and self._transport:
            self._transport.pause_reading()
        self._held += len(body)
        self._wake()

    def on_message_complete(self) -> None:
        """httptools': the answer is complete."""
        if self.status:
            self.complete = True
            self._wake()


class Pool:
    """The connections to one server; belongs to one event loop."""

    def __init__(self, base: URL, *, connect: float) -> None:
        """Take where to, and the seconds that a connect may take."""
        self._host = base.host or ""
        self._port = base.port or 80
        self._tls = ssl.create_default_context() if base.scheme == "https" else None
        self._connect = connect
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._closed = False

    async def connection(self) -> Connection:
        """A connection that is free: a kept one if there is any.

        Raises:
            UpstreamError: the server cannot be reached in time, or the pool is
                closed.
        """
        while self._idle:
            kept = self._idle.pop()
            if kept.usable and time.monotonic() - kept.idle_since < KEEP_ALIVE:
                return kept
            self._drop(kept)
        if self._closed:
            raise UpstreamError("the gateway has closed its connections to the engine")
        return await self._connected()

    async def _connected(self) -> Connection:
        loop = asyncio.get_running_loop()
        deadline = asyncio.timeout(self._connect)
        try:
            async with deadline:
                _, made = await loop.create_connection(
                    lambda: Connection(self), self._host, self._port, ssl=self._tls
                )
        except OSError as error:
            raise UpstreamLost(
                "the engine cannot be reached; is it running?"
            ) from error
        self._all.add(made)
        return made

    def take_back(self, connection: Connection) -> None:
        """Keep a connection for the next request."""
        if self._closed:
            self._drop(connection)
            return
        connection.idle_since = time.monotonic()
        self._idle.append(connection)

    def forget(self, connection: Connection) -> None:
        """A connection has ended."""
        self._all.discard(connection)

    def _drop(self, connection: Connection) -> None:
        connection.close()
        self.forget(connection)

    def close(self) -> None:
        """Close all connections; later requests are refused."""
        self._closed = True
        for connection in list(self._all):
            connection.close()
        self._idle.clear()
