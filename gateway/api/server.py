"""Two listeners in one process: the data plane and the control plane."""

import asyncio
import signal
import socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.api.limits import Limits

_HEADER_BYTES = 16_384
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def protocol(limits: Limits) -> type[HttpToolsProtocol]:
    """Uvicorn's HTTP protocol with the two limits that it lacks on the way in."""

    class BoundedProtocol(HttpToolsProtocol):
        """Closes connections that stay silent, and refuses endless headers."""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._silent = self.loop.call_later(limits.header_seconds, transport.close)
            self._header_bytes = 0

        def connection_lost(self, exc: Exception | None) -> None:
            self._silent.cancel()
            super().connection_lost(exc)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._header_bytes = 0

        def on_header(self, name: bytes, value: bytes) -> None:
            self._header_bytes += len(name) + len(value)
            if self._header_bytes > _HEADER_BYTES:
                self.transport.close()
                return
            super().on_header(name, value)

        def on_headers_complete(self) -> None:
            self._silent.cancel()
            if not self.transport.is_closing():
                super().on_headers_complete()

    return BoundedProtocol


class _Server(uvicorn.Server):
    """A uvicorn server that leaves the signals to whoever runs several."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def serve(
    planes: Sequence[tuple[FastAPI, str | socket.socket]],
    limits: Limits,
    *,
    grace: float,
) -> bool:
    """Serve applications on `host:port` addresses or listeners until SIGINT or SIGTERM.

    Returns whether it was told to stop; False means that one could not listen.

    Args:
        planes: each application and where it listens.
        limits: of the connections.
        grace: seconds that open requests may take once it is to stop.
    """
    servers = [_server(app, where, limits, grace) for app, where in planes]

    told = False

    def stop() -> None:
        nonlocal told
        told = True
        for server in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop)
    running = [
        asyncio.ensure_future(server.serve(None if isinstance(where, str) else [where]))
        for server, (_, where) in zip(servers, planes, strict=True)
    ]
    # One that cannot listen ends at once; the others are of no use without it.
    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    stopped = told
    stop()
    ended = await asyncio.gather(*running, return_exceptions=True)
    return stopped and not any(isinstance(each, BaseException) for each in ended)


def _server(
    app: FastAPI, where: str | socket.socket, limits: Limits, grace: float
) -> _Server:
    address = where if isinstance(where, str) else ":0"  # a listener has its own
    host, _, port = address.rpartition(":")
    return _Server(
        uvicorn.Config(
            app,
            host=host.strip("[]"),
            port=int(port),
            http=protocol(limits),
            loop="uvloop",
            ws="none",
            lifespan="on",
            access_log=False,
            # Nothing here reads a client's address, so nobody may claim one.
            proxy_headers=False,
            server_header=False,
            log_level="warning",
            timeout_graceful_shutdown=int(grace),
            timeout_keep_alive=75,
        )
    )
