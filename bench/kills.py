"""Writers that are killed: `python -m bench kills`; docs/kills.md.

A process changes the flag again and again and says each change that it was told is
done; it is killed at a random moment, a thousand times for each store. Then what was
acknowledged has to be there, whole, and in the audit log.
"""

import asyncio
import os
import secrets
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from bench.errors import BenchError
from bench.processes import Launch, free_ports, started
from gateway.control.documents import FLAGS_KEY
from routing.audit import verify
from routing.errors import Conflict
from routing.flags import FlagDocument, decode, encode
from routing.store import MOST_ENTRIES, Change
from routing.stores import open_store

OUT: Final = Path("docs/kills.md")
KILLS: Final = 1_000
LONGEST_SECONDS: Final = 0.02
"""From the first acknowledged change to the kill, at most; a change takes some of it."""
FIRST_SECONDS: Final = 30.0
EVERY: Final = 100


class Line(NamedTuple):
    """What came of all kills of one store."""

    store: str
    kills: int
    acknowledged: int
    """Changes."""
    unacknowledged: int
    """Changes that were written, and whose writer was killed before it knew."""
    lost: int
    torn: int
    audit: str


def main(kills: int = KILLS) -> int:
    """Kill, write `OUT`, print it; 1 if anything was lost or torn."""
    program = shutil.which("redis-server")
    if program is None:
        raise BenchError(
            "redis-server not found; on Debian: apt-get install redis-server"
        )
    with tempfile.TemporaryDirectory(prefix="wastegate-kills-") as directory:
        home = Path(directory)
        lines = [_killed("SQLite", f"sqlite:{home}/state.db", kills)]
        (port,) = free_ports(1)
        arguments = (
            *(program, "--port", str(port), "--bind", "127.0.0.1", "--save", ""),
            *("--dir", directory, "--appendonly", "yes", "--appendfsync", "always"),
        )
        with started(Launch("redis", arguments, 0, port, home / "redis.log")):
            lines.append(_killed("Redis", f"redis://127.0.0.1:{port}/0", kills))
    text = _report(lines)
    OUT.write_text(text)
    sys.stdout.write(text)
    sound = all(
        not line.lost and not line.torn and line.audit == "sound" for line in lines
    )
    return 0 if sound else 1


def _killed(name: str, url: str, kills: int) -> Line:
    acknowledged = unacknowledged = lost = torn = 0
    for round_ in range(kills):
        told = _one(url)
        version, whole = asyncio.run(_found(url))
        acknowledged += told[1] - told[0]
        lost += version < told[1]
        unacknowledged += version - told[1] if version > told[1] else 0
        torn += not whole
        if not round_ % EVERY:
            sys.stderr.write(f"{name}: {round_} of {kills} kills\n")
    audit = asyncio.run(_audited(url))
    return Line(name, kills, acknowledged, unacknowledged, lost, torn, audit)


def _one(url: str) -> tuple[int, int]:
    """Kill one writer; the version before it, and the last that it was told."""
    before, _ = asyncio.run(_found(url))
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reader)
        _write(url, writer)
    os.close(writer)
    try:
        if not select.select([reader], [], [], FIRST_SECONDS)[0]:
            raise BenchError("a writer has not written anything")
        time.sleep(LONGEST_SECONDS * secrets.randbelow(1_000) / 1_000)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    with os.fdopen(reader, "rb") as told:
        versions = told.read().splitlines()
    return before, int(versions[-1])


def _write(url: str, told: int) -> NoReturn:
    """Write until killed; only a killed writer leaves."""
    try:
        asyncio.run(_writing(url, told))
    finally:
        os._exit(1)  # the parent's own handlers are not this process's to run


async def _writing(url: str, told: int) -> None:
    store = open_store(url)
    held = await store.get(FLAGS_KEY)
    version = held.version if held else 0
    change = Change("bench", "flags.set", "", datetime.now(UTC))  # noqa: TID251 -- an audit entry's date
    while True:
        body = encode(FlagDocument(lora=version % 10_000, salt=f"r{version + 1}"))
        try:
            put = await store.put(FLAGS_KEY, body, expect=version, entry=change)
        except Conflict as conflict:
            # a writer before this one was killed between the write and its answer
            version = conflict.found
            continue
        version = put.version
        os.write(told, b"%d\n" % version)


async def _found(url: str) -> tuple[int, bool]:
    """The version that is there, and whether its body is the one of that version."""
    store = open_store(url)
    held = await store.get(FLAGS_KEY)
    await store.close()
    if held is None:
        return 0, True
    return held.version, decode(held.body).salt == f"r{held.version}"


async def _audited(url: str) -> str:
    """Whether the log is a whole chain that ends in what is there."""
    store = open_store(url)
    entries = await store.audit(MOST_ENTRIES)
    held = await store.get(FLAGS_KEY)
    await store.close()
    verify(entries)
    if held is None or entries[0].after != held.body or len(entries) != held.version:
        return "not the state"
    return "sound"


def _report(lines: Sequence[Line]) -> str:
    today = datetime.now(UTC).date()  # noqa: TID251 -- a report's date
    return "\n".join(
        [
            "# Writers that are killed",
            "",
            (
                f"Made on {today} by `python -m bench kills`: a process changes the flag"
                " again and again and is killed (SIGKILL) at a random moment. **unknown**:"
                " changes that were written although the writer was killed before it was"
                " told. Redis with `appendonly yes`, `appendfsync always`."
            ),
            "",
            "| store | kills | acknowledged changes | unknown | lost | torn | audit log |",
            "|---|--:|--:|--:|--:|--:|---|",
            *(
                f"| {line.store} | {line.kills:,} | {line.acknowledged:,} |"
                f" {line.unacknowledged:,} | {line.lost} | {line.torn} | {line.audit} |"
                for line in lines
            ),
            "",
        ]
    )
