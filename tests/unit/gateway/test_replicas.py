"""Several replicas: one that is lost costs nobody an answer, one that is late stays."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.control.reconcile import LATE_LOOKS
from gateway.engine.fake import FakeVllm
from gateway.engine.fake_quirks import Quirks
from gateway.engine.refusal import Limit
from gateway.member import Member
from tests.stack import Reply, Stack, configuration, running
from tests.unit.gateway.conftest import LORA
from tests.unit.gateway.test_assist import GOOD

ANSWERING = Quirks(answer=lambda _: GOOD)
SHORT = Limit("observe", 0.2)
WITHIN = 10.0


class Two(NamedTuple):
    """A gateway in front of two engines."""

    stack: Stack
    engines: tuple[FakeVllm, FakeVllm]

    @property
    def members(self) -> tuple[Member, ...]:
        return self.stack.app.control.state.desk.fleet.members


@pytest.fixture
async def two(tmp_path: Path, registry: Path) -> AsyncIterator[Two]:
    async with FakeVllm() as one, FakeVllm() as other:
        settings = configuration([one.url, other.url], tmp_path, registry=registry)
        async with running(settings) as stack:
            await stack.all_ready()
            one.quirks = other.quirks = ANSWERING
            yield Two(stack, (one, other))


async def asked(two: Two, way: str) -> Reply:
    if way == "assist":
        return await two.stack.assist()
    return await two.stack.chat(stream=way == "stream")


@pytest.mark.parametrize("way", ["assist", "chat", "stream"])
async def test_a_replica_that_breaks_off_before_anything_has_gone_out_costs_nobody(
    two: Two, way: str
) -> None:
    two.engines[0].quirks = Quirks(answer=lambda _: GOOD, die_at=0)
    replies = [await asked(two, way) for _ in range(6)]
    assert {reply.status for reply in replies} == {200}
    assert all(b"error" not in reply.body for reply in replies)


async def test_a_replica_that_is_gone_costs_nobody(two: Two) -> None:
    await two.engines[1].stop()
    replies = await asyncio.gather(*(asked(two, "assist") for _ in range(20)))
    assert {reply.status for reply in replies} == {200}


async def test_both_gone_is_a_typed_error_after_two_questions(two: Two) -> None:
    for engine in two.engines:
        engine.quirks = Quirks(answer=lambda _: GOOD, die_at=0)
    before = sum(len(engine.completions) for engine in two.engines)
    reply = await asked(two, "assist")
    assert (reply.status, reply.code) == (502, "upstream_error")
    assert sum(len(engine.completions) for engine in two.engines) == before + 2


async def test_a_stream_that_has_begun_is_not_begun_anew(two: Two) -> None:
    for engine in two.engines:
        engine.quirks = Quirks(answer=lambda _: "a b c d e f", die_at=3)
    reply = await asked(two, "stream")
    assert reply.status == 200
    assert b'"error"' in reply.body
    assert reply.body.count(b'"role"') <= 1


async def test_a_replica_that_was_lost_is_asked_again_once_it_was_seen(
    two: Two,
) -> None:
    two.members[0].doubted = True
    async with asyncio.timeout(WITHIN):
        while two.members[0].doubted:
            await asyncio.sleep(0.01)


class Looks:
    """Counts the looks at a member."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.most = 0

    async def until_out(self) -> None:
        async with asyncio.timeout(WITHIN * 4):
            while self.member.alive:
                self.most = max(self.most, self.member.late)
                await asyncio.sleep(0.01)


