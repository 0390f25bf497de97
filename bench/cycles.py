"""Mounting and unmounting over and over, under load: `python -m bench cycles`.

Six adapters of noise take turns in the two slots of a real vLLM of its own, while
clients ask both slots. Each adapter's log-probability on one prompt was learnt before,
so that an answer tells who gave it, whatever its label says. Written to docs/cycles.md:
answers that another gave than the label says, requests that are still open at the end,
and the memory of both programs.
"""

import asyncio
import hashlib
import itertools
import math
import secrets
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx

from adapters.registry import Registry
from bench import random_adapters
from bench.errors import BenchError
from bench.processes import ROOT, Launch, Running, free_ports, started

OUT: Final = Path("docs/cycles.md")
CYCLES: Final = 500
REFS: Final = tuple(f"noise-{letter}@v1" for letter in "abcdef")
BASE: Final = "smollm2-135m-instruct@1.0"
SLOTS: Final[Mapping[str, str]] = {"lora": "one", "lora_pref": "two"}
"""Generators, each with the tenant that is pinned to it."""
CLIENTS: Final = 2
PROMPT: Final = "Tell me about the kettle."
NEAR: Final = 0.02
"""Nats between two answers of one adapter; batches differ by some thousandths."""
READY_SECONDS: Final = 300.0
CORES: Final = "0,1"


class Told(NamedTuple):
    """What an answer shows of who gave it."""

    token: str
    logprob: float

    def near(self, other: "Told") -> bool:
        """Whether one model may have given both."""
        alike = math.isclose(self.logprob, other.logprob, abs_tol=NEAR)
        return self.token == other.token and alike


class Seen(NamedTuple):
    """What a run showed."""

    outcomes: Counter[str]
    """Answers by label, refusals by code."""
    wrong: list[str]
    seconds: list[float]
    """Of each mount, until the adapter was ready."""
    memory: list[tuple[int, float, float]]
    """Cycle, MiB of the engine, MiB of the gateway."""
    open: int
    """Requests that were in flight when nobody asked any more."""


def main(cycles: int = CYCLES) -> int:
    """Run, write `OUT`, print it; 1 if an answer was wrong or a lease is left."""
    with tempfile.TemporaryDirectory(prefix="wastegate-cycles-") as directory:
        seen = _run(Path(directory), cycles)
    text = _report(seen, cycles)
    OUT.write_text(text)
    sys.stdout.write(text)
    return 1 if seen.wrong or seen.open else 0


def _run(home: Path, cycles: int) -> Seen:
    base, engine_python = ROOT / "var/models" / BASE, ROOT / ".venv-engine/bin/python"
    if not (base / "base.json").is_file() or not engine_python.exists():
        raise BenchError("no engine or no base model: `make up && make down` once")
    for ref in REFS:
        random_adapters.write(home / "made" / ref, ref, base)
        Registry(home / "adapters").add(home / "made" / ref)
    engine, data, admin = free_ports(3)
    keys = {tenant: secrets.token_hex(16) for tenant in ("admin", *SLOTS.values())}
    config = home / "wastegate.toml"
    config.write_text(_configuration(home, (data, admin, engine), keys))
    serve = (sys.executable, "-m", "gateway", "serve", "--config", str(config))
    launches = (
        Launch("engine", _vllm(engine_python, base, engine), CORES, engine, home / "e"),
        Launch("gateway", serve, CORES, data, home / "g"),
    )
    with ExitStack() as stack:
        # Each listens before the next is started; vLLM takes a minute.
        running = [
            stack.enter_context(started(launch, READY_SECONDS)) for launch in launches
        ]
        bench = _Bench((data, admin), keys, running)
        return asyncio.run(bench.run(cycles))


def _vllm(python: Path, base: Path, port: int) -> tuple[str, ...]:
    environment = {
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        "PYTHONPATH": str(ROOT / "images/engine"),
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "0-1",
        "OMP_NUM_THREADS": "2",
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
    }
    return (
        *("env", *(f"{name}={value}" for name, value in environment.items())),
        *(str(python), "-m", "vllm.entrypoints.openai.api_server"),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--model", str(base), "--served-model-name", "base"),
        *("--dtype", "float32", "--enforce-eager", "--max-model-len", "512"),
        *("--enable-lora", "--max-loras", str(len(SLOTS)), "--max-lora-rank", "8"),
    )


def _configuration(
    home: Path, ports: tuple[int, int, int], keys: Mapping[str, str]
) -> str:
    data, admin, engine = ports
    digests = {
        name: hashlib.sha256(key.encode()).hexdigest() for name, key in keys.items()
    }
    tenants = "\n".join(
        f'[tenants.{name}]\nkey_sha256 = ["{digests[name]}"]' for name in SLOTS.values()
    )
    return f"""
[gateway]
listen = "127.0.0.1:{data}"
admin_listen = "127.0.0.1:{admin}"
state = "sqlite:{home}/state.db"
[admin]
key_sha256 = ["{digests["admin"]}"]
[engine]
replicas = ["http://127.0.0.1:{engine}"]
max_loras = {len(SLOTS)}
[registry]
path = "{home}/adapters"
{tenants}
"""


