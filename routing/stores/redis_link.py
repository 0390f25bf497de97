"""The connections to one Redis server, and what its errors are called here."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, Protocol

from redis import exceptions as foreign
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from routing.errors import Corrupt, StoreError, Unavailable

CONNECT_SECONDS: Final = 0.5
"""Time limit for a connection; a Redis on the same network needs a millisecond."""

CALL_SECONDS: Final = 1.0
"""Time limit for a call as a whole, repetitions included."""

CONNECTIONS: Final = 8
"""Connections a process at most; the callers are a poll and the admin API."""

SPACE: Final = "{wastegate}"  # braces: one slot, should it ever be a cluster
"""What every key begins with."""


class Script(Protocol):
    """A registered script."""

    async def __call__(self, keys: list[str], args: list[bytes]) -> list[bytes]: ...


class Client(Protocol):
    """Redis's client; who uses it says what it has (redis-py has no types)."""

    async def aclose(self) -> None: ...


class Link:
    """A pool of connections; the first call opens the first."""

    def __init__(self, url: str) -> None:
        """Take a checked URL; nothing is connected yet."""
        pool = BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]  # its **kwargs have no types
            url,
            max_connections=CONNECTIONS,
            timeout=CALL_SECONDS,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=CALL_SECONDS,
            # A repeated write would meet its own first try as a conflict.
            retry=Retry(NoBackoff(), 0),
        )
        self.client: Final[Client] = Redis.from_pool(pool)
        self._closed = False

    async def close(self) -> None:
        """Give the connections back; later calls raise StoreError."""
        if not self._closed:
            self._closed = True
            await self.client.aclose()

    @asynccontextmanager
    async def call(self, seconds: float = CALL_SECONDS) -> AsyncGenerator[None]:
        """Bound a call in time and turn redis-py's errors into the ports'.

        A cancellation always ends it: where redis-py meets one while a connection breaks,
        it may raise its own error instead, and a loop that goes on after errors would
        then outlive the shutdown that has cancelled it.

        Raises:
            Unavailable, Corrupt, StoreError: as in `routing.store`.
        """
        asked_before = _asked_to_end()
        try:
            async with self._bounded(seconds):
                yield
        except StoreError:
            if _asked_to_end() > asked_before:
                raise asyncio.CancelledError from None
            raise
        if _asked_to_end() > asked_before:
            raise asyncio.CancelledError

    @asynccontextmanager
    async def _bounded(self, seconds: float) -> AsyncGenerator[None]:
        if self._closed:
            raise StoreError("the redis store was closed: open it again")
        try:
            async with asyncio.timeout(seconds):
                yield
        except (foreign.AuthenticationError, foreign.NoPermissionError) as error:
            raise StoreError(
                f"redis refuses the login or a command ({error}):"
                " correct user and password in the state URL, or the server's ACL"
            ) from error
        except (foreign.ConnectionError, foreign.TimeoutError, OSError) as error:
            # OSError covers TimeoutError, which asyncio.timeout raises.
            raise Unavailable(
                f"redis gives no answer within {CALL_SECONDS} s"
                f" ({type(error).__name__}: {error}):"
                " check that it runs and that the state URL is right"
            ) from error
        except foreign.RedisError as error:
            raise _refused(error) from error


def _asked_to_end() -> int:
    """How often the running task was cancelled."""
    task = asyncio.current_task()
    return task.cancelling() if task else 0


def _refused(error: foreign.RedisError) -> StoreError:
    """Sort a server's answer into "later" and "never"."""
    text = str(error)
    full = isinstance(error, foreign.OutOfMemoryError | foreign.ReadOnlyError)
    later = (
        "MISCONF",
        "OOM",
        "READONLY",
        "LOADING",
        "MASTERDOWN",
        "BUSY",
        "NOREPLICAS",
    )
    if full or text.startswith(later):
        return Unavailable(f"redis cannot write now: {text}")
    if text.startswith("WRONGTYPE"):
        return Corrupt(
            f"redis: a key under {SPACE} is another program's:"
            " use a database of its own"
        )
    return StoreError(f"redis refuses: {text}")
