"""Bad days: killed writers, a Redis that is gone, frozen, full or somebody else's."""

import asyncio
import signal

import pytest

from routing.errors import Corrupt, StoreError, Unavailable
from routing.store import Store
from routing.stores import open_store
from routing.stores.redis import CALL_SECONDS, HINT
from tests.contract.store.counting import (
    WHY,
    consistent,
    increment,
    write_until_killed,
)
from tests.contract.store.redis_server import RedisServer


@pytest.mark.parametrize("round_", range(3))
async def test_kill_9_of_a_writer_loses_no_acknowledged_change(
    url: str, round_: int
) -> None:
    acknowledged = await asyncio.to_thread(write_until_killed, url, 40 + 25 * round_)
    reopened = open_store(url)
    found = await reopened.get("n")
    assert found is not None
    assert found.version in (acknowledged, acknowledged + 1)
    assert found.body == str(found.version).encode()
    await consistent(reopened)
    await increment(reopened, "n", 1)
    await reopened.close()


@pytest.mark.redis
async def test_kill_9_of_a_durable_redis_loses_no_acknowledged_change(
    redis_server: RedisServer, redis_url: str
) -> None:
    store = open_store(redis_url)
    acknowledged = 0
    task = asyncio.create_task(increment(store, "n", 100_000))
    while acknowledged < 50:
        acknowledged = await store.version()
    redis_server.kill()
    with pytest.raises(Unavailable):
        await task
    redis_server.start()
    found = await store.get("n")
    assert found is not None
    assert found.version >= acknowledged
    await consistent(store)
    await store.close()


@pytest.mark.redis
async def test_a_redis_that_is_gone_is_unavailable_in_time_and_comes_back(
    redis_server: RedisServer, redis_url: str
) -> None:
    store = open_store(redis_url)
    await store.put("a", b"1", expect=0, entry=WHY)
    redis_server.kill()
    for _ in range(12):  # more often than the pool has connections
        await refused_in_time(store)
    redis_server.start()
    await increment(store, "a", 1)
    await store.close()


@pytest.mark.redis
async def test_a_frozen_redis_is_unavailable_in_time_and_comes_back(
    redis_server: RedisServer, redis_url: str
) -> None:
    store = open_store(redis_url)
    await store.put("a", b"1", expect=0, entry=WHY)
    redis_server.signal(signal.SIGSTOP)
    try:
        await refused_in_time(store)
    finally:
        redis_server.signal(signal.SIGCONT)
    await increment(store, "a", 1)
    await store.close()


@pytest.mark.redis
async def test_a_redis_that_cannot_write_is_unavailable_and_still_reads(
    redis_server: RedisServer, redis_url: str
) -> None:
    store = open_store(redis_url)
    await store.put("a", b"1", expect=0, entry=WHY)
    redis_server.command("CONFIG SET maxmemory 1")
    with pytest.raises(Unavailable, match="cannot write now"):
        await store.put("a", b"2", expect=1, entry=WHY)
    assert await store.version() == 1
    redis_server.command("CONFIG SET maxmemory 0")
    await store.put("a", b"2", expect=1, entry=WHY)
    await consistent(store)
    await store.close()


@pytest.mark.redis
async def test_a_redis_that_another_program_uses_is_refused(
    redis_server: RedisServer, redis_url: str
) -> None:
    store = open_store(redis_url)
    redis_server.command("SET {wastegate}:doc:a 1")
    with pytest.raises(Corrupt, match="a database of its own"):
        await store.get("a")
    redis_server.command("HSET {wastegate}:head version x digest y")
    with pytest.raises(Corrupt, match="not a number"):
        await store.version()
    redis_server.command("RPUSH {wastegate}:audit x")
    with pytest.raises(Corrupt, match="did not write"):
        await store.audit(1)
    await store.close()


@pytest.mark.redis
async def test_a_wrong_password_is_refused_without_being_repeated(
    redis_url: str,
) -> None:
    store = open_store(redis_url.replace("//", "//nobody:secret@"))
    with pytest.raises(StoreError, match="correct user and password") as caught:
        await store.version()
    assert not isinstance(caught.value, Unavailable)
    assert "secret" not in str(caught.value)
    await store.close()


@pytest.mark.redis
async def test_each_change_is_published_as_a_hint(
    redis_server: RedisServer, redis_url: str
) -> None:
    store = open_store(redis_url)
    with redis_server.listening(HINT) as next_hint:
        await store.put("a", b"1", expect=0, entry=WHY)
        assert await asyncio.to_thread(next_hint) == b"1"
        await store.put("b", b"1", expect=0, entry=WHY)
        assert await asyncio.to_thread(next_hint) == b"2"
    await store.close()


async def refused_in_time(store: Store) -> None:
    """A hanging call would run into the deadline, whose error is another one."""
    async with asyncio.timeout(CALL_SECONDS + 2):
        with pytest.raises(Unavailable, match="redis gives no answer"):
            await store.version()
