"""The embedded store: one SQLite file, shared by the processes of a machine.

One thread reads and one writes: a write that waits for another process's lock does not
hold up the version poll, on which a worker's lease depends.
"""

import asyncio
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Final

from routing.audit import AuditEntry, Change, entry_after, timestamp
from routing.errors import Conflict, Corrupt
from routing.store import MOST_ENTRIES, Document, check_key, next_version
from routing.stores.sqlite_file import Lane, Layout, writing

HINT_SECONDS: Final = 0.02
"""Between two looks for another process's change; a look takes some 50 microseconds."""

_LAYOUT: Final = Layout(
    statements=(
        """
        CREATE TABLE documents (
          key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE audit (
          seq INTEGER PRIMARY KEY, at TEXT NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL,
          why TEXT NOT NULL, key TEXT NOT NULL, before BLOB, after BLOB NOT NULL,
          digest TEXT NOT NULL
        )
        """,
        """
        CREATE TABLE head (
          one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL,
          digest TEXT NOT NULL
        )
        """,
        # the digest before the first entry, `GENESIS`
        "INSERT INTO head VALUES (1, 0, printf('%064d', 0))",
    ),
    schema=1,
)


class SqliteStore:
    """The port on a file, which is made (mode 600) when it is not there."""

    def __init__(self, path: Path) -> None:
        """Take the file's path; nothing is opened before the first call."""
        self._reader: Final = Lane(path, "wastegate-state-read", _LAYOUT)
        self._writer: Final = Lane(path, "wastegate-state-write", _LAYOUT)
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
    with writing(db):
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
