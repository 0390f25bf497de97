"""How soon a flag's change is everywhere: `python -m bench flips`; docs/flips.md.

Four processes hold a flag up with a store by the gateway's own loop and say when each
version came into force; this one writes. A fifth is connected through a relay, which is
cut: from then on it has to stop serving canaries by itself.
"""

import asyncio
import contextlib
import math
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from bench.errors import BenchError
from bench.flip_workers import flip_times
from bench.processes import ROOT, Launch, free_ports, started
from bench.relay import relayed_to
from gateway.control.documents import FLAGS_KEY
from routing.errors import Unavailable
from routing.flags import FlagDocument, encode
from routing.store import Change, Store
from routing.stores import open_store

OUT: Final = Path("docs/flips.md")
WORKERS: Final = 4
FLIPS: Final = 1_000
LOST: Final = 100
PAUSE_SECONDS: Final = 0.02
SETTLE_SECONDS: Final = 30.0
P99_MS: Final = 100.0
LOST_MS: Final = 300.0
CUT_SECONDS: Final = 5.0
RETURNS: Final = 5
AWAY_SECONDS: Final = 1.5
RETURNED_SECONDS: Final = 1.0


class Worker:
    """A process of `bench.follower`, and the moments that it told."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.moments: dict[int, float] = {}
        """When each version came into force, in monotonic seconds."""
        self.backwards = 0
        self.stale = asyncio.Event()
        self.stale_at = math.inf

    async def follow(self) -> None:
        """Read what it says until it ends."""
        if self._process.stdout is None:
            raise BenchError("a follower has no output")
        newest = 0
        async for line in self._process.stdout:
            what, number, moment = line.split()
            if what == b"stale":
                self.stale_at = float(moment)
                self.stale.set()
                continue
            version = int(number)
            self.backwards += version < newest
            newest = max(newest, version)
            self.moments.setdefault(version, float(moment))

    async def end(self) -> None:
        """Stop the process."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        await self._process.wait()


class Line(NamedTuple):
    """One figure with its bar."""

    what: str
    figure: str
    bar: str
    kept: bool


def main(flips: int = FLIPS) -> int:
    """Measure on both stores, write `OUT`, print it; 1 if a bar is missed."""
    with tempfile.TemporaryDirectory(prefix="wastegate-flips-") as directory:
        lines = asyncio.run(_all(Path(directory), flips))
    text = _report(lines)
    OUT.write_text(text)
    sys.stdout.write(text)
    return 0 if all(line.kept for line in lines) else 1


async def _all(home: Path, flips: int) -> list[Line]:
    program = shutil.which("redis-server")
    if program is None:
        raise BenchError(
            "redis-server not found; on Debian: apt-get install redis-server"
        )
    (port,) = free_ports(1)
    arguments = (
        *(program, "--port", str(port), "--bind", "127.0.0.1", "--save", ""),
        *("--dir", str(home), "--appendonly", "yes", "--appendfsync", "always"),
    )
    redis = f"redis://127.0.0.1:{port}/0"
    launch = Launch("redis", arguments, 0, port, home / "redis.log")
    lines = await _flips("SQLite", f"sqlite:{home}/state.db", flips)
    with started(launch):
        lines += await _flips("Redis", redis, flips)
        lines += await asyncio.to_thread(_gateway, home, redis, flips)
        lines.append(await _lost(redis))
        lines.append(await _cut(port))
    lines.append(await _returned(launch, redis))
    return lines


async def _flips(name: str, url: str, flips: int) -> list[Line]:
    async with _workers(url, WORKERS) as workers, _opened(url) as store:
        begun = await _write(store, flips, PAUSE_SECONDS)
        await _settled(workers, max(begun))
        seen = [_last(workers, version, at) for version, at in begun.items()]
        back = sum(worker.backwards for worker in workers)
    return [
        Line(
            f"{name}: {flips:,} flips to the last of {WORKERS}, p50 / p99 / most",
            f"{_ms(seen, 50)} / {_ms(seen, 99)} / {max(seen) * 1e3:.0f} ms",
            f"p99 ≤ {P99_MS:.0f} ms",
            _percentile(seen, 99) * 1e3 <= P99_MS,
        ),
        Line(f"{name}: versions that went back", str(back), "0", back == 0),
    ]


def _gateway(home: Path, url: str, flips: int) -> list[Line]:
    """The same through a whole gateway of as many workers, by PUT."""
    seen, back, client = flip_times(home, url, WORKERS, flips)
    return [
        Line(
            f"Redis, a gateway of {WORKERS} workers under requests: {flips:,} PUTs to"
            " the last worker, p50 / p99 / most",
            f"{_ms(seen, 50)} / {_ms(seen, 99)} / {max(seen) * 1e3:.0f} ms",
            f"p99 ≤ {P99_MS:.0f} ms",
            _percentile(seen, 99) * 1e3 <= P99_MS,
        ),
        Line("the same: versions that went back in a worker", str(back), "0", not back),
        Line(
            f"the same: requests that failed meanwhile, of {client.asked:,}",
            str(client.failed),
            "0",
            not client.failed,
        ),
    ]


