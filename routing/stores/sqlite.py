"""The embedded store: one SQLite file, shared by the processes of a machine.

WAL with `synchronous=FULL`: a commit is on disk before it is acknowledged, and
readers are never blocked by a writer. The blocking calls run on two threads of
the store's own, one that writes and one that reads: a write that waits for
another process's lock does not hold up the version poll, on which a worker's
lease depends. After any error but "busy" the connection is given up and the
next call opens another, so a full disk or a replaced file heals by itself.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from routing.audit import GENESIS, AuditEntry, Change, entry_after, timestamp
from routing.errors import Conflict, Corrupt, StoreError, Unavailable
from routing.store import MOST_ENTRIES, Document, check_key, next_version

BUSY_SECONDS: Final = 2.0
"""How long a call waits for another process's lock. A write takes milliseconds."""

HINT_SECONDS: Final = 0.02
"""Between two looks for another process's change; a look takes some 50 microseconds."""

_APPLICATION: Final = 0x57415354  # "WAST": tells our files from other SQLite files
_SCHEMA: Final = 1

_TABLES: Final = """
CREATE TABLE documents (
  key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE audit (
  seq INTEGER PRIMARY KEY, at TEXT NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL,
  why TEXT NOT NULL, key TEXT NOT NULL, before BLOB, after BLOB NOT NULL,
  digest TEXT NOT NULL
);
CREATE TABLE head (
  one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL,
  digest TEXT NOT NULL
);
"""

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


class SqliteStore:
    """The port on a file, which is made (mode 600) when it is not there."""

    def __init__(self, path: Path) -> None:
        """Take the file's path; nothing is opened before the first call."""
        self._reader: Final = _Lane(path, "wastegate-state-read")
        self._writer: Final = _Lane(path, "wastegate-state-write")
        self._data_version = -1

    async def get(self, key: str) -> Document | None:
        """See the port."""
        check_key(key)
        return await self._reader.run(lambda db: _get(db, key))

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        expect: int,
        entry: Change,
        version: int | None = None,
    ) -> Document:
        """See the port. `Unavailable` after a full disk: nothing was written."""
        new = Document(check_key(key), next_version(expect, version), body)
        return await self._writer.run(lambda db: _put(db, new, expect, entry))

    async def version(self) -> int:
        """See the port; also sees the changes of other processes."""
        return await self._reader.run(lambda db: _head(db)[0])

    async def changed(self) -> None:
        """See the port; looks at a number in shared memory again and again."""
        while True:
            seen = await self._reader.run(_data_version)
            if seen != self._data_version:
                self._data_version = seen
                return
            await asyncio.sleep(HINT_SECONDS)

    async def audit(self, limit: int) -> list[AuditEntry]:
        """See the port."""
        return await self._reader.run(lambda db: _audit(db, limit))

    async def close(self) -> None:
        """See the port; a call that is under way ends first."""
        await self._reader.close()
        await self._writer.close()


class _Lane:
    """One connection and the only thread that touches it."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._db: sqlite3.Connection | None = None
        self._inode = (0, 0)
        self._closed = False

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed:
            raise StoreError(f"the state file {self._path} was closed: open it again")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._attempt, work)

    async def close(self) -> None:
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
            self._db = _open(self._path)
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


def _open(path: Path) -> sqlite3.Connection:
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
        _prepare(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute("PRAGMA synchronous = FULL")
    if _is_new(db):
        with _writing(db):  # takes the lock: one of several first openers creates
            if _is_new(db):
                _create(db)
    owner, schema = _pragma(db, "application_id"), _pragma(db, "user_version")
    if owner != _APPLICATION:
        raise Corrupt(
            f"{path} is another program's SQLite file: name a file of its own"
        )
    if schema != _SCHEMA:
        raise Corrupt(
            f"{path} has schema {schema}, this program knows {_SCHEMA}:"
            " use the version of Wastegate that wrote it"
        )
    if _pragma(db, "journal_mode") != "wal":
        _to_wal(db, path)


def _is_new(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0


def _create(db: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";"):
        db.execute(statement)
    db.execute("INSERT INTO head VALUES (1, 0, ?)", (GENESIS,))
    db.execute(f"PRAGMA application_id = {_APPLICATION}")
    db.execute(f"PRAGMA user_version = {_SCHEMA}")


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
def _writing(db: sqlite3.Connection) -> Generator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite rolls back by itself after some errors
            db.execute("ROLLBACK")
        raise


def _get(db: sqlite3.Connection, key: str) -> Document | None:
    row = db.execute(
        "SELECT version, body FROM documents WHERE key = ?", (key,)
    ).fetchone()
    return None if row is None else Document(key, row[0], row[1])


def _head(db: sqlite3.Connection) -> tuple[int, str]:
    row = db.execute("SELECT version, digest FROM head").fetchone()
    if row is None:
        raise Corrupt("the state file has lost its head: restore it from a backup")
    return row


def _put(
    db: sqlite3.Connection, new: Document, expect: int, change: Change
) -> Document:
    with _writing(db):
        old = _get(db, new.key)
        found = old.version if old else 0
        if found != expect:
            raise Conflict(expect, found, key=new.key)
        version, digest = _head(db)
        entry = entry_after(
            digest,
            seq=version + 1,
            key=new.key,
            change=change,
            before=old.body if old else None,
            after=new.body,
        )
        db.execute(
            "INSERT INTO documents VALUES (?, ?, ?) ON CONFLICT (key)"
            " DO UPDATE SET version = excluded.version, body = excluded.body",
            (new.key, new.version, new.body),
        )
        db.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", _row(entry))
        db.execute("UPDATE head SET version = ?, digest = ?", (entry.seq, entry.digest))
    return new


def _row(entry: AuditEntry) -> tuple[object, ...]:
    return (
        entry.seq,
        timestamp(entry.at),
        entry.who,
        entry.what,
        entry.why,
        entry.key,
        entry.before,
        entry.after,
        entry.digest,
    )


def _data_version(db: sqlite3.Connection) -> int:
    """Another number after each commit of any other connection."""
    return db.execute("PRAGMA data_version").fetchone()[0]


def _audit(db: sqlite3.Connection, limit: int) -> list[AuditEntry]:
    rows = db.execute(
        "SELECT seq, at, who, what, why, key, before, after, digest"
        " FROM audit ORDER BY seq DESC LIMIT ?",
        (min(max(limit, 0), MOST_ENTRIES),),
    )
    try:
        return [
            AuditEntry(row[0], datetime.fromisoformat(row[1]), *row[2:]) for row in rows
        ]
    except ValueError as error:
        raise Corrupt(
            f"the state file's audit log has an entry that Wastegate did not write"
            f" ({error}): restore a backup"
        ) from error


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
