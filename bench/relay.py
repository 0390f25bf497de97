"""A relay on loopback whose two sides can be parted, silently."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator


class Relay:
    """Passes bytes on until it is frozen: then it takes them and says nothing."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open = asyncio.Event()
        self._open.set()
        self._serving: set[asyncio.Task[None]] = set()

    def freeze(self) -> None:
        """Pass on nothing any more, with all connections open."""
        self._open.clear()

    def accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Take a connection, as `asyncio.start_server` hands it over."""
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def aclose(self) -> None:
        """Drop all connections."""
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.closing(writer):
            await self._open.wait()
            far, out = await asyncio.open_connection("127.0.0.1", self._port)
            with contextlib.closing(out):
                await asyncio.gather(self._pass(reader, out), self._pass(far, writer))

    async def _pass(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                await self._open.wait()
                target.write(data)
                await target.drain()
        target.close()


@contextlib.asynccontextmanager
async def relayed_to(port: int, *, at: int) -> AsyncGenerator[Relay]:
    """Relay connections to the port `at` on to another, both on 127.0.0.1."""
    relay = Relay(port)
    server = await asyncio.start_server(relay.accept, "127.0.0.1", at)
    try:
        yield relay
    finally:
        server.close()
        await relay.aclose()
