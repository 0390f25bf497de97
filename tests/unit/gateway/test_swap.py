"""Mounting and unmounting under a running gateway, in front of a quirky vLLM."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from adapters.errors import StillRead
from adapters.refs import AdapterRef
from adapters.registry import Registry
from gateway.engine.fake import FakeVllm
from gateway.engine.fake_quirks import Quirks
from tests.stack import Reply, Stack, running
from tests.unit.gateway.conftest import LORA, PREF, Configured
from tests.unit.gateway.test_routing import flags


async def states(stack: Stack, ref: str) -> list[tuple[str, str]]:
    listed = (await stack.admin("GET", "adapters")).json["adapters"]
    adapter = next(each for each in listed if each["ref"] == ref)
    return [(each["state"], each["reason"]) for each in adapter["replicas"]]


async def unmount(stack: Stack, ref: str, wait: float = 5) -> Reply:
    return await stack.admin("DELETE", f"adapters/{ref}?wait_seconds={wait}&why=test")


async def test_an_unmount_tells_each_step_and_the_engine_has_forgotten(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    reply = await unmount(stack, LORA)
    steps = [step["step"] for step in reply.json["steps"]]
    assert steps == ["routing_removed", "drained", "unloaded", "verified"]
    assert reply.json["left_to_do"] == []
    assert LORA not in fake_vllm.adapters


async def test_a_mount_answers_when_the_adapter_does(stack: Stack) -> None:
    await unmount(stack, LORA)
    reply = await stack.admin("POST", "adapters", {"ref": LORA, "why": "again"})
    assert reply.status == 200
    assert reply.json["replicas"][0]["state"] == "ready"
    await flags(stack, default="lora")
    assert (await stack.assist()).json["model"] == LORA


async def test_a_stream_that_had_begun_ends_complete_while_its_adapter_leaves(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    await flags(stack, default="lora")
    fake_vllm.quirks = Quirks(chunk_delay=0.05)
    stream = asyncio.create_task(stack.chat(stream=True))
    while not fake_vllm.running:
        await asyncio.sleep(0.005)
    removal = asyncio.create_task(unmount(stack, LORA))
    later = Reply(200, {}, b"")
    while later.status == 200:
        later = await stack.chat()
    assert later.code == "adapter_unavailable"
    assert not removal.done()
    begun = await stream
    assert json.loads(begun.events[-2])["choices"][0]["finish_reason"] == "stop"
    assert (await removal).json["left_to_do"] == []


async def test_what_does_not_drain_in_time_is_left_to_do_without_traffic(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    await flags(stack, default="lora")
    fake_vllm.quirks = Quirks(first_token_delay=30)
    hanging = asyncio.create_task(stack.chat(stream=True))
    while not fake_vllm.running:
        await asyncio.sleep(0.005)
    reply = await unmount(stack, LORA, wait=0.2)
    assert [step["step"] for step in reply.json["steps"]] == ["routing_removed"]
    assert "1 requests" in reply.json["left_to_do"][0]
    assert LORA in fake_vllm.adapters
    hanging.cancel()
    await stack.until({"retired", "absent"}, LORA)
    assert LORA not in fake_vllm.adapters


async def test_an_adapter_that_changes_nothing_gets_no_traffic(
    configured: Configured, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = Quirks(silent=True)
    async with running(configured()) as stack:
        await stack.until({"quarantined"}, LORA)
        mounted = await stack.admin("POST", "adapters", {"ref": LORA})
        assert (mounted.status, mounted.code) == (409, "conflict")
        assert "log-probabilities differ by 0.0000" in mounted.body.decode()
        fake_vllm.quirks = Quirks()
        again = await stack.admin("POST", "adapters", {"ref": LORA})
        assert again.status == 200


async def test_a_restarted_replica_gets_its_adapters_back(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    await flags(stack, default="lora")
    await fake_vllm.restart()
    assert LORA not in fake_vllm.adapters
    async with asyncio.timeout(10):
        while (await stack.assist()).status != 200:
            await asyncio.sleep(0.02)
    assert LORA in fake_vllm.adapters


async def test_a_name_that_answers_after_its_unload_is_reported(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = Quirks(ghost_unload=True)
    reply = await unmount(stack, LORA, wait=1)
    assert "still answers" in reply.json["left_to_do"][0]
    assert "verified" not in [step["step"] for step in reply.json["steps"]]


async def test_a_load_that_the_engine_refuses_is_told_with_its_reason(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    await unmount(stack, LORA)
    fake_vllm.quirks = Quirks(load_error=500)
    reply = await stack.admin("POST", "adapters", {"ref": LORA})
    assert (reply.status, reply.code) == (409, "conflict")
    assert "failed" in reply.json["error"]["message"]
    assert (await stack.assist()).headers["X-Wastegate-Generator"] == "base"


async def test_a_load_whose_answer_is_lost_is_looked_up(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    await unmount(stack, LORA)
    fake_vllm.quirks = Quirks(load_dies=True)
    await stack.admin("POST", "adapters", {"ref": LORA, "wait_seconds": 0})
    fake_vllm.quirks = Quirks()
    await stack.ready(LORA)


async def test_a_gateway_that_starts_anew_finds_what_is_loaded_and_proves_it(
    configured: Configured, fake_vllm: FakeVllm, registry: Path
) -> None:
    async with running(configured()) as stack:
        await stack.all_ready()
    shutil.rmtree(registry / "reads")  # it was loaded by whom nobody knows
    loads = [seen for seen in fake_vllm.requests if "load_lora" in seen.path]
    async with running(configured()) as stack:
        await stack.all_ready()
    again = [seen for seen in fake_vllm.requests if "load_lora" in seen.path]
    assert len(loads) == len(again) == 2
    with pytest.raises(StillRead):
        Registry(registry).collect(AdapterRef(LORA), {fake_vllm.url: fake_vllm.epoch})


async def test_an_adapter_without_a_card_says_so(stack: Stack) -> None:
    reply = await stack.admin("GET", f"adapters/{PREF}/card")
    assert (reply.status, reply.code) == (404, "not_found")
    assert "without a card" in reply.body.decode()


async def test_two_adapters_never_load_at_once(
    configured: Configured, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = Quirks(load_delay=0.1)
    async with running(configured()) as stack:
        await stack.all_ready()
        shown = await states(stack, LORA) + await states(stack, PREF)
    assert [state for state, _ in shown] == ["ready", "ready"]
