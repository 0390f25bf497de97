"""The few things that the raw endpoints do with ASGI: read, watch, send.

Raw because of the cost: a framework's request object and pydantic body about double
what the gateway adds to each request.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final, TypeVar

from gateway.errors import BadRequest, TooLarge

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

T = TypeVar("T")

JSON: Final = (b"content-type", b"application/json")
SSE: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    # Reverse proxies would otherwise collect the stream and deliver it at its end.
    (b"x-accel-buffering", b"no"),
)


class ClientGone(Exception):  # noqa: N818 -- nobody erred
    """The client closed the connection; there is nobody left to answer."""


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of a (lower-case) name, as text."""
    for key, value in scope["headers"]:
        if key == name:
            return value.decode("latin-1")
    return None


async def read_body(
    scope: Scope, receive: Receive, *, most: int, within: float
) -> bytes:
    """Read a request's body.

    Args:
        scope: for its `content-length`, which may already say too much.
        receive: ASGI's.
        most: bytes.
        within: seconds for all of it; uvicorn itself sets no such limit.

    Raises:
        TooLarge: as soon as it is known.
        BadRequest: it took too long.
        ClientGone: the connection closed first.
    """
    declared = header(scope, b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > most:
        raise TooLarge(f"the body has {declared} bytes; at most {most}")
    message = await _part(receive, within)
    body: bytes = message.get("body", b"")
    if not message.get("more_body") and len(body) <= most:
        return body
    parts, size = [body], len(body)
    deadline = asyncio.get_running_loop().time() + within
    while message.get("more_body") and size <= most:
        message = await _part(receive, deadline - asyncio.get_running_loop().time())
        part: bytes = message.get("body", b"")
        parts.append(part)
        size += len(part)
    if size > most:
        raise TooLarge(f"the body has more than {most} bytes")
    return b"".join(parts)


async def _part(receive: Receive, within: float) -> Message:
    try:
        async with asyncio.timeout(within):
            message = await receive()
    except TimeoutError as error:
        raise BadRequest("the body did not come in time") from error
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message


async def unless_gone(receive: Receive, work: Awaitable[T]) -> T:
    """Do `work`; cancel it when the client leaves.

    Raises:
        ClientGone: it left first. Whatever `work` held open is closed by then.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.current_task(loop)
    if task is None:
        raise AssertionError("an ASGI server runs each request in a task")
    gone = False

    def leave(watch: "asyncio.Task[None]") -> None:
        nonlocal gone
        if not watch.cancelled():
            gone = True
            task.cancel()

    watch = loop.create_task(_disconnected(receive))
    watch.add_done_callback(leave)
    try:
        return await work
    except asyncio.CancelledError:
        if gone and task.uncancel() == 0:
            raise ClientGone from None
        raise
    finally:
        watch.remove_done_callback(leave)
        watch.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def send_whole(
    send: Send, status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]]
) -> None:
    """Send a whole answer."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [*headers, (b"content-length", b"%d" % len(body))],
        }
    )
    await send({"type": "http.response.body", "body": body})


class EventStream:
    """Server-sent events to one client; begins with the first thing sent.

    Args:
        send: ASGI's.
        headers: of the answer.
        stall: seconds that a client may leave unread what was sent.
    """

    def __init__(
        self, send: Send, headers: Iterable[tuple[bytes, bytes]], *, stall: float
    ) -> None:
        self._send = send
        self._headers = [*headers, *SSE]
        self._stall = stall
        self.begun = False

    async def event(self, data: bytes) -> None:
        """One `data:` event."""
        await self._write(b"data: " + data + b"\n\n")

    async def comment(self) -> None:
        """A line that clients skip: it keeps the connection's timers quiet."""
        await self._write(b": keep-alive\n\n")

    async def end(self) -> None:
        """Nothing more comes."""
        await self._write(b"", more=False)

    async def _write(self, chunk: bytes, *, more: bool = True) -> None:
        try:
            async with asyncio.timeout(self._stall):
                if not self.begun:
                    self.begun = True
                    start = {"type": "http.response.start", "status": 200}
                    await self._send({**start, "headers": self._headers})
                await self._send(
                    {"type": "http.response.body", "body": chunk, "more_body": more}
                )
        except TimeoutError as error:
            raise ClientGone from error
