"""Bad days: vLLM dies, freezes, stutters; the client leaves; the store is away."""

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest

from gateway.engine.fake import FakeVllm
from gateway.engine.fake_quirks import Quirks
from tests.stack import KEY, Stack, configuration, running
from tests.unit.gateway.conftest import LORA, Configured
from tests.unit.gateway.test_assist import GOOD, saying

QUICK = """
[engine.timeouts]
first_token = 0.3
between_chunks = 0.3
total = 1.0
"""


async def until_ready(stack: Stack, status: int) -> None:
    async with asyncio.timeout(10):
        while (await stack.get("/readyz")).status != status:
            await asyncio.sleep(0.02)


async def test_a_dead_engine_is_a_typed_502_and_comes_back_by_itself(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    await fake_vllm.stop()
    for reply in (await stack.chat(), await stack.assist(stream=True)):
        assert (reply.status, reply.code) == (502, "upstream_error")
    await until_ready(stack, 503)
    assert "vLLM" in (await stack.get("/readyz")).json["missing"][0]
    assert (await stack.get("/healthz")).status == 200
    await fake_vllm.start()
    await until_ready(stack, 200)
    assert (await stack.chat()).status == 200


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("inside", [False, True])
async def test_a_stream_that_is_cut_never_looks_complete(
    stack: Stack, fake_vllm: FakeVllm, at: int, *, inside: bool
) -> None:
    fake_vllm.quirks = Quirks(die_at=at, die_inside_character=inside)
    reply = await stack.chat(stream=True)
    if reply.status == 200:
        assert json.loads(reply.events[-1])["error"]["code"] == "upstream_error"
        assert '"finish_reason":"stop"' not in reply.body.decode()
        assert b"[DONE]" not in reply.body
    else:
        assert reply.code == "upstream_error"


@pytest.mark.parametrize("at", range(4))
async def test_a_checked_answer_that_is_cut_is_never_passed_on(
    stack: Stack, fake_vllm: FakeVllm, at: int
) -> None:
    fake_vllm.quirks = saying(GOOD.replace(",", " , "), die_at=at)
    reply = await stack.assist()
    assert (reply.status, reply.code) == (502, "upstream_error")


async def test_a_frozen_engine_is_a_typed_504(
    configured: Configured, fake_vllm: FakeVllm
) -> None:
    async with running(configured(QUICK)) as stack:
        await stack.all_ready()
        fake_vllm.quirks = Quirks(first_token_delay=30)
        for reply in (
            await stack.assist(),
            await stack.chat(stream=True),
            await stack.chat(),
        ):
            assert (reply.status, reply.code) == (504, "upstream_timeout")


async def test_a_stream_that_stalls_ends_with_an_error(
    configured: Configured, fake_vllm: FakeVllm
) -> None:
    async with running(configured(QUICK)) as stack:
        await stack.all_ready()
        fake_vllm.quirks = Quirks(freeze_at=3)
        reply = await stack.chat(stream=True)
    assert json.loads(reply.events[-1])["error"]["code"] == "upstream_timeout"


@pytest.mark.parametrize("malformed", ["no_done", "error_event", "html", "not_http"])
async def test_an_engine_that_talks_nonsense_is_an_upstream_error(
    stack: Stack, fake_vllm: FakeVllm, malformed: str
) -> None:
    fake_vllm.quirks = Quirks(malformed=malformed)  # pyright: ignore[reportArgumentType] -- parametrize knows no Literal
    reply = await stack.assist()
    assert (reply.status, reply.code) == (502, "upstream_error")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/assist", "/v1/chat/completions"])
async def test_a_client_that_leaves_closes_the_upstream(
    stack: Stack, fake_vllm: FakeVllm, path: str, *, stream: bool
) -> None:
    fake_vllm.quirks = Quirks(first_token_delay=60)
    body = {
        "/v1/assist": {"input": {"user": "?"}, "stream": stream},
        "/v1/chat/completions": {
            "model": "auto",
            "messages": [{"role": "user", "content": "?"}],
            "stream": stream,
        },
    }[path]
    auth = {"authorization": f"Bearer {KEY}"}
    async with aiohttp.ClientSession() as leaving:
        asked = asyncio.create_task(
            leaving.post(stack.url + path, json=body, headers=auth)  # pyright: ignore[reportArgumentType] -- aiohttp's request is a coroutine
        )
        async with asyncio.timeout(10):
            while not fake_vllm.running:
                await asyncio.sleep(0.005)
        asked.cancel()
    async with asyncio.timeout(10):
        while fake_vllm.running:
            await asyncio.sleep(0.005)
    assert fake_vllm.completions[-1].ended == "aborted"
    replicas = (await stack.admin("GET", "replicas")).json["replicas"]
    assert replicas[0]["in_flight"] == 0


async def test_a_full_replica_is_a_typed_429(
    configured: Configured, fake_vllm: FakeVllm
) -> None:
    async with running(configured("[engine]\nmax_in_flight = 1")) as stack:
        await stack.all_ready()
        fake_vllm.quirks = Quirks(first_token_delay=60)
        hanging = asyncio.create_task(stack.chat(stream=True))
        async with asyncio.timeout(10):
            while not fake_vllm.running:
                await asyncio.sleep(0.005)
        reply = await stack.chat()
        hanging.cancel()
    assert (reply.status, reply.code) == (429, "overloaded")
    assert reply.headers["Retry-After"] == "1"


async def test_an_adapter_that_the_engine_forgot_falls_back_at_once(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    await stack.admin("PUT", "overrides/careful", {"variant": "lora"})
    fake_vllm.adapters.pop(LORA)
    body = {"model": "auto", "messages": [{"role": "user", "content": "?"}]}
    reply = await stack.post("/v1/chat/completions", body, key="careful-key")
    assert reply.status == 200
    await stack.ready(LORA)


async def test_a_store_that_is_away_stops_no_request_and_no_kill(
    tmp_path: Path, registry: Path, fake_vllm: FakeVllm
) -> None:
    settings = configuration([fake_vllm.url], tmp_path, registry=registry)
    (tmp_path / "state.db").mkdir()
    async with running(settings) as stack:
        await stack.all_ready()
        assert (await stack.chat()).status == 200
        killed = await stack.admin("POST", "kill", {"scope": "global"})
        assert killed.status == 200
        assert killed.json["persisted"] is False
        reply = await stack.chat()
        assert "rule=kill.global" in reply.headers["X-Wastegate-Reason"]
        refused = await stack.admin("PUT", "overrides/acme", {"variant": "lora"})
        assert (refused.status, refused.code) == (503, "store_unavailable")
        gone = await stack.admin("DELETE", f"adapters/{LORA}")
        assert "store" in gone.json["left_to_do"][0]
        assert LORA not in fake_vllm.adapters
        assert "store" in " ".join((await stack.get("/readyz")).json["degraded"])


async def test_a_change_of_another_gateway_arrives(
    configured: Configured, fake_vllm: FakeVllm
) -> None:
    settings = configured()
    async with running(settings) as one, running(settings) as other:
        await one.all_ready()
        await one.admin("POST", "kill", {"scope": "tenant", "name": "acme"})
        async with asyncio.timeout(10):
            while True:
                reply = await other.chat()
                if "kill.tenant" in reply.headers["X-Wastegate-Reason"]:
                    break
                await asyncio.sleep(0.02)
