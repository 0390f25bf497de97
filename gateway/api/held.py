"""Waiting for a checked answer without letting the connection fall asleep."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from gateway.api.plane import Exchange

T = TypeVar("T")


async def held(exchange: Exchange, work: Awaitable[T]) -> T:
    """Wait for `work`; from the first silent interval on, send SSE comments.

    As long as no comment was sent, a failure is an HTTP status and the verdict is a
    header. After that the stream has begun and a failure is an event in it.
    """
    task = asyncio.ensure_future(work)
    interval = exchange.plane.limits.keepalive_seconds
    try:
        while not (await asyncio.wait((task,), timeout=interval))[0]:
            stream = exchange.stream or exchange.events()
            await stream.comment()
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            # The upstream connection is closed by the time the request ends.
            await asyncio.gather(task, return_exceptions=True)