async def _lost(url: str) -> Line:
    """The hints are never heard: what a lost one costs is the next look."""
    async with _workers(url, WORKERS, "--deaf") as workers, _opened(url) as store:
        begun = await _write(store, LOST, PAUSE_SECONDS)
        await _settled(workers, max(begun))
        seen = [_last(workers, version, at) for version, at in begun.items()]
    most = max(seen) * 1e3
    what = f"Redis, no hint heard: {LOST} flips to the last of {WORKERS}, most"
    return Line(what, f"{most:.0f} ms", f"≤ {LOST_MS:.0f} ms", most <= LOST_MS)


async def _returned(launch: Launch, url: str) -> Line:
    """Redis is killed, stays away, and comes back with a change."""
    most = 0.0
    async with AsyncExitStack() as stack:
        with started(launch):
            workers = await stack.enter_async_context(_workers(url, WORKERS))
        for _ in range(RETURNS):
            await asyncio.sleep(AWAY_SECONDS)
            with started(launch):
                async with _opened(url) as store:
                    version, at = await _written(store)
                await _settled(workers, version)
                most = max(most, _last(workers, version, at))
    what = f"Redis, killed and back {RETURNS} times: until the last of {WORKERS}, most"
    kept = most <= RETURNED_SECONDS
    return Line(what, f"{most:.2f} s", f"≤ {RETURNED_SECONDS:.0f} s", kept)


async def _written(store: Store) -> tuple[int, float]:
    """Write once a store has loaded what it had; the version, and when it was asked."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        try:
            ((version, at),) = (await _write(store, 1, 0)).items()
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.01)
        else:
            return version, at


async def _cut(port: int) -> Line:
    """A worker whose connection is cut serves no canary after the lease."""
    (relayed,) = free_ports(1)
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(relayed_to(port, at=relayed))
        url = f"redis://127.0.0.1:{relayed}/0"
        (worker,) = await stack.enter_async_context(_workers(url, 1))
        direct = f"redis://127.0.0.1:{port}/0"
        store = await stack.enter_async_context(_opened(direct))
        begun = await _write(store, 1, PAUSE_SECONDS)
        await _settled([worker], max(begun))
        at = time.monotonic()
        relay.freeze()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                await worker.stale.wait()
        took = worker.stale_at - at
    what = "Redis, cut off in silence: until no canary is served"
    return Line(what, f"{took:.2f} s", f"≤ {CUT_SECONDS:.0f} s", took <= CUT_SECONDS)


async def _write(store: Store, flips: int, pause: float) -> dict[int, float]:
    """Write so many versions; when each write began."""
    held = await store.get(FLAGS_KEY)
    version = held.version if held else 0
    begun: dict[int, float] = {}
    now = datetime.now(UTC)  # noqa: TID251 -- an audit entry's date
    for number in range(flips):
        body = encode(FlagDocument(lora=number % 10_000))
        at = time.monotonic()
        change = Change("bench", "flags.set", "", now)
        version = (
            await store.put(FLAGS_KEY, body, expect=version, entry=change)
        ).version
        begun[version] = at
        await asyncio.sleep(pause)
    return begun


async def _settled(workers: Sequence[Worker], version: int) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while not all(version in worker.moments for worker in workers):
        if time.monotonic() > deadline:
            raise BenchError(f"version {version} did not come to every worker")
        await asyncio.sleep(0.01)


def _last(workers: Sequence[Worker], version: int, begun: float) -> float:
    """Seconds until the last worker had this version or a newer one."""
    return max(
        min(at for held, at in worker.moments.items() if held >= version) - begun
        for worker in workers
    )


def _percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _ms(values: Sequence[float], percent: int) -> str:
    return f"{_percentile(values, percent) * 1e3:.0f}"


@asynccontextmanager
async def _opened(url: str) -> AsyncGenerator[Store]:
    store = open_store(url)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def _workers(
    url: str, count: int, *options: str
) -> AsyncGenerator[Sequence[Worker]]:
    workers: list[Worker] = []
    async with asyncio.TaskGroup() as group:
        try:
            for _ in range(count):
                process = await asyncio.create_subprocess_exec(
                    *("setpriv", "--pdeathsig", "KILL", sys.executable),
                    *("-m", "bench.follower", url, *options),
                    cwd=ROOT,
                    stdout=asyncio.subprocess.PIPE,
                )
                workers.append(Worker(process))
                group.create_task(workers[-1].follow())
            await _settled(workers, 0)
            yield workers
        finally:
            for worker in workers:
                await worker.end()


def _report(lines: Sequence[Line]) -> str:
    today = datetime.now(UTC).date()  # noqa: TID251 -- a report's date
    missed = [f"MISSED: {line.what}: {line.figure}" for line in lines if not line.kept]
    return "\n".join(
        [
            "# How soon a flag's change is everywhere",
            "",
            (
                f"Made on {today} by `python -m bench flips`: {WORKERS} processes that"
                " hold a flag up with a store as a gateway does, and one that writes;"
                " from the beginning of a write until the last has it in force. The"
                " rows of a gateway are of its own workers, and from an operator's PUT."
            ),
            "",
            "| what | figure | bar |",
            "|---|--:|--:|",
            *(f"| {line.what} | {line.figure} | {line.bar} |" for line in lines),
            "",
            *missed,
            *([""] if missed else []),
        ]
    )
