"""What a hot swap costs those who stay on the base: `python -m bench swap`.

On a running stack, half of the clients stream from the base and half from an adapter.
First the adapter stays; then it is unmounted and mounted again, over and over. The
figure is the ratio of the base's p95 times to the first token, second over first, in
one run on one machine.
"""

import asyncio
import itertools
import json
import time
from typing import Final, Literal

import httpx
import msgspec

from bench.errors import BenchError
from evals.environment import Access

CLIENTS: Final = 16
ADAPTER: Final = "acme-behav-lora@v1"
TENANT: Final = "acme"
TOKENS: Final = 24
BACK_OFF: Final = 0.25
"""Seconds that a refused client waits, as a well-behaved one does."""

Phase = Literal["before", "swap"]


class Served(msgspec.Struct, frozen=True):
    """One request: in which phase it began, who answered, and when it first spoke."""

    phase: Phase
    model: str
    ttft: float | None
    """Seconds; None for one that was refused."""
    outcome: str
    """`ok`, an error's code, or `broken`: a stream that did not end as it should."""


class Swapped(msgspec.Struct, frozen=True):
    """What one run showed."""

    served: tuple[Served, ...]
    swaps: int
    seconds: float
    """Of each phase."""

    def ttfts(self, phase: Phase) -> list[float]:
        """The base's times to the first token in a phase, sorted; seconds."""
        return sorted(
            each.ttft
            for each in self.served
            if each.phase == phase and each.model != ADAPTER and each.ttft is not None
        )

    @property
    def report(self) -> str:
        """Lines for a terminal."""
        lines = [f"{CLIENTS} clients, {self.seconds:g} s a phase, {self.swaps} swaps"]
        lines.append("phase    base n   TTFT p50   TTFT p95   (seconds)")
        for phase in ("before", "swap"):
            times = self.ttfts(phase)
            p50, p95 = quantile(times, 0.5), quantile(times, 0.95)
            lines.append(f"{phase:8} {len(times):6}   {p50:8.3f}   {p95:8.3f}")
        before = quantile(self.ttfts("before"), 0.95)
        ratio = quantile(self.ttfts("swap"), 0.95) / before
        lines.append(f"base TTFT p95, swap over before: {ratio:.2f}")
        counted = sorted({each.outcome for each in self.served})
        told = ", ".join(f"{what} {self.count(what)}" for what in counted)
        return "\n".join([*lines, f"outcomes: {told}"])

    def count(self, outcome: str) -> int:
        """How many requests ended so."""
        return sum(each.outcome == outcome for each in self.served)


def quantile(ordered: list[float], q: float) -> float:
    """The smallest value that at least the share `q` does not exceed.

    Raises:
        BenchError: there is nothing to take it of.
    """
    if not ordered:
        raise BenchError("no request of the base was answered; is the stack up?")
    return ordered[max(0, -(-int(len(ordered) * q * 1000) // 1000) - 1)]


async def run(given: Access, seconds: float) -> Swapped:
    """Measure on a running stack, `seconds` a phase.

    Raises:
        BenchError: the stack does not answer, or not as it should.
    """
    async with httpx.AsyncClient(timeout=120) as http:
        bench = _Bench(http, given)
        saved = await bench.admin("GET", "flags/GENERATOR")
        try:
            await bench.split()
            return await bench.measure(seconds)
        except httpx.TransportError as error:
            raise BenchError(f"the stack does not answer: {error}; make up") from error
        finally:
            await bench.put_back(saved)


class _Bench:
    def __init__(self, http: httpx.AsyncClient, given: Access) -> None:
        self._http = http
        self._given = given
        self._phase: Phase = "before"
        self._served: list[Served] = []
        self._on = True
        self._version = ""

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
        await self.admin("POST", "adapters", {"ref": ADAPTER, "why": "bench"})

    async def put_back(self, saved: httpx.Response) -> None:
        """Leave the flag as it was and the adapter mounted."""
        await self.admin("POST", "adapters", {"ref": ADAPTER, "why": "bench is over"})
        await self.admin("GET", "flags/GENERATOR")
        body = saved.json() | {"why": "bench is over"}
        await self.admin("PUT", "flags/GENERATOR", body)

    async def measure(self, seconds: float) -> Swapped:
        """Both phases."""
        units = await self._units()
        async with asyncio.TaskGroup() as group:
            for unit in units:
                group.create_task(self._client(unit))
            # The first answers of cold clients are nobody's steady state.
            await asyncio.sleep(seconds / 6)
            self._served.clear()
            await asyncio.sleep(seconds)
            self._phase = "swap"
            swaps = await self._swap_until(time.perf_counter() + seconds)
            self._on = False
        return Swapped(tuple(self._served), swaps, seconds)

    async def _units(self) -> list[str]:
        """Conversations, as many of the base as of the adapter."""
        found: dict[str, list[str]] = {"base": [], "lora": []}
        for number in itertools.count():
            unit = f"bench-{number}"
            path = f"resolve?tenant={TENANT}&surface=auto&unit={unit}"
            told = (await self.admin("GET", path)).json()["generator"]
            if len(found[told]) < CLIENTS // 2:
                found[told].append(unit)
            if all(len(units) == CLIENTS // 2 for units in found.values()):
                break
        return found["base"] + found["lora"]

    async def _swap_until(self, deadline: float) -> int:
        swaps = 0
        while time.perf_counter() < deadline:
            await self.admin("DELETE", f"adapters/{ADAPTER}?why=bench")
            await self.admin("POST", "adapters", {"ref": ADAPTER, "why": "bench"})
            swaps += 1
        return swaps

    async def _client(self, unit: str) -> None:
        while self._on:
            served = await self._request(unit)
            self._served.append(served)
            if served.outcome != "ok":
                await asyncio.sleep(BACK_OFF)

    async def _request(self, unit: str) -> Served:
        phase, began, first = self._phase, time.perf_counter(), None
        body = {
            "model": "auto",
            "messages": [{"role": "user", "content": f"Describe kettle {unit}."}],
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
