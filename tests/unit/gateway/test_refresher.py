"""The loop that keeps memory up with the store: soon, never back, and through faults."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from gateway.control.documents import FLAGS_KEY, Refresher
from gateway.live import Live, Present
from routing.errors import Unavailable
from routing.flags import FlagDocument, encode
from routing.store import AuditEntry, Change, Document, Store
from routing.stores.sqlite import SqliteStore

WHY = Change("test", "test", "", datetime(2026, 1, 1, tzinfo=UTC))
NEVER = 3_600.0
SEED = Present(FlagDocument())


class Silent:
    """A store whose hints get lost, and that can be away."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.away = False
        self.looks = 0
        self.slow: asyncio.Event | None = None
        """What the next look at the flag waits for, when it has read it."""
        self.stuck = asyncio.Event()

    async def get(self, key: str) -> Document | None:
        found = await self._store.get(key)
        if key == FLAGS_KEY and self.slow is not None:
            slow, self.slow = self.slow, None
            self.stuck.set()
            await slow.wait()
        return found

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        expect: int,
        entry: Change,
        version: int | None = None,
    ) -> Document:
        return await self._store.put(
            key, body, expect=expect, entry=entry, version=version
        )

    async def version(self) -> int:
        self.looks += 1
        if self.away:
            raise Unavailable("away")
        return await self._store.version()

    async def changed(self) -> None:
        if self.away:
            raise Unavailable("away")
        await asyncio.sleep(NEVER)

    async def audit(self, limit: int) -> list[AuditEntry]:
        return await self._store.audit(limit)

    async def close(self) -> None:
        await self._store.close()


@asynccontextmanager
async def running(store: Store, *, every: float) -> AsyncGenerator[Live]:
    live = Live(SEED)
    refresher = Refresher(store, live, SEED)
    loop = asyncio.create_task(refresher.run(every=every))
    yield live
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    await store.close()


async def write(store: Store, version: int) -> None:
    body = encode(FlagDocument(lora=version))
    await store.put(FLAGS_KEY, body, expect=version - 1, entry=WHY)


async def until(live: Live, version: int) -> None:
    async with asyncio.timeout(10):
        while live.present.flags_version != version:
            await asyncio.sleep(0.005)


async def test_a_hint_brings_a_change_long_before_the_next_look(tmp_path: Path) -> None:
    writer = SqliteStore(tmp_path / "state.db")
    async with running(SqliteStore(tmp_path / "state.db"), every=NEVER) as live:
        for version in range(1, 6):
            await write(writer, version)
            await until(live, version)
    await writer.close()


async def test_a_lost_hint_is_made_good_by_a_look(tmp_path: Path) -> None:
    writer = SqliteStore(tmp_path / "state.db")
    silent = Silent(SqliteStore(tmp_path / "state.db"))
    async with running(silent, every=0.05) as live:
        await write(writer, 1)
        await until(live, 1)
    await writer.close()


async def test_a_store_that_comes_back_is_caught_up_with(tmp_path: Path) -> None:
    writer = SqliteStore(tmp_path / "state.db")
    silent = Silent(SqliteStore(tmp_path / "state.db"))
    silent.away = True
    async with running(silent, every=0.02) as live:
        await write(writer, 1)
        async with asyncio.timeout(10):
            while silent.looks < 3:
                await asyncio.sleep(0.005)
        assert live.present.flags_version == 0
        assert live.stale
        silent.away = False
        await until(live, 1)
        assert not live.stale
    await writer.close()


async def test_a_look_that_ends_late_is_not_taken_for_a_store_that_went_back(
    tmp_path: Path,
) -> None:
    store = Silent(SqliteStore(tmp_path / "state.db"))
    live = Live(SEED)
    refresher = Refresher(store, live, SEED)
    await write(store, 1)
    store.slow = let_go = asyncio.Event()
    first = asyncio.create_task(refresher.refresh())
    await asyncio.wait_for(store.stuck.wait(), 10)
    await write(store, 2)
    second = asyncio.create_task(refresher.refresh())
    await asyncio.sleep(0.05)
    let_go.set()
    await asyncio.gather(first, second)
    assert (live.present.flags_version, refresher.behind) == (2, False)
    await store.close()