async def test_one_late_look_does_not_take_a_replica_out(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = two.members[0]
    monkeypatch.setattr(member.replica, "_observe_limit", SHORT)
    two.engines[0].quirks = Quirks(answer=lambda _: GOOD, freeze=True)
    async with asyncio.timeout(WITHIN):
        while member.late == 0:
            await asyncio.sleep(0.005)
    assert member.alive
    two.engines[0].quirks = ANSWERING
    async with asyncio.timeout(WITHIN):
        while member.late:
            await asyncio.sleep(0.005)
    assert member.alive


async def test_a_replica_that_stays_late_is_out_and_comes_back(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = two.members[0]
    monkeypatch.setattr(member.replica, "_observe_limit", SHORT)
    two.engines[0].quirks = Quirks(answer=lambda _: GOOD, freeze=True)
    looks = Looks(member)
    await looks.until_out()
    assert looks.most == LATE_LOOKS - 1
    two.engines[0].quirks = ANSWERING
    async with asyncio.timeout(WITHIN):
        while not member.alive:
            await asyncio.sleep(0.01)


async def states(stack: Stack, ref: str) -> dict[str, tuple[str, str]]:
    listed = (await stack.admin("GET", "adapters")).json["adapters"]
    adapter = next(each for each in listed if each["ref"] == ref)
    return {
        each["url"]: (each["state"], each["reason"]) for each in adapter["replicas"]
    }


async def test_two_replicas_that_disagree_do_not_both_serve_an_adapter(
    tmp_path: Path, registry: Path
) -> None:
    async with FakeVllm() as one, FakeVllm() as other:
        other.quirks = Quirks(answer=lambda _: "Zebra, says this base.")
        settings = configuration([one.url, other.url], tmp_path, registry=registry)
        async with running(settings) as stack:
            async with asyncio.timeout(WITHIN):
                while sorted(
                    state for state, _ in (await states(stack, LORA)).values()
                ) != ["quarantined", "ready"]:
                    await asyncio.sleep(0.02)
            found = await states(stack, LORA)
            (why,) = [reason for state, reason in found.values() if state != "ready"]
            assert "on probe 1 the base says" in why
            assert one.url in why or other.url in why
            assert "another base" in why
            other.quirks = Quirks()
            again = await stack.admin("POST", "adapters", {"ref": LORA})
            assert again.status == 200, again.body
            assert {s for s, _ in (await states(stack, LORA)).values()} == {"ready"}


async def test_a_replica_that_comes_back_with_another_base_gets_no_adapter_ready(
    two: Two,
) -> None:
    two.engines[1].quirks = Quirks(answer=lambda _: "Zebra, says this base.")
    await two.engines[1].restart()
    async with asyncio.timeout(WITHIN):
        while True:
            state, why = (await states(two.stack, LORA))[two.engines[1].url]
            if state == "quarantined":
                break
            await asyncio.sleep(0.02)
    assert "the base says" in why
    assert (await states(two.stack, LORA))[two.engines[0].url][0] == "ready"


async def test_a_replica_that_hangs_in_a_load_delays_nobody_and_gets_there(
    tmp_path: Path, registry: Path
) -> None:
    async with FakeVllm() as one, FakeVllm() as other:
        one.quirks = Quirks(no_admin=True)
        settings = configuration([one.url, other.url], tmp_path, registry=registry)
        async with running(settings) as stack:
            async with asyncio.timeout(WITHIN):
                while (await states(stack, LORA)).get(other.url, ("", ""))[
                    0
                ] != "ready":
                    await asyncio.sleep(0.02)
            assert (await states(stack, LORA))[one.url][0] == "loading"
            await stack.admin("PUT", "overrides/acme", {"variant": "lora"})
            other.quirks = ANSWERING
            replies = await asyncio.gather(*(stack.assist() for _ in range(8)))
            assert {reply.status for reply in replies} == {200}
            assert {reply.json["model"] for reply in replies} == {LORA}
            other.quirks = one.quirks = Quirks()
            await stack.all_ready()


async def test_a_path_that_cannot_be_noted_is_not_sent(
    tmp_path: Path, registry: Path, fake_vllm: FakeVllm
) -> None:
    (registry / "reads").write_text("in the way of the notes")
    settings = configuration([fake_vllm.url], tmp_path, registry=registry)
    async with running(settings) as stack:
        await stack.until({"failed"}, LORA)
        ((_, why),) = (await states(stack, LORA)).values()
        assert "reads" in why
        assert not [seen for seen in fake_vllm.requests if "load_lora" in seen.path]
        (registry / "reads").unlink()
        reply = await stack.admin("POST", "adapters", {"ref": LORA})
        assert reply.status == 200, reply.body