class _Bench:
    def __init__(
        self,
        ports: tuple[int, int],
        keys: Mapping[str, str],
        running: list[Running],
    ) -> None:
        data, admin = ports
        self._keys = keys
        self._running = running
        self._data = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{data}", timeout=120, trust_env=False
        )
        self._admin = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{admin}/admin/v1/",
            headers={"authorization": f"Bearer {keys['admin']}"},
            timeout=120,
            trust_env=False,
        )
        self._golden: dict[str, Told] = {}
        self._over = asyncio.Event()
        self._seen = Seen(Counter(), [], [], [], 0)

    async def run(self, cycles: int) -> Seen:
        """Learn who says what, then turn."""
        async with self._data, self._admin:
            for generator, tenant in SLOTS.items():
                await self._do("PUT", f"overrides/{tenant}", {"variant": generator})
            await self._learn()
            async with asyncio.TaskGroup() as clients:
                for tenant in (*SLOTS.values(),) * CLIENTS:
                    clients.create_task(self._client(tenant))
                try:
                    await self._turn(cycles)
                finally:
                    self._over.set()
            replicas = (await self._do("GET", "replicas"))["replicas"]
            left = sum(each["in_flight"] for each in replicas)
        return self._seen._replace(open=left)

    async def _learn(self) -> None:
        tenant = SLOTS["lora"]
        for ref in REFS:
            await self._do("PUT", "bindings/lora", {"ref": ref})
            await self._do("POST", "adapters", {"ref": ref})
            label, told = await self._ask(tenant)
            if told is None or label != ref:
                raise BenchError(f"{ref} did not answer: {label}")
            self._golden[ref] = told
            await self._do("DELETE", f"adapters/{ref}")
        for one, other in itertools.combinations(self._golden.values(), 2):
            if one.near(other):
                raise BenchError(f"two adapters answer alike: {one}, {other}")

    async def _turn(self, cycles: int) -> None:
        order = itertools.cycle(REFS)
        slots = itertools.cycle(SLOTS)
        held: dict[str, str] = {}
        for cycle in range(cycles):
            slot, ref = next(slots), next(order)
            if slot in held:
                await self._do("DELETE", f"adapters/{held[slot]}")
            await self._do("PUT", f"bindings/{slot}", {"ref": ref})
            began = time.monotonic()
            await self._do("POST", "adapters", {"ref": ref})
            self._seen.seconds.append(time.monotonic() - began)
            held[slot] = ref
            if cycle % 50 == 0 or cycle == cycles - 1:
                engine, gateway = (each.megabytes() for each in self._running)
                self._seen.memory.append((cycle + 1, engine, gateway))
                told = f"{engine:.0f} and {gateway:.0f} MiB"
                sys.stderr.write(f"{cycle + 1} of {cycles}: {told}\n")

    async def _client(self, tenant: str) -> None:
        while not self._over.is_set():
            label, told = await self._ask(tenant)
            self._seen.outcomes[label] += 1
            if told is None:
                await asyncio.sleep(0.05)
            elif not told.near(self._golden[label]):
                self._seen.wrong.append(f"{label} said {told}")

    async def _ask(self, tenant: str) -> tuple[str, Told | None]:
        """The label of an answer and what it shows; or a refusal's code."""
        reply = await self._data.post(
            "/v1/chat/completions",
            json={
                "model": "auto",
                "messages": [{"role": "user", "content": PROMPT}],
                "temperature": 0,
                "max_tokens": 1,
                "logprobs": True,
                "top_logprobs": 1,
            },
            headers={"authorization": f"Bearer {self._keys[tenant]}"},
        )
        if reply.status_code != HTTPStatus.OK:
            return str(reply.json()["error"]["code"]), None
        first = reply.json()["choices"][0]["logprobs"]["content"][0]
        told = Told(first["token"], first["logprob"])
        return reply.headers["x-wastegate-model"], told

    async def _do(self, method: str, path: str, body: Any = None) -> Any:
        reply = await self._admin.request(method, path, json=body)
        if not reply.is_success:
            raise BenchError(f"{method} {path}: {reply.text}")
        return reply.json()


def _report(seen: Seen, cycles: int) -> str:
    today = datetime.now(UTC).date()  # noqa: TID251 -- a report's date
    answers = {k: n for k, n in seen.outcomes.items() if k in REFS}
    refusals = {k: n for k, n in sorted(seen.outcomes.items()) if k not in REFS}
    refused = ", ".join(f"{n:,} {code}" for code, n in refusals.items()) or "none"
    quantiles = statistics.quantiles(seen.seconds, n=100, method="inclusive")
    return "\n".join(
        [
            "# Adapters that come and go",
            "",
            (
                f"Made on {today} by `python -m bench cycles`: {cycles} cycles of"
                f" unmount, bind and mount of {len(REFS)} adapters in the"
                f" {len(SLOTS)} slots of a real vLLM (`--max-loras {len(SLOTS)}`, 2"
                f" cores), {CLIENTS * len(SLOTS)} clients asking all the time. Who"
                " answered is told by the log-probability of the first token, learnt of"
                " each adapter before; the label is the answer's header."
            ),
            "",
            "| what | figure | bar |",
            "|---|--:|--:|",
            (
                "| answers by another adapter than the label says, of"
                f" {sum(answers.values()):,} | {len(seen.wrong)} | 0 |"
            ),
            f"| requests still open at the end | {seen.open} | 0 |",
            f"| refusals while an adapter was out | {refused} | typed |",
            (
                "| a mount until it is proven and ready, p50 / p99 |"
                f" {quantiles[49]:.2f} / {quantiles[98]:.2f} s | |"
            ),
            "",
            "| after cycles | engine, MiB | gateway, MiB |",
            "|--:|--:|--:|",
            *(
                f"| {cycle} | {engine:.0f} | {gateway:.0f} |"
                for cycle, engine, gateway in seen.memory
            ),
            "",
            *(f"WRONG: {each}" for each in seen.wrong[:20]),
        ]
    )
