"""Two real vLLM servers: one is killed under load, forgets all, and is whole again."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

import httpx
import pytest

from bench import random_adapters
from tests.conftest import BASE, Engine, RealVllm
from tests.e2e.conftest import Gateway, serving

pytestmark = [pytest.mark.vllm, pytest.mark.slow]

LORA: Final = "acme-behav-lora@v1"
PREF: Final = "acme-behav-pref@v1"
CLIENTS: Final = 4
WITHIN: Final = 240.0


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = Engine(tmp_path_factory.mktemp("second") / "vllm.log")
    engine.start()
    engine.wait_until_healthy()
    yield engine
    engine.stop()


NOISE: Final = tuple(f"noise-{number}@v1" for number in range(4))
"""As many as the engine has slots."""


def first_token(url: str, model: str) -> tuple[str, float]:
    """The first token of an answer and its log-probability: the print of who spoke."""
    reply = httpx.post(
        f"{url}/v1/chat/completions",
        json={
            "model": model,
            "messages": [{"role": "user", "content": "Tell me about the kettle."}],
            "temperature": 0,
            "max_tokens": 1,
            "logprobs": True,
            "top_logprobs": 1,
        },
        timeout=60,
    )
    first = reply.json()["choices"][0]["logprobs"]["content"][0]
    return first["token"], first["logprob"]


def test_the_base_is_the_base_whatever_shares_its_batch(
    second: Engine, tmp_path: Path
) -> None:
    alone = first_token(second.url, "base")
    prints: dict[str, tuple[str, float]] = {}
    for name in NOISE:
        random_adapters.write(tmp_path / name, name, BASE)
        body = {"lora_name": name, "lora_path": str(tmp_path / name)}
        loaded = httpx.post(f"{second.url}/v1/load_lora_adapter", json=body, timeout=60)
        assert loaded.status_code == 200, loaded.text
        prints[name] = first_token(second.url, name)
    assert all(abs(alone[1] - each) > 0.05 for _, each in prints.values())
    with ThreadPoolExecutor(4) as pool:
        for name in NOISE:
            asked = [name, "base", name, "base"] * 4
            found = list(pool.map(partial(first_token, second.url), asked))
            for model, (token, logprob) in zip(asked, found, strict=True):
                expected = prints.get(model, alone)
                assert token == expected[0], (model, name)
                assert logprob == pytest.approx(expected[1], abs=0.02), (model, name)
    for name in NOISE:
        gone = {"lora_name": name}
        httpx.post(f"{second.url}/v1/unload_lora_adapter", json=gone, timeout=60)


class Clients:
    """Ask all the time, base and adapter in turn; what came is counted."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(number,), daemon=True)
            for number in range(CLIENTS)
        ]
        self.outcomes: Counter[tuple[int, str]] = Counter()
        self._lock = threading.Lock()
        self.pause = 0.0
        """Seconds between two questions of one client."""

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    @property
    def answered(self) -> int:
        with self._lock:
            return self.outcomes.total()

    def _ask(self, number: int) -> None:
        key = "careful-key" if number % 2 else "tenant-key"
        while not self._over.is_set():
            reply = self._gateway.assist(f"What guarantee, {number}?", key=key)
            code = "" if reply.is_success else reply.json()["error"]["code"]
            with self._lock:
                self.outcomes[reply.status_code, code] += 1
            self._over.wait(self.pause)


def states(gateway: Gateway, url: str) -> dict[str, str]:
    """The adapters' states on one replica."""
    listed = gateway.admin("GET", "adapters").json()["adapters"]
    return {
        adapter["ref"]: replica["state"]
        for adapter in listed
        for replica in adapter["replicas"]
        if replica["url"] == url
    }


def alive(gateway: Gateway, url: str) -> bool:
    replicas = gateway.admin("GET", "replicas").json()["replicas"]
    return any(each["url"] == url and each["alive"] for each in replicas)


def until(holds: object, what: str) -> float:
    """Wait for a condition with a deadline; the seconds that it took."""
    assert callable(holds)
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < WITHIN, f"never: {what}"
        time.sleep(0.1)
    return time.monotonic() - began


def test_a_killed_replica_costs_nobody_an_answer_and_gets_its_adapters_back(
    real_vllm: RealVllm,
    second: Engine,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    where = tmp_path / "gateway"
    where.mkdir()
    whole = {LORA: "ready", PREF: "ready"}
    with serving(where, real_vllm.url, second.url) as gateway:
        for url in (real_vllm.url, second.url):
            until(lambda url=url: states(gateway, url) == whole, f"ready on {url}")
        gateway.admin("PUT", "overrides/careful", {"variant": "lora"})
        clients = Clients(gateway)
        clients.start()
        try:
            until(lambda: clients.answered > CLIENTS, "answers")
            second.kill()
            until(lambda: not alive(gateway, second.url), "its death is seen")
            answered = clients.answered
            until(lambda: clients.answered > answered + CLIENTS, "answers by the other")
            # One that starts needs both cores for a minute; so does one that is asked.
            clients.pause = 8.0
            second.start()
            second.wait_until_healthy()
            took = until(lambda: states(gateway, second.url) == whole, "ready again")
        finally:
            clients.stop()
        # 502 is what an output that fits no schema gets, which the base's never does.
        assert {status for status, _ in clients.outcomes} <= {200, 502}
        assert {code for _, code in clients.outcomes} <= {
            *("", "output_invalid", "output_truncated")
        }, clients.outcomes
        assert clients.outcomes[200, ""] > 0
        record_property("seconds to ready", round(took, 1))
