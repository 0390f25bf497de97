"""Tallies beside the embedded store: a file of their own, one transaction a batch.

Apart from the state, so that counting never waits for a flag nor a flag for counting,
and that a lost file loses counts and no wish of anybody. So commits are not flushed:
every process writes one a second.
"""

import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from routing.errors import Conflict
from routing.stores.sqlite_file import Lane, Layout, writing
from routing.tallies import Counted, Entry, increments, stage_of
from routing.tally import Stage

_LAYOUT: Final = Layout(
    statements=(
        """
        CREATE TABLE counted (
          rollout TEXT NOT NULL, stage INTEGER NOT NULL, unit BLOB NOT NULL,
          PRIMARY KEY (rollout, stage, unit)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE counts (
          rollout TEXT NOT NULL, stage INTEGER NOT NULL, name TEXT NOT NULL,
          number INTEGER NOT NULL, PRIMARY KEY (rollout, stage, name)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE records (
          rollout TEXT NOT NULL, number INTEGER NOT NULL, body BLOB NOT NULL,
          PRIMARY KEY (rollout, number)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE leases (
          name TEXT PRIMARY KEY, owner TEXT NOT NULL, until REAL NOT NULL
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE announced (
          who TEXT PRIMARY KEY, version INTEGER NOT NULL, until REAL NOT NULL
        ) WITHOUT ROWID
        """,
    ),
    schema=1,
    durable=False,
)

_LONGEST: Final = 3_600.0
"""No announcement is good for longer, in seconds."""


class SqliteTallies:
    """The port of `routing.tallies` on a file."""

    def __init__(self, path: Path) -> None:
        """Take the file's path; nothing is opened before the first call."""
        self._lane: Final = Lane(path, "wastegate-tallies", _LAYOUT)

    async def count(self, rollout: str, outcomes: Iterable[Counted]) -> None:
        """See the port."""
        batch = tuple(outcomes)
        await self._lane.run(lambda db: _count(db, rollout, batch))

    async def stage(self, rollout: str, stage: int) -> Stage:
        """See the port."""
        return await self._lane.run(lambda db: _stage(db, rollout, stage))

    async def forget(self, rollout: str, stages: int) -> None:
        """See the port."""
        await self._lane.run(lambda db: _forget(db, rollout, stages))

    async def write(self, rollout: str, entry: Entry) -> None:
        """See the port."""
        await self._lane.run(lambda db: _write(db, rollout, entry))

    async def records(self, rollout: str, limit: int) -> list[Entry]:
        """See the port."""
        return await self._lane.run(lambda db: _records(db, rollout, limit))

    async def hold(self, name: str, owner: str, seconds: float) -> bool:
        """See the port; the clock is the machine's, which all its processes share."""
        now = time.monotonic()
        return await self._lane.run(lambda db: _hold(db, name, owner, now, seconds))

    async def announce(self, who: str, version: int, seconds: float) -> None:
        """See the port."""
        now = time.monotonic()
        until = now + seconds
        await self._lane.run(lambda db: _announce(db, who, version, now, until))

    async def announced(self) -> dict[str, int]:
        """See the port."""
        now = time.monotonic()
        return await self._lane.run(lambda db: _announced(db, now))

    async def close(self) -> None:
        """See the port."""
        await self._lane.close()


def _count(db: sqlite3.Connection, rollout: str, batch: tuple[Counted, ...]) -> None:
    with writing(db):
        for each in batch:
            new = db.execute(
                "INSERT OR IGNORE INTO counted VALUES (?, ?, ?)",
                (rollout, each.stage, each.unit),
            )
            if not new.rowcount:
                continue
            db.executemany(
                "INSERT INTO counts VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
                " SET number = number + excluded.number",
                [
                    (rollout, each.stage, name, number)
                    for name, number in increments(each.outcome).items()
                ],
            )


def _stage(db: sqlite3.Connection, rollout: str, stage: int) -> Stage:
    rows = db.execute(
        "SELECT name, number FROM counts WHERE rollout = ? AND stage = ?",
        (rollout, stage),
    )
    return stage_of(dict(rows))


def _forget(db: sqlite3.Connection, rollout: str, stages: int) -> None:
    with writing(db):
        db.execute(
            "DELETE FROM counted WHERE rollout = ? AND stage < ?", (rollout, stages)
        )


def _write(db: sqlite3.Connection, rollout: str, entry: Entry) -> None:
    with writing(db):
        newest = _records(db, rollout, 1)
        found = newest[0].number if newest else 0
        if entry.number not in (max(found, 1), found + 1):
            raise Conflict(entry.number - 1, found, key=f"records of {rollout}")
        db.execute(
            "INSERT OR REPLACE INTO records VALUES (?, ?, ?)",
            (rollout, entry.number, entry.body),
        )


def _records(db: sqlite3.Connection, rollout: str, limit: int) -> list[Entry]:
    rows = db.execute(
        "SELECT number, body FROM records WHERE rollout = ?"
        " ORDER BY number DESC LIMIT ?",
        (rollout, limit),
    )
    return [Entry(number, body) for number, body in rows]


def _hold(
    db: sqlite3.Connection, name: str, owner: str, now: float, seconds: float
) -> bool:
    with writing(db):
        held = db.execute(
            "SELECT owner, until FROM leases WHERE name = ?", (name,)
        ).fetchone()
        # a lease from before the machine's start ends further ahead than any can
        if held and held[0] != owner and now < held[1] <= now + seconds:
            return False
        db.execute(
            "INSERT INTO leases VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
            " SET owner = excluded.owner, until = excluded.until",
            (name, owner, now + seconds),
        )
        return True


def _announce(
    db: sqlite3.Connection, who: str, version: int, now: float, until: float
) -> None:
    with writing(db):
        # what was announced before the machine's last start may end far ahead
        db.execute(
            "DELETE FROM announced WHERE until <= ? OR until >= ?",
            (now, now + _LONGEST),
        )
        db.execute(
            "INSERT OR REPLACE INTO announced VALUES (?, ?, ?)", (who, version, until)
        )


def _announced(db: sqlite3.Connection, now: float) -> dict[str, int]:
    rows = db.execute(
        "SELECT who, version FROM announced WHERE until > ? AND until < ?",
        (now, now + _LONGEST),
    )
    return dict(rows.fetchall())
