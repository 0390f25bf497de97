"""Shadow: the candidate is asked what the control has answered, and nobody sees it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.control import counting, rollouts
from gateway.engine.fake import FakeVllm
from gateway.engine.fake_quirks import Quirks
from routing.tally import Tally
from tests.stack import Stack, running
from tests.unit.gateway.conftest import LORA, Configured
from tests.unit.gateway.test_assist import GOOD
from tests.unit.gateway.test_rollouts import (
    PLAN,
    UNITS,
    WITHIN,
    bad_candidate,
    start,
    until,
)

ALLOWED = "[surfaces.assist]\nshadow = true\n"
MIRRORED: dict[str, Any] = {
    "shadow": 10_000,
    "staging_units": 5_000,
    "gates": [*PLAN["gates"], {"measure": "shadow", "harm": 1.0, "good": 1.5}],
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollouts, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(counting, "FLUSH_SECONDS", 0.02)


@pytest.fixture
async def stack(configured: Configured, fake_vllm: FakeVllm) -> AsyncIterator[Stack]:
    async with running(configured(ALLOWED)) as stack:
        await stack.all_ready()
        fake_vllm.quirks = Quirks(answer=lambda _: GOOD)
        yield stack


async def shadow(stack: Stack, id_: str) -> Tally:
    return (await stack.app.control.state.tallies.stage(id_, 0)).shadow


async def metric(stack: Stack, name: str) -> float:
    text = (await stack.admin("GET", "/metrics")).body.decode()
    lines = [line for line in text.splitlines() if line.startswith(name)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


async def one_by_one(stack: Stack, id_: str, count: int) -> None:
    """Send so many conversations, each when the one before it was mirrored."""
    await until(stack, id_, lambda each: each["phase"] == "staging")
    for _ in range(count):
        before = (await shadow(stack, id_)).units
        reply = await stack.assist(conversation=next(UNITS))
        assert reply.headers["X-Wastegate-Generator"] == "base"
        async with asyncio.timeout(WITHIN):
            while (await shadow(stack, id_)).units == before:
                await asyncio.sleep(0.01)


async def test_a_bad_candidate_is_rolled_back_before_anybody_gets_it(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = Quirks(answer=bad_candidate)
    id_ = await start(stack, **MIRRORED)
    replies: list[Any] = []
    async with asyncio.timeout(WITHIN):
        while (found := await status(stack, id_))["phase"] != "rolled_back":
            replies.append(await stack.assist(conversation=next(UNITS)))
    assert found["ended"].startswith("shadow fail")
    assert found["stage"] == 0
    assert {reply.headers["X-Wastegate-Generator"] for reply in replies} == {"base"}


async def status(stack: Stack, id_: str) -> dict[str, Any]:
    return (await stack.admin("GET", f"rollouts/{id_}")).json


async def test_what_both_do_well_is_mirrored_and_no_evidence(stack: Stack) -> None:
    id_ = await start(stack, **MIRRORED)
    await one_by_one(stack, id_, 5)
    found = await shadow(stack, id_)
    assert (found.adherence.failures, found.pairs.trials) == (0, 0)
    assert await metric(stack, 'wastegate_shadow_total{outcome="scored"}') >= 5


async def test_a_mirrored_request_is_nobodys_request(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    id_ = await start(stack, **MIRRORED)
    await until(stack, id_, lambda each: each["phase"] == "staging")
    before = await metric(stack, "wastegate_requests_total")
    asked = len(fake_vllm.completions)
    await one_by_one(stack, id_, 5)
    mine = await metric(stack, "wastegate_requests_total") - before
    assert mine < len(fake_vllm.completions) - asked
    assert (
        await metric(
            stack, f'wastegate_requests_total{{generator="lora",model="{LORA}"'
        )
        == 0
    )


async def test_without_a_share_nothing_is_mirrored(
    stack: Stack,
) -> None:
    id_ = await start(stack, **(MIRRORED | {"shadow": 0}))
    await until(stack, id_, lambda each: each["phase"] == "staging")
    for _ in range(10):
        await stack.assist(conversation=next(UNITS))
    assert (await shadow(stack, id_)).units == 0


async def test_a_shadow_that_cannot_be_asked_is_seen_and_is_no_evidence(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    id_ = await start(stack, **MIRRORED)
    await until(stack, id_, lambda each: each["phase"] == "staging")
    await stack.admin("DELETE", f"adapters/{LORA}")
    failed = 'wastegate_shadow_total{outcome="failed"}'
    before = await metric(stack, failed)
    async with asyncio.timeout(WITHIN):
        while await metric(stack, failed) == before:
            await stack.assist(conversation=next(UNITS))
    assert (await shadow(stack, id_)).adherence.failures == 0


async def test_what_comes_faster_than_it_is_mirrored_is_dropped(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    id_ = await start(stack, **MIRRORED)
    await until(stack, id_, lambda each: each["phase"] == "staging")
    fake_vllm.quirks = Quirks(answer=lambda _: GOOD, first_token_delay=0.2)
    dropped = 'wastegate_shadow_total{outcome="dropped"}'
    async with asyncio.timeout(WITHIN):
        while not await metric(stack, dropped):
            await asyncio.gather(
                *(stack.assist(conversation=next(UNITS)) for _ in range(16))
            )
