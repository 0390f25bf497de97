"""Hints: another process's change is told soon, and after a fault again."""

import asyncio
import signal
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from routing.errors import StoreError, Unavailable
from routing.store import Store
from routing.stores import open_store
from tests.contract.store.counting import WHY
from tests.contract.store.redis_server import RedisServer

WITHIN = 10.0


@asynccontextmanager
async def two(url: str) -> AsyncGenerator[tuple[Store, Store]]:
    one, other = open_store(url), open_store(url)
    try:
        yield one, other
    finally:
        await one.close()
        await other.close()


async def hinted(store: Store) -> None:
    async with asyncio.timeout(WITHIN):
        await store.changed()


async def test_the_first_call_returns_at_once(store: Store) -> None:
    await hinted(store)


async def test_the_change_of_another_is_hinted(url: str) -> None:
    async with two(url) as (one, other):
        await hinted(one)
        waiting = asyncio.create_task(hinted(one))
        await other.put("a", b"1", expect=0, entry=WHY)
        await waiting
        assert await one.version() == 1


async def test_a_change_between_two_calls_is_hinted(url: str) -> None:
    async with two(url) as (one, other):
        await hinted(one)
        await other.put("a", b"1", expect=0, entry=WHY)
        await hinted(one)


async def test_without_a_change_there_is_no_hint(store: Store) -> None:
    await store.version()
    await hinted(store)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await store.changed()


async def test_a_cancelled_wait_can_be_taken_up_again(url: str) -> None:
    async with two(url) as (one, other):
        await hinted(one)
        for number in range(5):
            waiting = asyncio.create_task(one.changed())
            await asyncio.sleep(0.02)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await other.put("a", b"1", expect=number, entry=WHY)
            await hinted(one)


async def test_a_closed_store_gives_no_hints(url: str) -> None:
    store = open_store(url)
    await store.close()
    with pytest.raises(StoreError, match="closed"):
        await store.changed()


@pytest.mark.redis
async def test_a_wait_ends_with_the_server_and_the_next_begins_with_a_look(
    redis_server: RedisServer, redis_url: str
) -> None:
    async with two(redis_url) as (one, other):
        await hinted(one)
        waiting = asyncio.create_task(one.changed())
        await asyncio.sleep(0)
        redis_server.kill()
        with pytest.raises(Unavailable):
            await waiting
        with pytest.raises(Unavailable):
            await one.changed()
        redis_server.start()
        await hinted(one)
        waiting = asyncio.create_task(hinted(one))
        await other.put("b", b"1", expect=0, entry=WHY)
        await waiting


@pytest.mark.redis
async def test_a_frozen_server_delays_a_hint_and_loses_nothing(
    redis_server: RedisServer, redis_url: str
) -> None:
    async with two(redis_url) as (one, other):
        await hinted(one)
        waiting = asyncio.create_task(hinted(one))
        redis_server.signal(signal.SIGSTOP)
        frozen = time.monotonic()
        await asyncio.sleep(1.5)
        assert not waiting.done()
        redis_server.signal(signal.SIGCONT)
        await other.put("a", b"1", expect=0, entry=WHY)
        await waiting
        assert time.monotonic() - frozen < WITHIN
