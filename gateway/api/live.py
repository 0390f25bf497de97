"""Handing on what the pipeline lets out, with the connection kept awake meanwhile."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from gateway.api.held import held
from gateway.api.plane import Exchange
from gateway.pipeline.answer import Answer
from gateway.pipeline.call import Call
from gateway.pipeline.hold_back import live

_Part = str | Answer | Exception


async def parts(exchange: Exchange, call: Call) -> AsyncGenerator[str | Answer]:
    """Yield text as it may go out, and the answer at the end.

    The pipeline runs in a task of its own, from which waiting can be interrupted to
    send a comment without interrupting the engine.

    Raises:
        GatewayError: as `gateway.pipeline.hold_back.live`.
    """
    queue: asyncio.Queue[_Part] = asyncio.Queue()

    async def produce() -> None:
        trace = exchange.trace
        try:
            async with aclosing(live(exchange.plane.router, call, trace)) as coming:
                async for part in coming:
                    queue.put_nowait(part)
        except Exception as error:  # noqa: BLE001 -- raised again, where it is awaited
            queue.put_nowait(error)

    task = asyncio.get_running_loop().create_task(produce())
    try:
        part: _Part = ""
        while not isinstance(part, Answer):
            part = await held(exchange, queue.get())
            if isinstance(part, Exception):
                raise part
            yield part
    finally:
        task.cancel()
        # The upstream connection is closed by the time the request ends.
        await asyncio.gather(task, return_exceptions=True)
