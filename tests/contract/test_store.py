"""One suite for both stores: whatever holds for the port holds for each of them."""

import asyncio
import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Final

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from routing.audit import AuditEntry, verify
from routing.errors import ChainError, Conflict, StoreError, Unavailable
from routing.store import Change, Store
from routing.stores import open_store
from routing.stores.redis import CALL_SECONDS

ROOT: Final = Path(__file__).parents[2]
AT: Final = datetime(2026, 11, 22, 21, 0, 0, 123456, tzinfo=UTC)
WHY: Final = Change("alice", "flag set", "canary of v1", AT)


class RedisServer:
    """A real Redis on a free loopback port, durable, in a directory of its own."""

    def __init__(self, program: str, directory: Path) -> None:
        self._program = program
        self._directory = directory
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        arguments = (
            *("--port", str(self.port), "--bind", "127.0.0.1"),
            *("--dir", str(self._directory), "--save", ""),
            *("--appendonly", "yes", "--appendfsync", "always"),
            *("--daemonize", "no", "--logfile", "redis.log"),
        )
        self._process = subprocess.Popen([self._program, *arguments])  # noqa: S603  # a fixed program on our own arguments
        wait_until(lambda: self._command(b"PING") == b"+PONG")

    def empty(self) -> None:
        assert self._command(b"FLUSHALL") == b"+OK"

    def signal(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _command(self, line: bytes) -> bytes:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as link:
                link.sendall(line + b"\r\n")
                return link.recv(100).strip()
        except OSError:
            return b""


def wait_until(holds: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server: install the package redis-server")
    server = RedisServer(program, tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    redis_server.empty()
    return redis_server.url


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "redis":
        return request.getfixturevalue("redis_url")
    return f"sqlite:{tmp_path}/state.db"


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    opened = open_store(url)
    yield opened
    await opened.close()


async def test_a_store_begins_empty(store: Store) -> None:
    assert await store.get("flags/GENERATOR") is None
    assert await store.version() == 0
    assert await store.audit(10) == []


async def test_what_was_put_is_what_is_got(store: Store) -> None:
    put = await store.put("flags/GENERATOR", b"{}", expect=0, entry=WHY)
    assert (put.key, put.version, put.body) == ("flags/GENERATOR", 1, b"{}")
    assert await store.get("flags/GENERATOR") == put


async def test_a_document_counts_its_own_changes_and_the_store_all_of_them(
    store: Store,
) -> None:
    await store.put("a", b"1", expect=0, entry=WHY)
    await store.put("a", b"2", expect=1, entry=WHY)
    assert (await store.put("b", b"1", expect=0, entry=WHY)).version == 1
    assert await store.version() == 3


@pytest.mark.parametrize("expect", [0, 2, 7])
async def test_a_stale_write_is_a_conflict_that_changes_nothing(
    store: Store, expect: int
) -> None:
    await store.put("a", b"1", expect=0, entry=WHY)
    with pytest.raises(Conflict, match="version 1, not") as caught:
        await store.put("a", b"2", expect=expect, entry=WHY)
    assert (caught.value.expected, caught.value.found) == (expect, 1)
    found = await store.get("a")
    assert found is not None
    assert found.body == b"1"
    assert await store.version() == 1
    assert len(await store.audit(10)) == 1


async def test_a_write_to_a_document_that_is_not_there_is_a_conflict(
    store: Store,
) -> None:
    with pytest.raises(Conflict) as caught:
        await store.put("a", b"1", expect=3, entry=WHY)
    assert (caught.value.expected, caught.value.found) == (3, 0)


async def test_the_audit_log_tells_who_changed_what_from_what_to_what_and_why(
    store: Store,
) -> None:
    vienna = timezone(timedelta(hours=1))
    later = Change("bob", "kill", "adherence 0.91\0\n", AT.astimezone(vienna))
    await store.put("a", b"1", expect=0, entry=WHY)
    await store.put("a", b"2", expect=1, entry=later)
    newest, oldest = await store.audit(10)
    assert (oldest.seq, oldest.who, oldest.what, oldest.why, oldest.key) == (
        *(1, "alice", "flag set", "canary of v1", "a"),
    )
    assert (oldest.before, oldest.after) == (None, b"1")
    assert (newest.seq, newest.who, newest.what, newest.why) == (
        *(2, "bob", "kill", "adherence 0.91\0\n"),
    )
    assert (newest.before, newest.after) == (b"1", b"2")
    assert newest.at == oldest.at == AT


async def test_the_audit_log_gives_the_newest_entries_first_up_to_the_limit(
    store: Store,
) -> None:
    for version in range(5):
        await store.put("a", b"x", expect=version, entry=WHY)
    assert [entry.seq for entry in await store.audit(2)] == [5, 4]
    assert [entry.seq for entry in await store.audit(99)] == [5, 4, 3, 2, 1]
    assert await store.audit(0) == []


async def test_the_audit_log_is_a_chain_that_shows_a_changed_entry(
    store: Store,
) -> None:
    for version in range(4):
        await store.put("a", bytes([version]), expect=version, entry=WHY)
    entries = await store.audit(10)
    assert verify(entries) == entries[0].digest
    assert verify(entries[:2], previous=entries[2].digest, start=3)
    forged = msgspec.structs.replace(entries[2], who="mallory")
    with pytest.raises(ChainError) as caught:
        verify([*entries[:2], forged, entries[3]])
    assert caught.value.seq == 2
    with pytest.raises(ChainError, match="missing"):
        verify([*entries[:2], entries[3]])


async def test_both_stores_chain_the_same_changes_to_the_same_digest(
    store: Store,
) -> None:
    await store.put("flags/GENERATOR", b"{}", expect=0, entry=WHY)
    entries = await store.audit(1)
    body = hashlib.sha256(b"{}").hexdigest()
    canonical = (
        '[1,"2026-11-22T21:00:00.123456+00:00","alice","flag set","canary of v1",'
        f'"flags/GENERATOR",null,"{body}"]'
    )
    expected = hashlib.sha256(("0" * 64 + "\n" + canonical).encode()).hexdigest()
    assert entries[0].digest == expected


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(body=st.binary(max_size=3000), key=st.text(min_size=1, max_size=50))
async def test_any_bytes_come_back_as_they_went_in(
    store: Store, body: bytes, key: str
) -> None:
    old = await store.get(key)
    new = await store.put(key, body, expect=old.version if old else 0, entry=WHY)
    assert await store.get(key) == new
    assert new.body == body
    entry = (await store.audit(1))[0]
    assert (entry.key, entry.after) == (key, body)
    assert entry.before == (old.body if old else None)


@pytest.mark.parametrize("key", ["", "x" * 201, "\ud800"])
async def test_a_key_that_cannot_be_held_everywhere_is_refused(
    store: Store, key: str
) -> None:
    with pytest.raises(StoreError, match="no document key"):
        await store.put(key, b"", expect=0, entry=WHY)


async def test_reopening_keeps_everything(url: str) -> None:
    first = open_store(url)
    await first.put("a", b"1", expect=0, entry=WHY)
    await first.put("a", b"2", expect=1, entry=WHY)
    log = await first.audit(10)
    await first.close()
    second = open_store(url)
    found = await second.get("a")
    assert found is not None
    assert (found.version, found.body) == (2, b"2")
    assert await second.version() == 2
    assert await second.audit(10) == log
    await second.close()


async def test_a_closed_store_refuses_with_a_typed_error(url: str) -> None:
    closed = open_store(url)
    await closed.put("a", b"1", expect=0, entry=WHY)
    await closed.close()
    await closed.close()
    with pytest.raises(StoreError, match="closed"):
        await closed.get("a")


async def test_concurrent_writers_lose_nothing(url: str) -> None:
    stores = [open_store(url) for _ in range(4)]
    await asyncio.gather(*(increment(each, "n", 10) for each in stores))
    found = await stores[0].get("n")
    assert found is not None
    assert (found.version, found.body) == (40, b"40")
    await consistent(stores[1])
    for each in stores:
        await each.close()


async def test_writers_of_different_documents_do_not_conflict(url: str) -> None:
    stores = [open_store(url) for _ in range(4)]
    await asyncio.gather(
        *(increment(each, f"n{at}", 10) for at, each in enumerate(stores))
    )
    assert await stores[0].version() == 40
    await consistent(stores[0])
    for each in stores:
        await each.close()


async def test_the_version_never_goes_back_while_others_write(url: str) -> None:
    watcher, writer = open_store(url), open_store(url)
    task = asyncio.create_task(increment(writer, "n", 30))
    seen = [await watcher.version()]
    while seen[-1] < 30:
        seen.append(await watcher.version())
    assert seen == sorted(seen)
    await task
    await watcher.close()
    await writer.close()


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


async def refused_in_time(store: Store) -> None:
    """A hanging call would run into the deadline, whose error is another one."""
    async with asyncio.timeout(CALL_SECONDS + 2):
        with pytest.raises(Unavailable, match="redis gives no answer"):
            await store.version()


async def increment(store: Store, key: str, times: int) -> None:
    """Count in a document through compare-and-set, reading again on a conflict."""
    done = 0
    while done < times:
        old = await store.get(key)
        version, value = (old.version, int(old.body)) if old else (0, 0)
        with contextlib.suppress(Conflict):
            body = str(value + 1).encode()
            await store.put(key, body, expect=version, entry=WHY)
            done += 1


async def consistent(store: Store) -> None:
    """Audit = state: the log is whole, and replaying it gives every document."""
    entries = (await store.audit(1_000_000))[::-1]
    verify(entries)
    assert len(entries) == await store.version()
    replayed: dict[str, list[AuditEntry]] = {}
    for entry in entries:
        earlier = replayed.setdefault(entry.key, [])
        assert entry.before == (earlier[-1].after if earlier else None)
        earlier.append(entry)
    for key, history in replayed.items():
        document = await store.get(key)
        assert document is not None
        assert document.version == len(history)
        assert document.body == history[-1].after


WRITER: Final = """
import asyncio, sys
from datetime import UTC, datetime
from routing.store import Change
from routing.stores import open_store

async def main():
    store = open_store(sys.argv[1])
    change = Change("writer", "count", "", datetime(2026, 1, 1, tzinfo=UTC))
    version = 0
    while True:
        body = str(version + 1).encode()
        version = (await store.put("n", body, expect=version, entry=change)).version
        print(version, flush=True)

asyncio.run(main())
"""


def write_until_killed(url: str, enough: int) -> int:
    """Run a writer, kill it some time after `enough`; its last acknowledgement."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(  # noqa: S603  # our own program on our own interpreter
        [sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, env=environment
    ) as writer:
        assert writer.stdout
        last = 0
        for line in writer.stdout:
            last = int(line)
            if last == enough:
                writer.kill()
    return last
