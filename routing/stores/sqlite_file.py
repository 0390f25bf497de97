"""An SQLite file of ours: opened, owned, shared with other processes, and healed.

WAL: readers are never blocked by a writer; with `synchronous=FULL` a commit is on disk
before it is acknowledged. Blocking calls run on threads of their own, one
a `Lane`. After any error but "busy" the connection is given up and the next call opens
another, so a full disk or a replaced file heals by itself.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from routing.errors import Conflict, Corrupt, StoreError, Unavailable

BUSY_SECONDS: Final = 2.0
"""How long a call waits for another process's lock. A write takes milliseconds."""

_APPLICATION: Final = 0x57415354  # "WAST": tells our files from other SQLite files
_LATER: Final = {
    sqlite3.SQLITE_BUSY: "another process holds its lock for too long",
    sqlite3.SQLITE_LOCKED: "another connection holds its lock for too long",
    sqlite3.SQLITE_FULL: "the disk is full: make room",
    sqlite3.SQLITE_IOERR: "the disk refuses (full, over quota or failing)",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: check the path and its permissions",
    sqlite3.SQLITE_READONLY: "it cannot be written: check its permissions",
    sqlite3.SQLITE_PERM: "it cannot be opened: check its permissions",
    sqlite3.SQLITE_PROTOCOL: "too many processes open it at once",
    sqlite3.SQLITE_NOMEM: "no memory is left",
}
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

T = TypeVar("T")


class Layout(msgspec.Struct, frozen=True):
    """What a kind of file holds: SQL that makes it, and its version."""

    statements: tuple[str, ...]
    schema: int
    durable: bool = True
    """Whether a commit is on disk before it is acknowledged. Without, a crash of the
    machine (not of a process) may lose the last ones, and a commit costs no flush."""


class Lane:
    """One connection and the only thread that touches it."""

    def __init__(self, path: Path, name: str, layout: Layout) -> None:
        """Take the path and what it holds; nothing is opened before the first call."""
        self._path = path
        self._layout = layout
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._db: sqlite3.Connection | None = None
        self._inode = (0, 0)
        self._closed = False

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do something with the connection, in the thread.

        Raises:
            Unavailable, Corrupt, StoreError: as in `routing.store`.
        """
        if self._closed:
            raise StoreError(f"the state file {self._path} was closed: open it again")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._attempt, work)

    async def close(self) -> None:
        """Give the connection back; what is under way ends first."""
        if self._closed:
            return
        self._closed = True
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._drop)
        self._thread.shutdown()

    def _attempt(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return work(self._connection())
        except sqlite3.Error as error:
            if _primary(error) != sqlite3.SQLITE_BUSY:
                self._drop()
            raise _translated(self._path, error) from error
        except Conflict:
            raise
        except StoreError:
            self._drop()
            raise
        except OSError as error:
            self._drop()
            raise Unavailable(f"the state file {self._path}: {error}") from error

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = _open(self._path, self._layout)
            self._inode = _inode(self._path)
        elif _inode(self._path) != self._inode:
            # SQLite would go on with the unlinked file, and acknowledge changes
            # that nobody else can ever see.
            raise Unavailable(
                f"the state file {self._path} was removed or replaced while in use:"
                " the next call opens what is there now"
            )
        return self._db

    def _drop(self) -> None:
        if self._db is not None:
            with suppress(sqlite3.Error):  # it failed already; the next one is new
                self._db.close()
            self._db = None


def _inode(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return (0, 0)
    return (found.st_dev, found.st_ino)


def _open(path: Path, layout: Layout) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # SQLite gives its side files the mode of the file, so the file comes first.
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(handle).st_mode & 0o077:
            os.fchmod(handle, 0o600)
    finally:
        os.close(handle)
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        _prepare(db, path, layout)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, path: Path, layout: Layout) -> None:
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute(f"PRAGMA synchronous = {'FULL' if layout.durable else 'NORMAL'}")
    if _is_new(db):
        with writing(db):  # takes the lock: one of several first openers creates
            if _is_new(db):
                _create(db, layout)
    owner, schema = _pragma(db, "application_id"), _pragma(db, "user_version")
    if owner != _APPLICATION:
        raise Corrupt(
            f"{path} is another program's SQLite file: name a file of its own"
        )
    if schema != layout.schema:
        raise Corrupt(
            f"{path} has schema {schema}, this program knows {layout.schema}:"
            " use the version of Wastegate that wrote it"
        )
    if _pragma(db, "journal_mode") != "wal":
        _to_wal(db, path)


def _is_new(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0


def _create(db: sqlite3.Connection, layout: Layout) -> None:
    for statement in layout.statements:
        db.execute(statement)
    db.execute(f"PRAGMA application_id = {_APPLICATION}")
    db.execute(f"PRAGMA user_version = {layout.schema}")


def _to_wal(db: sqlite3.Connection, path: Path) -> None:
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            break
        except sqlite3.OperationalError as error:
            # Two first openers: SQLite's own waiting does not cover this switch.
            if _primary(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
    if mode != "wal":
        raise StoreError(
            f"{path} is on a file system without shared memory (mode {mode!r}):"
            " put the state file on a local disk, or use redis"
        )


def _pragma(db: sqlite3.Connection, name: str) -> int | str:
    return db.execute(f"PRAGMA {name}").fetchone()[0]


@contextmanager
def writing(db: sqlite3.Connection) -> Generator[None]:
    """A transaction that has the write lock from its beginning; all of it or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite rolls back by itself after some errors
            db.execute("ROLLBACK")
        raise


def _primary(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _translated(path: Path, error: sqlite3.Error) -> StoreError:
    code = _primary(error)
    if code in _DAMAGED:
        return Corrupt(
            f"the state file {path} is damaged or is no SQLite file ({error}):"
            " move it away with its -wal and -shm, and restore a backup"
        )
    if code in _LATER:
        return Unavailable(f"the state file {path}: {_LATER[code]} ({error})")
    return StoreError(f"the state file {path} refuses: {error}")
