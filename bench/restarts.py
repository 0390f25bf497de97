"""vLLM killed with -9, over and over, under requests: `python -m bench restarts`.

On the stack of `make up`, whose supervisor starts it again. Each time: until it answers
`/health`, from then until the base answers through the gateway, and until every adapter
is proven and ready again; and how each request of two clients ended, of which one asks
the base and one an adapter. Written to docs/restarts.md.
"""

import asyncio
import json
import os
import signal
import statistics
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx

from bench.errors import BenchError
from evals.environment import Access

OUT: Final = Path("docs/restarts.md")
STACK: Final = Path("var/run/stack.json")
ENGINE: Final = "http://127.0.0.1:8000"
WITHIN: Final = 300.0
"""Seconds for each thing that is waited for."""
PAUSE: Final = 0.2
"""Seconds between two requests of a client: a core is for the engine's start."""
SETTLE: Final = 5.0
"""Seconds of ordinary traffic before each kill."""


class Restart(NamedTuple):
    """One kill; seconds."""

    health: float
    """From the kill until `/health` answered."""
    base: float
    """From then until the base answered through the gateway."""
    ready: float
    """From then until every adapter was ready again."""


class _Bench:
    def __init__(self, http: httpx.AsyncClient, given: Access) -> None:
        self._http = http
        self._given = given
        self._over = False
        self._version = ""
        self.outcomes: Counter[str] = Counter()
        self.longest = 0.0

    async def admin(self, method: str, path: str, body: object = None) -> Any:
        """Ask the control plane; anything but success ends the run."""
        url = f"{self._given.admin_url}/admin/v1/{path}"
        key = f"Bearer {self._given.admin_key}"
        headers = {"authorization": key, "if-match": self._version}
        reply = await self._http.request(method, url, json=body, headers=headers)
        if not reply.is_success:
            raise BenchError(f"{method} {path}: {reply.text}")
        self._version = reply.headers.get("etag", self._version)
        return reply.json()

    async def ask(self, unit: str) -> str:
        """One short answer: which model gave it, or why there is none."""
        reply = await self._http.post(
            f"{self._given.url}/v1/chat/completions",
            json={
                "model": "auto",
                "messages": [{"role": "user", "content": f"Describe kettle {unit}."}],
                "max_tokens": 4,
            },
            headers={
                "authorization": f"Bearer {self._given.key}",
                "x-conversation-id": unit,
            },
        )
        if reply.status_code != HTTPStatus.OK:
            return str(reply.json()["error"]["code"])
        return f"answered by {reply.headers['x-wastegate-model']}"

    async def units(self) -> tuple[str, str]:
        """A conversation of the base, and one of the adapter."""
        found: dict[str, str] = {}
        for number in range(1_000):
            path = f"resolve?tenant=acme&surface=auto&unit=restart-{number}"
            told = (await self.admin("GET", path))["generator"]
            found.setdefault(told, f"restart-{number}")
            if len(found) > 1:
                return found["base"], found["lora"]
        raise BenchError("no conversation falls to the adapter")

    async def client(self, unit: str) -> None:
        """Ask until it is over."""
        while not self._over:
            began = time.monotonic()
            self.outcomes[await self.ask(unit)] += 1
            self.longest = max(self.longest, time.monotonic() - began)
            await asyncio.sleep(PAUSE)

    async def all(self, times: int, base: str) -> list[Restart]:
        """Kill and wait, so many times."""
        done: list[Restart] = []
        try:
            for number in range(times):
                await asyncio.sleep(SETTLE)
                done.append(await self._once(base))
                sys.stderr.write(f"{number + 1} of {times}: {done[-1]}\n")
        finally:
            self._over = True
        return done

    async def _once(self, base: str) -> Restart:
        began = time.monotonic()
        os.kill(_engine(), signal.SIGKILL)
        await _until(lambda: self._health(up=False))
        await _until(lambda: self._health(up=True))
        health = time.monotonic()
        answered = asyncio.create_task(_until(lambda: self._answers(base)))
        await _until(self._ready)
        ready = time.monotonic()
        await answered
        return Restart(health - began, answered.result() - health, ready - health)

    async def _health(self, *, up: bool) -> bool:
        try:
            reply = await self._http.get(f"{ENGINE}/health")
        except httpx.TransportError:
            return not up
        return reply.is_success is up

    async def _answers(self, unit: str) -> bool:
        return (await self.ask(unit)).startswith("answered")

    async def _ready(self) -> bool:
        listed = (await self.admin("GET", "adapters"))["adapters"]
        return all(
            replica["state"] == "ready" and replica["alive"]
            for adapter in listed
            if adapter["desired"] == "mounted"
            for replica in adapter["replicas"]
        )


