"""What a hot swap costs: `python -m bench swap`, on a running stack; docs/swaps.md.

Those who stay on the base: clients stream while the adapter stays, and then while it is
unmounted and mounted again, over and over; the ratio of the base's p95 times to the
first token. Once with the base's clients alone, and once with as many of the adapter's,
who go over from one adapter to the other: the load is the same in both phases.

The first one to come back to the adapter: its time to the first token right after each
swap, over that of the requests that follow, on an otherwise idle machine.
"""

import asyncio
import itertools
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import httpx

from bench.errors import BenchError
from bench.swapped import (
    ADAPTER,
    CLIENTS,
    OTHER,
    SWAPS,
    TOKENS,
    First,
    Phase,
    Served,
    Swapped,
    report,
)
from evals.environment import Access

WARM: Final = 2
"""Requests after the first one after a swap."""
OUT: Final = Path("docs/swaps.md")
TENANT: Final = "acme"
BACK_OFF: Final = 0.25
"""Seconds that a refused client waits, as a well-behaved one does."""


async def run(given: Access, seconds: float) -> str:
    """Measure on a running stack, `seconds` before the swaps; write and return `OUT`.

    Raises:
        BenchError: the stack does not answer, or not as it should.
    """
    async with httpx.AsyncClient(timeout=120) as http:
        bench = _Bench(http, given)
        saved = await bench.admin("GET", "flags/GENERATOR")
        try:
            await bench.split()
            units = await bench.units()
            first = await bench.first(units["lora"][0])
            alone = await bench.measure(
                "the base's alone", units["base"], seconds, bench.swap
            )
            await bench.unmount(OTHER)
            both = await bench.measure(
                "and the adapter's, hot swap",
                units["base"] + units["lora"],
                seconds,
                bench.hot_swap,
            )
        except httpx.TransportError as error:
            raise BenchError(f"the stack does not answer: {error}; make up") from error
        finally:
            await bench.put_back(saved)
    text = report(first, alone, both)
    OUT.write_text(text, encoding="utf-8")
    return text


class _Bench:
    def __init__(self, http: httpx.AsyncClient, given: Access) -> None:
        self._http = http
        self._given = given
        self._phase: Phase = "before"
        self._served: list[Served] = []
        self._on = True
        self._version = ""
        self._order = (ADAPTER, OTHER)
        """What is in, and what comes next."""

    async def admin(
        self, method: str, path: str, body: object = None
    ) -> httpx.Response:
        """Ask the control plane; anything but 200 ends the run."""
        key = f"Bearer {self._given.admin_key}"
        reply = await self._http.request(
            method,
            f"{self._given.admin_url}/admin/v1/{path}",
            json=body,
            headers={"authorization": key, "if-match": self._version},
        )
        if not reply.is_success:
            raise BenchError(f"{method} {path}: {reply.status_code} {reply.text}")
        self._version = reply.headers.get("etag", self._version)
        return reply

    async def split(self) -> None:
        """Give half of the conversations to the adapter."""
        flag = (await self.admin("GET", "flags/GENERATOR")).json()
        halves: dict[str, object] = {
            "default": "base",
            "lora": 5000,
            "lora_pref": 0,
            "overrides": {},
        }
        await self.admin("PUT", "flags/GENERATOR", flag | halves | {"why": "bench"})
        await self._mount(ADAPTER)

    async def put_back(self, saved: httpx.Response) -> None:
        """Leave the flag as it was, and both adapters mounted."""
        await self.admin("PUT", "bindings/lora", {"ref": ADAPTER, "why": "bench"})
        for ref in (ADAPTER, OTHER):
            await self._mount(ref)
        await self.admin("GET", "flags/GENERATOR")
        body = saved.json() | {"why": "bench is over"}
        await self.admin("PUT", "flags/GENERATOR", body)

    async def first(self, unit: str) -> First:
        """Swap on an idle machine, and ask as soon as the mount is answered."""
        firsts: list[float] = []
        warm: list[float] = []
        mounts: list[float] = []
        for number in range(SWAPS):
            began = time.perf_counter()
            await self.swap()
            mounts.append(time.perf_counter() - began)
            for turn in range(1 + WARM):
                served = await self._request(unit, f"{number}-{turn}")
                if served.outcome != "ok" or served.ttft is None:
                    raise BenchError(f"after a swap: {served}")
                if served.model != ADAPTER:
                    raise BenchError(f"after a swap {served.model} answered")
                (warm if turn else firsts).append(served.ttft)
        return First(tuple(firsts), tuple(warm), tuple(mounts))

    async def measure(
        self,
        what: str,
        units: list[str],
        seconds: float,
        swap: Callable[[], Awaitable[None]],
    ) -> Swapped:
        """Both phases, of clients that have these conversations."""
        self._phase, self._on = "before", True
        async with asyncio.TaskGroup() as group:
            for unit in units:
                group.create_task(self._client(unit))
            # The first answers of cold clients are nobody's steady state.
            await asyncio.sleep(seconds / 6)
            self._served.clear()
            await asyncio.sleep(seconds)
            self._phase = "swap"
            began = time.perf_counter()
            for _ in range(SWAPS):
                await swap()
            lasted = time.perf_counter() - began
            self._on = False
        return Swapped(what, tuple(self._served), (seconds, lasted))

    async def units(self) -> dict[str, list[str]]:
        """Conversations, as many of the base as of the adapter."""
        found: dict[str, list[str]] = {"base": [], "lora": []}
        for number in itertools.count():
            unit = f"bench-{number}"
            path = f"resolve?tenant={TENANT}&surface=auto&unit={unit}"
            told = (await self.admin("GET", path)).json()["generator"]
            if len(found[told]) < CLIENTS:
                found[told].append(unit)
            if all(len(units) == CLIENTS for units in found.values()):
                break
        return found

    async def swap(self) -> None:
        """Take the adapter out, and in again."""
        await self.unmount(ADAPTER)
        await self._mount(ADAPTER)

    async def hot_swap(self) -> None:
        """Let the one adapter take the other's place."""
        old, new = self._order
        await self._mount(new)
        await self.admin("PUT", "bindings/lora", {"ref": new, "why": "bench"})
        await self.unmount(old)
        self._order = (new, old)

    async def _mount(self, ref: str) -> None:
        await self.admin("POST", "adapters", {"ref": ref, "why": "bench"})

    async def unmount(self, ref: str) -> None:
        """Take an adapter out."""
        await self.admin("DELETE", f"adapters/{ref}?why=bench")

    async def _client(self, unit: str) -> None:
        while self._on:
            served = await self._request(unit, unit)
            self._served.append(served)
            if served.outcome != "ok":
                await asyncio.sleep(BACK_OFF)

    async def _request(self, unit: str, what: str) -> Served:
        phase, began, first = self._phase, time.perf_counter(), None
        body = {
            "model": "auto",
            "messages": [{"role": "user", "content": f"Describe kettle {what}."}],
            "max_tokens": TOKENS,
            "stream": True,
        }
        headers = {
            "authorization": f"Bearer {self._given.key}",
            "x-conversation-id": unit,
        }
        url = f"{self._given.url}/v1/chat/completions"
        text = ""
        async with self._http.stream("POST", url, json=body, headers=headers) as reply:
            model = reply.headers.get("x-wastegate-model", "")
            async for piece in reply.aiter_text():
                first = first or time.perf_counter() - began
                text += piece
        if not reply.is_success:
            return Served(phase, model, None, json.loads(text)["error"]["code"])
        whole = text.endswith("data: [DONE]\n\n") and '"wastegate"' in text
        return Served(phase, model, first, "ok" if whole else "broken")
