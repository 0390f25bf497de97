"""A rollback when everything it could lean on is down.

Every replica's admin API hangs, the Redis is killed, and the loops that reconcile
adapters and step rollouts are dead. What is left is the gateway's memory, and it must
be enough.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from adapters.registry import Registry
from gateway.__main__ import main
from gateway.engine.fake import FakeVllm
from gateway.engine.fake_quirks import Quirks
from tests.contract.store.redis_server import RedisServer
from tests.stack import ADMIN_KEY, Stack, configuration, running
from tests.unit.adapters.making import run, write_adapter
from tests.unit.gateway.test_assist import GOOD
from tests.verdicts import vouched

pytestmark = pytest.mark.redis

REF = "acme-behav-lora@v1"
OTHER = "acme-behav-pref@v1"
DEAD = {"Reconciler.run", "Rollouts.run", "Probing.run"}


class Alone(NamedTuple):
    stack: Stack
    engines: tuple[FakeVllm, FakeVllm]
    redis: RedisServer

    async def fell(self) -> None:
        """Take away everything but the gateway and the replicas' answers."""
        self.redis.kill()
        for engine in self.engines:
            engine.quirks = Quirks(answer=lambda _: GOOD, no_admin=True)
        loops = [
            task
            for task in asyncio.all_tasks()
            if getattr(task.get_coro(), "__qualname__", "") in DEAD
        ]
        assert len(loops) == len(DEAD)
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)


@pytest.fixture
async def alone(
    tmp_path: Path,
    redis_url: str,
    redis_server: RedisServer,
    capfd: pytest.CaptureFixture[str],
) -> AsyncIterator[Alone]:
    del capfd  # before the gateway opens its log
    for number, ref in enumerate((REF, OTHER)):
        write_adapter(tmp_path / ref, facts=run(ref, seed=number))
        Registry(tmp_path / "adapters").add(tmp_path / ref)
    known = f'last_known = "{tmp_path}/known.json"\n'
    async with FakeVllm() as one, FakeVllm() as other:
        settings = configuration(
            [one.url, other.url],
            tmp_path,
            extra=f'[gateway]\nstate = "{redis_url}"\n{known}',
        )
        async with running(settings) as stack:
            await stack.all_ready()
            one.quirks = other.quirks = Quirks(answer=lambda _: GOOD)
            yield Alone(stack, (one, other), redis_server)
            redis_server.start()


async def test_the_next_request_after_an_unmount_is_not_served_by_it(
    alone: Alone, capfd: pytest.CaptureFixture[str]
) -> None:
    await alone.stack.admin("PUT", "overrides/careful", {"variant": "lora"})
    assert (await alone.stack.assist(key="careful-key")).json["model"] == REF
    await alone.fell()
    gone = asyncio.create_task(
        alone.stack.admin("DELETE", f"adapters/{REF}?wait_seconds=1&why=fire")
    )
    async with asyncio.timeout(15):
        while True:
            reply = await alone.stack.assist(key="careful-key")
            assert reply.status == 200
            if reply.json["generator"] == "base":
                break
            await asyncio.sleep(0.001)
    done = (await gone).json
    assert [each["step"] for each in done["steps"]] == ["routing_removed", "drained"]
    left = " ".join(done["left_to_do"])
    assert "the store is away: repeat this when it is back" in left
    for engine in alone.engines:
        assert f"unload it from {engine.url}" in left
    records = {
        line["event"]: line
        for line in map(json.loads, capfd.readouterr().out.splitlines())
    }
    removed = records["removed"]
    assert (removed["what"], removed["who"]) == (f"unmount {REF}", "alice")
    assert (removed["why"], removed["persisted"]) == ("fire", False)
    assert records["unmounted"]["left_to_do"] == done["left_to_do"]


async def test_the_command_says_what_it_did_and_what_is_left_and_the_base_answers(
    alone: Alone,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    stack = alone.stack
    await stack.admin("PUT", "overrides/acme", {"variant": "lora"})
    assert (await stack.assist()).json["model"] == REF
    await alone.fell()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WASTEGATE_ADMIN_URL", stack.admin_url)
    monkeypatch.setenv("WASTEGATE_ADMIN_KEY", ADMIN_KEY)
    argv = ["rollback", REF, "--why", "fire", "--wait", "1", "--json"]
    began = time.monotonic()
    assert await asyncio.to_thread(main, argv) == 1  # something is left to do
    assert time.monotonic() - began < 30
    reply = await stack.assist()
    assert (reply.status, reply.json["generator"]) == (200, "base")
    assert "kill.variant" in reply.json["reason"]
    said = capfd.readouterr()
    report = json.loads(said.out[said.out.index('{"ref"') :].splitlines()[0])
    assert report["steps"][0]["step"] == "variant lora killed"
    assert any("the store is away" in each for each in report["left_to_do"])


async def test_a_version_that_is_rolled_back_gives_way_to_the_one_before(
    alone: Alone,
) -> None:
    """Not only to the base: from one adapter to another, the stable one."""
    stack = alone.stack
    plan = {
        "candidate": {"generator": "lora", "model": REF},
        "control": {"generator": "lora_pref", "model": OTHER},
        "tenants": ["acme"],
        "surfaces": ["assist"],
        "steps": [{"weight": 9_999, "units": 100_000}],
        "staging_units": 1,
        "staging_seconds": 0,
    }
    flag = await stack.admin("GET", "flags/GENERATOR")
    whole = flag.json | {"default": "lora_pref", "why": "?"}
    put = await stack.admin(
        "PUT", "flags/GENERATOR", whole, if_match=flag.headers["ETag"]
    )
    assert put.status == 200, put.body
    await vouched(stack, ref=REF)
    body = {"plan": plan, "why": "?"}
    made = await stack.admin("POST", "rollouts", body)
    assert made.status == 201, made.body
    id_ = made.json["id"]
    async with asyncio.timeout(15):
        while (await stack.assist(conversation="conv-1")).json["model"] != REF:
            await asyncio.sleep(0.02)
    await alone.fell()
    back = await stack.admin("POST", f"rollouts/{id_}/rollback", {"why": "fire"})
    assert (back.status, back.json["persisted"]) == (200, False)
    reply = await stack.assist(conversation="conv-1")
    assert (reply.status, reply.json["model"]) == (200, OTHER)
