"""What is SQLite's own: the file, its lock, its disk. The port's suite is elsewhere."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from routing.audit import verify
from routing.errors import Corrupt, Unavailable
from routing.store import Change
from routing.stores import sqlite_file as module
from routing.stores.sqlite import SqliteStore

ROOT: Final = Path(__file__).parents[3]
WHY: Final = Change("alice", "flag set", "", datetime(2026, 11, 22, tzinfo=UTC))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "state.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(path)
    yield opened
    await opened.close()


def write(path: Path, content: bytes, mode: int = 0o600) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def modes(path: Path) -> dict[str, int]:
    return {each.name: each.stat().st_mode & 0o777 for each in path.parent.glob("*")}


def damage(path: Path) -> None:
    content = path.read_bytes()
    write(path, content[:4096] + b"\xff" * (len(content) - 4096))


def remove(path: Path) -> None:
    for each in path.parent.iterdir():
        each.unlink()


async def test_nothing_is_made_before_the_first_call(
    store: SqliteStore, path: Path
) -> None:
    assert modes(path) == {}
    assert await store.version() == 0
    assert "state.db" in modes(path)


async def test_only_the_owner_may_read_the_file_and_its_side_files(
    store: SqliteStore, path: Path
) -> None:
    write(path, b"", mode=0o644)
    await store.put("a", b"1", expect=0, entry=WHY)
    assert modes(path) == {
        "state.db": 0o600,
        "state.db-wal": 0o600,
        "state.db-shm": 0o600,
    }


async def test_a_commit_is_on_disk_before_it_is_acknowledged(
    store: SqliteStore, path: Path
) -> None:
    await store.put("a", b"1", expect=0, entry=WHY)

    def settings(db: sqlite3.Connection) -> tuple[object, object]:
        return tuple(
            db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous")
        )

    # It is a setting of the connection: nothing outside of the store shows it.
    lane = store._writer  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    assert await lane.run(settings) == ("wal", 2)


async def test_a_held_lock_is_unavailable_while_reads_go_on(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_SECONDS", 1.0)
    await store.put("a", b"1", expect=0, entry=WHY)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    blocked = asyncio.create_task(store.put("a", b"2", expect=1, entry=WHY))
    read = asyncio.create_task(store.version())
    first, _ = await asyncio.wait((blocked, read), return_when=asyncio.FIRST_COMPLETED)
    assert first == {read}
    with pytest.raises(Unavailable, match="another process holds its lock"):
        await blocked
    other.execute("ROLLBACK")
    other.close()
    await store.put("a", b"2", expect=1, entry=WHY)


async def test_many_first_openers_agree_on_one_file(path: Path) -> None:
    stores = [SqliteStore(path) for _ in range(8)]
    await asyncio.gather(
        *(
            each.put(f"k{at}", b"", expect=0, entry=WHY)
            for at, each in enumerate(stores)
        )
    )
    assert {await each.version() for each in stores} == {8}
    verify(await stores[0].audit(100))
    for each in stores:
        await each.close()


FULL: Final = """
import asyncio, os, resource, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from routing.audit import verify
from routing.errors import Unavailable
from routing.store import Change
from routing.stores.sqlite import SqliteStore

async def main():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = SqliteStore(Path(sys.argv[1]))
    change = Change("a", "b", "", datetime(2026, 1, 1, tzinfo=UTC))
    await store.put("a", b"1", expect=0, entry=change)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))
    version = 1
    try:
        while True:
            await store.put("a", bytes(5_000), expect=version, entry=change)
            version += 1
    except Unavailable as error:
        print(error)
    found = await store.get("a")
    assert found.version == version, (found.version, version)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await store.put("a", bytes(5_000), expect=version, entry=change)
    log = await store.audit(10_000)
    verify(log)
    assert len(log) == await store.version() == version + 1
    await store.close()

asyncio.run(main())
"""


def test_a_full_disk_is_unavailable_loses_nothing_and_heals(path: Path) -> None:
    done = subprocess.run(  # noqa: S603  # our own program on our own interpreter
        [sys.executable, "-c", FULL, str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "the disk" in done.stdout


async def test_a_file_that_is_no_database_is_corrupt(
    store: SqliteStore, path: Path
) -> None:
    write(path, b"not a database, and long enough to be looked at" * 100)
    with pytest.raises(Corrupt, match="restore a backup"):
        await store.version()


async def test_a_log_with_a_moment_that_is_none_is_corrupt(
    store: SqliteStore, path: Path
) -> None:
    await store.put("a", b"1", expect=0, entry=WHY)
    other = sqlite3.connect(path)
    with other:
        other.execute("UPDATE audit SET at = 'yesterday'")
    other.close()
    with pytest.raises(Corrupt, match="yesterday"):
        await store.audit(1)


async def test_a_damaged_file_is_corrupt(path: Path) -> None:
    first = SqliteStore(path)
    for version in range(50):
        await first.put("a", bytes(3000), expect=version, entry=WHY)
    await first.close()
    damage(path)
    second = SqliteStore(path)
    with pytest.raises(Corrupt):
        await second.audit(100)
    with pytest.raises(Corrupt):
        await second.put("a", b"", expect=50, entry=WHY)
    await second.close()


async def test_another_programs_database_is_left_alone(
    store: SqliteStore, path: Path
) -> None:
    write(path, b"")
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    with pytest.raises(Corrupt, match="another program's"):
        await store.put("a", b"", expect=0, entry=WHY)


async def test_a_newer_schema_is_not_written_by_an_older_program(path: Path) -> None:
    first = SqliteStore(path)
    await first.version()
    await first.close()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 2")
    newer.close()
    second = SqliteStore(path)
    with pytest.raises(Corrupt, match="schema 2, this program knows 1"):
        await second.version()
    await second.close()


async def test_a_file_that_was_removed_while_in_use_takes_no_more_changes(
    store: SqliteStore, path: Path
) -> None:
    await store.put("a", b"1", expect=0, entry=WHY)
    remove(path)
    with pytest.raises(Unavailable, match="removed or replaced"):
        await store.put("a", b"2", expect=1, entry=WHY)


async def test_a_path_that_cannot_be_opened_is_unavailable_until_it_can(
    store: SqliteStore, path: Path
) -> None:
    write(path.parent, b"")
    with pytest.raises(Unavailable, match=r"Not a directory|File exists"):
        await store.version()
    remove(path.parent)
    assert await store.version() == 0


async def test_a_directory_in_the_files_place_is_unavailable(
    store: SqliteStore, path: Path
) -> None:
    write(path / "file", b"")
    with pytest.raises(Unavailable, match="Is a directory"):
        await store.version()