def _engine() -> int:
    try:
        children = json.loads(STACK.read_text(encoding="utf-8"))["children"]
        (pid,) = [c["identity"]["pid"] for c in children if c["name"] == "engine"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchError("no vLLM of `make up` runs here; make up") from error
    return int(pid)


async def _until(holds: Callable[[], Awaitable[bool]]) -> float:
    """Wait for a condition; when it held, on the monotonic clock."""
    async with asyncio.timeout(WITHIN):
        while True:
            if await holds():
                return time.monotonic()
            await asyncio.sleep(0.05)


async def run(given: Access, times: int) -> str:
    """Measure on a running stack; write and return `OUT`.

    Raises:
        BenchError: the stack does not answer, or vLLM does not come back.
    """
    limits = httpx.Timeout(WITHIN)
    async with httpx.AsyncClient(timeout=limits, trust_env=False) as http:
        bench = _Bench(http, given)
        saved = await bench.admin("GET", "flags/GENERATOR")
        split: dict[str, Any] = {
            "default": "base",
            "lora": 5_000,
            "lora_pref": 0,
            "overrides": {},
        }
        try:
            await _put(bench, saved | split)
            units = await bench.units()
            async with asyncio.TaskGroup() as group:
                for unit in units:
                    group.create_task(bench.client(unit))
                done = await bench.all(times, units[0])
        except (httpx.TransportError, TimeoutError) as error:
            raise BenchError(f"it did not come back: {error!r}") from error
        finally:
            await _put(bench, saved)
    text = _report(done, bench.outcomes, bench.longest)
    OUT.write_text(text, encoding="utf-8")
    return text


async def _put(bench: _Bench, document: dict[str, Any]) -> None:
    await bench.admin("GET", "flags/GENERATOR")  # for its version
    await bench.admin("PUT", "flags/GENERATOR", document | {"why": "bench"})


def _report(done: list[Restart], outcomes: Counter[str], longest: float) -> str:
    today = datetime.now(UTC).date()  # noqa: TID251 -- a report's date
    rows = (
        ("from the kill until `/health` answers", [each.health for each in done]),
        ("from then until the base answers a client", [each.base for each in done]),
        ("from then until all adapters are ready", [each.ready for each in done]),
    )
    return "\n".join(
        [
            "# vLLM killed, and back",
            "",
            (
                f"Made on {today} by `python -m bench restarts` on the stack of `make"
                f" up`: vLLM killed with -9 {len(done)} times while one client asked"
                " the base and one an adapter. Nobody did anything but the supervisor"
                " and the gateway."
            ),
            "",
            f"| seconds, n = {len(done)} | median | longest |",
            "|---|--:|--:|",
            *(
                f"| {what} | {statistics.median(times):.1f} | {max(times):.1f} |"
                for what, times in rows
            ),
            "",
            "| requests | n |",
            "|---|--:|",
            *(f"| {what} | {n:,} |" for what, n in sorted(outcomes.items())),
            "",
            f"The longest took {longest:.1f} s; each had an answer or a typed error.",
            "",
        ]
    )
