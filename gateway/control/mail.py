"""What the workers of one gateway say to each other: datagrams on Unix sockets.

Each message is the whole of what it is about, so one that is lost is made up for by
the next, and a queue that is full loses nothing that is not said again.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from gateway.fleet import Uses
from gateway.live import Unheard
from gateway.member import MemberSeen

_LOG: Final = logging.getLogger("wastegate")

SAY_SECONDS: Final = 0.5
"""Between two messages if nothing has changed."""

_MOST_BYTES: Final = 1 << 20


class Orders(msgspec.Struct, frozen=True, tag=True):
    """What the first worker has decided and seen, for the others to go by."""

    life: str
    """Of the first worker; another one's numbers begin anew."""
    number: int
    """Counts what has changed, from 1."""
    unheard: Unheard
    replicas: tuple[MemberSeen, ...]


class Report(msgspec.Struct, frozen=True, tag=True):
    """How another worker stands."""

    worker: int
    name: str
    pid: int
    uses: Uses
    flags_version: int
    store_up: bool
    look: bool = False
    """A replica is not as the orders say, or nothing is in flight on it any more."""
    held: Orders | None = None
    """What it goes by; nothing yet after its start."""


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Orders | Report)


class Mailbox:
    """One worker's end; `open` and `close` are for its event loop's thread.

    Args:
        directory: where the workers meet.
        index: whose end it is.
        hear: called with each message.
    """

    def __init__(
        self, directory: Path, index: int, hear: Callable[[Orders | Report], None]
    ) -> None:
        self._directory = directory
        self._index = index
        self._hear = hear
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Begin to hear; a predecessor's end at this address is taken over."""
        mine = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        mine.setblocking(False)  # noqa: FBT003 -- the library's signature
        path = self._path(self._index)
        path.unlink(missing_ok=True)
        mine.bind(str(path))
        self._socket = mine
        asyncio.get_running_loop().add_reader(mine, self._readable)

    def send(self, to: int, message: Orders | Report) -> None:
        """Say something, if the other is there and not far behind."""
        if self._socket is None:
            return
        try:
            self._socket.sendto(_ENCODER.encode(message), str(self._path(to)))
        except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
            return  # it is being replaced or is busy, and is told again
        except OSError as error:
            _LOG.error("worker %d cannot be told anything: %s", to, error)

    def close(self) -> None:
        """Hear nothing any more; may be repeated."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _path(self, index: int) -> Path:
        return self._directory / f"worker-{index}"

    def _readable(self) -> None:
        while self._socket is not None:
            try:
                raw = self._socket.recv(_MOST_BYTES)
            except BlockingIOError:
                return
            self._hear(_DECODER.decode(raw))
