"""Several workers of one gateway: one flag, one kill, one unload, one count."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapters.registry import Registry
from gateway.engine.fake import FakeVllm
from gateway.engine.fake_quirks import Quirks
from tests.contract.store.redis_server import RedisServer
from tests.contract.workers import WITHIN, Gateway, command, gateway
from tests.stack import configuration
from tests.unit.adapters.making import run, tensors, write_adapter
from tests.unit.gateway.conftest import LORA, PREF
from tests.unit.gateway.test_assist import GOOD


@pytest.fixture
def home(tmp_path: Path, url: str, fake_vllm: FakeVllm) -> Path:
    """The files of a gateway on the store under test, with two registered adapters."""
    registry = tmp_path / "adapters"
    for number, ref in enumerate((LORA, PREF)):
        source = tmp_path / f"made-{number}"
        write_adapter(source, given=tensors(), facts=run(ref, seed=number))
        Registry(registry).add(source)
    extra = f'[gateway]\nstate = "{url}"\nlast_known = "{tmp_path}/known.json"\n'
    configuration([fake_vllm.url], tmp_path, registry=registry, extra=extra)
    return tmp_path


@pytest.fixture
async def three(home: Path, fake_vllm: FakeVllm) -> AsyncIterator[Gateway]:
    """A gateway of three workers whose adapters are ready."""
    async with gateway(home) as running:
        await running.complete(3)
        await running.ready(LORA, PREF)
        fake_vllm.quirks = Quirks(answer=lambda _: GOOD)
        yield running


async def test_a_flip_and_a_kill_are_with_every_worker_when_they_are_answered(
    three: Gateway,
) -> None:
    await three.flipped("lora")
    kill = await three.admin("POST", "kill", {"scope": "global"})
    assert (len(kill.json["acknowledged"]), kill.json["stragglers"]) == (3, [])
    assert await three.generators() == {"base"}
    await three.admin("DELETE", "kill", {"scope": "global"})
    kill = await three.admin("POST", "kill", {"scope": "tenant", "name": "careful"})
    assert len(kill.json["acknowledged"]) == 3
    assert await three.generators() == {"lora"}


async def test_what_all_workers_have_served_is_counted_once_and_survives_them(
    three: Gateway,
) -> None:
    await three.generators(60)
    served = {"tenant": "acme", "outcome": "ok"}
    await three.counts(60, "wastegate_requests_total", **served)
    await three.counts(60, "wastegate_request_duration_seconds_count")
    assert await three.count("process_open_fds") > 3
    assert await three.count("wastegate_flag_version") == 1
    before = three.workers
    three.kill(1)
    await _replaced(three, before[1])
    await three.counts(60, "wastegate_requests_total", **served)
    await three.generators(30)
    await three.counts(90, "wastegate_requests_total", **served)


async def _replaced(running: Gateway, pid: int) -> None:
    async with asyncio.timeout(WITHIN):
        while (pids := set(running.workers.values())) and (
            pid in pids or len(pids) < 3
        ):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("index", [0, 2])
async def test_a_worker_that_is_killed_is_replaced_and_new_requests_are_served(
    three: Gateway, index: int
) -> None:
    await three.flipped("lora")
    await three.admin("POST", "kill", {"scope": "tenant", "name": "careful"})
    over, statuses = asyncio.Event(), list[Any]()

    async def client() -> None:
        while not over.is_set():
            try:
                statuses.append((await three.chat()).status)
            except aiohttp.ClientError as error:
                # Those that the killed worker was answering; they are few.
                statuses.append(type(error).__name__)

    async with asyncio.TaskGroup() as clients:
        for _ in range(4):
            clients.create_task(client())
        before = three.workers
        three.kill(index)
        await _replaced(three, before[index])
        await three.until("adapters", lambda found: bool(found["adapters"]))
        since = len(statuses)
        async with asyncio.timeout(WITHIN):
            while len(statuses) < since + 200:
                await asyncio.sleep(0.02)
        over.set()
    assert set(statuses[since:]) == {200}
    assert sum(status != 200 for status in statuses) <= 4
    assert await three.generators() == {"lora"}


async def test_an_unload_waits_for_the_stream_of_another_worker(
    three: Gateway, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = Quirks(answer=lambda _: "a b c d e f g h", chunk_delay=0.2)
    await three.flipped("lora")
    await three.admin("POST", "kill", {"scope": "tenant", "name": "careful"})
    body = {"model": "auto", "messages": [{"role": "user", "content": "?"}]}
    streams = [
        asyncio.create_task(three.ask("/v1/chat/completions", body | {"stream": True}))
        for _ in range(9)
    ]
    await fake_vllm.until(lambda: fake_vllm.running == 9)
    gone = asyncio.create_task(three.admin("DELETE", f"adapters/{LORA}"))
    await asyncio.wait((gone, *streams), return_when=asyncio.FIRST_COMPLETED)
    assert not gone.done()  # before the first stream has ended
    replies = await asyncio.gather(*streams)
    assert {reply.events[-1] for reply in replies} == {"[DONE]"}
    assert {r.headers["X-Wastegate-Generator"] for r in replies} == {"lora"}
    done = (await gone).json
    assert [step["step"] for step in done["steps"]][-1] == "verified", done
    refused = await asyncio.gather(*(three.chat() for _ in range(20)))
    assert {reply.code for reply in refused} == {"adapter_unavailable"}


async def test_a_kill_is_with_every_worker_while_the_store_is_dead(
    home: Path, request: pytest.FixtureRequest, url: str, fake_vllm: FakeVllm
) -> None:
    if not url.startswith("redis"):
        return  # the other store is a file: it dies with the machine
    redis: RedisServer = request.getfixturevalue("redis_server")
    async with gateway(home) as three:
        await three.complete(3)
        await three.ready(LORA, PREF)
        fake_vllm.quirks = Quirks(answer=lambda _: GOOD)
        await three.flipped("lora")
        await three.admin("POST", "kill", {"scope": "tenant", "name": "careful"})
        redis.kill()
        try:
            kill = await three.admin(
                "POST", "kill", {"scope": "variant", "name": "lora"}
            )
            assert kill.json["persisted"] is False
            assert (len(kill.json["acknowledged"]), kill.json["stragglers"]) == (3, [])
            assert await three.generators() == {"base"}
            for index in (0, 1):  # and outlives the workers, one by one
                pid = three.workers[index]
                os.kill(pid, signal.SIGKILL)
                await _replaced(three, pid)
            assert await three.generators() == {"base"}
            kills = await three.admin("GET", "kill")
            assert kills.json["persisted"] is False
        finally:
            redis.start()
        await three.until("store", lambda found: found["up"])
        again = await three.admin("POST", "kill", {"scope": "variant", "name": "lora"})
        assert again.json["persisted"] is True
        assert await three.generators() == {"base"}


async def test_a_terminated_gateway_ends_its_streams_and_refuses_at_once(
    home: Path, fake_vllm: FakeVllm
) -> None:
    async with gateway(home) as three:
        fake_vllm.quirks = Quirks(answer=lambda _: "a b c d e f g h", chunk_delay=0.2)
        body = {"model": "auto", "messages": [{"role": "user", "content": "?"}]}
        stream = asyncio.create_task(
            three.ask("/v1/chat/completions", body | {"stream": True})
        )
        await fake_vllm.until(lambda: fake_vllm.running == 1)
        three.stop()
        async with asyncio.timeout(WITHIN):
            while True:
                try:
                    await three.chat()
                except aiohttp.ClientConnectorError:
                    break
        assert (await stream).events[-1] == "[DONE]"
        assert await asyncio.to_thread(three.process.wait, WITHIN) == 0


async def test_workers_end_when_their_parent_is_killed(home: Path) -> None:
    async with gateway(home) as three:
        pids = list(three.workers.values())
        three.process.kill()
        three.process.wait()
        async with asyncio.timeout(WITHIN):
            while any(alive(pid) for pid in pids):
                await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def refused(home: Path, extra: str) -> "subprocess.CompletedProcess[str]":
    (home / "workers.toml").write_text(f"[gateway]\nworkers = 2\n{extra}")
    return subprocess.run(  # noqa: S603 -- our own command line
        command(home), capture_output=True, text=True, timeout=WITHIN, check=False
    )


def test_a_port_that_is_taken_is_one_line_and_no_worker(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = refused(home, f'listen = "127.0.0.1:{port}"\n')
    assert found.returncode == 1
    assert found.stderr.startswith(f"wastegate: cannot listen on 127.0.0.1:{port}: ")
    assert found.stderr.count("\n") == 1


def test_keeping_outputs_is_refused_where_feedback_could_come_to_another_worker(
    home: Path,
) -> None:
    found = refused(home, '[tenants.acme]\nkeep = "all"\n')
    assert found.returncode == 2
    assert "tenants.acme.keep: needs `gateway.workers = 1`" in found.stderr


def test_a_schema_that_is_no_use_ends_the_gateway_instead_of_trying_again(
    home: Path,
) -> None:
    (home / "bad.json").write_text('{"type": 3}')
    found = refused(home, '[surfaces.email]\nschema = "bad.json"\n')
    assert found.returncode == 2
    assert "surfaces.email.schema" in found.stderr
