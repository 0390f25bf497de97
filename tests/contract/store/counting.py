"""Counting through a store: what must come out right whatever happens to it."""

import contextlib
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from routing.audit import AuditEntry, verify
from routing.errors import Conflict
from routing.store import Change, Store

ROOT: Final = Path(__file__).parents[3]
AT: Final = datetime(2026, 11, 22, 21, 0, 0, 123456, tzinfo=UTC)
WHY: Final = Change("alice", "flag set", "canary of v1", AT)


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
