"""Two gateways on one real Redis, on its worst days: nobody fails, nothing goes back."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.control.documents import FLAGS_KEY, IDENTITY_KEY
from gateway.engine.fake import FakeVllm
from gateway.settings import Settings
from routing.flags import FlagDocument, encode
from routing.stores import open_store, open_tallies
from tests.contract.store.counting import WHY
from tests.contract.store.redis_server import RedisServer, wait_until
from tests.stack import Stack, configuration, running

pytestmark = pytest.mark.redis

WITHIN = 15.0
FLAG = "/admin/v1/flags/GENERATOR"


class Pair(NamedTuple):
    """Two gateways, their settings, and their Redis."""

    one: Stack
    other: Stack
    settings: Settings
    redis: RedisServer


@pytest.fixture
def settings(
    tmp_path: Path, redis_url: str, fake_vllm: FakeVllm
) -> Callable[[str], Settings]:
    def make(name: str) -> Settings:
        home = tmp_path / name
        home.mkdir()
        port = 18_000 + sum(name.encode())  # a name for people; it is served elsewhere
        extra = (
            f'[gateway]\nstate = "{redis_url}"\nlast_known = "{home}/known.json"\n'
            f'listen = "127.0.0.1:{port}"\n'
        )
        return configuration([fake_vllm.url], home, extra=extra)

    return make


@pytest.fixture
async def pair(
    settings: Callable[[str], Settings], redis_server: RedisServer
) -> AsyncIterator[Pair]:
    first = settings("one")
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(running(first))
        other = await stack.enter_async_context(running(settings("other")))
        for each in (one, other):
            await until(each, lambda state: state["ready"], "/readyz")
        yield Pair(one, other, first, redis_server)


async def until(
    stack: Stack, holds: Callable[[Any], bool], path: str = "/admin/v1/store"
) -> Any:
    """Look until something holds."""
    async with asyncio.timeout(WITHIN):
        while True:
            if path.startswith("/admin"):
                found = (await stack.admin("GET", path)).json
            else:
                found = (await stack.get(path)).json
            if holds(found):
                return found
            await asyncio.sleep(0.02)


async def flipped(stack: Stack, default: str) -> int:
    """Set the default; its version."""
    current = await stack.admin("GET", "flags/GENERATOR")
    reply = await stack.admin(
        "PUT",
        "flags/GENERATOR",
        current.json | {"default": default},
        if_match=current.headers["ETag"],
    )
    assert reply.status == 200, reply.body
    return reply.json["version"]


async def followed(stack: Stack, version: int) -> dict[str, Any]:
    return await until(
        stack, lambda flag: flag["version"] >= version, "/admin/v1/flags/GENERATOR"
    )


async def emptied(pair: Pair) -> None:
    pair.redis.empty()
    for stack in (pair.one, pair.other):
        await until(stack, lambda state: state["behind"])


async def test_a_redis_that_is_killed_under_load_fails_nobody_and_is_caught_up_with(
    pair: Pair,
) -> None:
    await followed(pair.other, await flipped(pair.one, "base"))
    statuses: list[int] = []
    over = asyncio.Event()

    async def ask(stack: Stack) -> None:
        while not over.is_set():
            statuses.append((await stack.chat()).status)

    async with asyncio.TaskGroup() as clients:
        for stack in (pair.one, pair.other) * 2:
            clients.create_task(ask(stack))
        pair.redis.kill()
        for stack in (pair.one, pair.other):
            await until(stack, lambda state: not state["up"])
        before = len(statuses)
        while len(statuses) < before + 100:
            await asyncio.sleep(0.01)
        pair.redis.start()
        for stack in (pair.one, pair.other):
            await until(stack, lambda state: state["up"])
        over.set()
    assert set(statuses) == {200}
    await followed(pair.other, await flipped(pair.one, "base"))


async def test_a_frozen_redis_stops_the_canaries_and_nothing_else(pair: Pair) -> None:
    await followed(pair.other, await flipped(pair.one, "base"))
    pair.redis.signal(signal.SIGSTOP)
    try:
        for stack in (pair.one, pair.other):
            state = await until(stack, lambda state: state["stale"])
            assert state["up"] is False
            assert (await stack.chat()).status == 200
    finally:
        pair.redis.signal(signal.SIGCONT)
    for stack in (pair.one, pair.other):
        await until(stack, lambda state: state["up"] and not state["stale"])
    await followed(pair.other, await flipped(pair.one, "base"))


async def test_a_gateway_starts_without_redis_with_what_was_last_known(
    pair: Pair,
) -> None:
    version = await flipped(pair.one, "lora")
    known = Path(pair.settings.gateway.last_known)
    await asyncio.to_thread(wait_until, lambda: _knows(known, version))
    pair.redis.kill()
    try:
        async with running(pair.settings) as late:
            flag = await late.admin("GET", "flags/GENERATOR")
            assert (flag.json["default"], flag.json["version"]) == ("lora", version)
            state = (await late.admin("GET", "store")).json
            assert (state["up"], state["stale"]) == (False, True)
            pair.redis.start()
            await until(late, lambda state: state["up"] and not state["behind"])
    finally:
        pair.redis.start()


def _knows(path: Path, version: int) -> bool:
    """Whether the file is there, for its owner alone, at this version."""
    if not path.exists() or f'"flags_version":{version}' not in path.read_text():
        return False
    return path.stat().st_mode & 0o077 == 0


async def test_an_emptied_redis_changes_nothing_and_is_not_written_over(
    pair: Pair,
) -> None:
    version = await flipped(pair.one, "lora")
    await followed(pair.other, version)
    await emptied(pair)
    for stack in (pair.one, pair.other):
        flag = await stack.admin("GET", "flags/GENERATOR")
        assert (flag.json["default"], flag.json["version"]) == ("lora", version)
        ready = (await stack.get("/readyz")).json
        assert any("store restore" in each for each in ready["degraded"])
        put = await stack.admin(
            "PUT", "flags/GENERATOR", flag.json, if_match=flag.headers["ETag"]
        )
        assert (put.status, put.code) == (503, "store_unavailable")
        assert "wastegate store restore" in put.json["error"]["message"]


async def test_what_was_lost_is_written_back_and_everybody_goes_on_from_there(
    pair: Pair,
) -> None:
    version = await flipped(pair.one, "lora")
    await followed(pair.other, version)
    await emptied(pair)
    restored = await pair.one.admin("POST", "store/restore", {"why": "emptied"})
    assert restored.status == 200, restored.body
    assert restored.json["behind"] is False
    assert restored.json["epoch"] == 1
    await until(pair.other, lambda state: state["epoch"] == 1 and not state["behind"])
    again = await flipped(pair.other, "base")
    assert again == version + 1
    await followed(pair.one, again)
    refused = await pair.one.admin("POST", "store/restore", {})
    assert (refused.status, refused.code) == (409, "conflict")


async def test_a_kill_reaches_everybody_even_through_an_emptied_redis(
    pair: Pair,
) -> None:
    await followed(pair.other, await flipped(pair.one, "lora"))
    await emptied(pair)
    killed = await pair.one.admin("POST", "kill", {"scope": "global", "why": "now"})
    assert killed.json["persisted"] is True
    await until(pair.other, lambda found: found["kills"] != [], "/admin/v1/kill")
    flag = await pair.other.admin("GET", "flags/GENERATOR")
    assert flag.json["default"] == "lora"


async def test_an_old_copy_of_the_store_is_not_gone_back_to(
    pair: Pair, redis_url: str
) -> None:
    first = await flipped(pair.one, "base")
    store = open_store(redis_url)
    identity = await store.get(IDENTITY_KEY)
    assert identity is not None
    newest = await flipped(pair.one, "lora")
    await followed(pair.other, newest)
    pair.redis.empty()
    await store.put(IDENTITY_KEY, identity.body, expect=0, entry=WHY)
    old = encode(FlagDocument(default="base"))
    await store.put(FLAGS_KEY, old, expect=0, entry=WHY, version=first)
    await store.close()
    for stack in (pair.one, pair.other):
        await until(stack, lambda state: state["behind"])
        flag = (await stack.admin("GET", "flags/GENERATOR")).json
        assert (flag["default"], flag["version"]) == ("lora", newest)
    await pair.other.admin("POST", "store/restore", {"why": "old copy"})
    await until(pair.one, lambda state: not state["behind"])
    assert await flipped(pair.one, "base") == newest + 1


async def test_a_gateway_that_began_with_another_store_follows_the_restored_one(
    pair: Pair, settings: Callable[[str], Settings]
) -> None:
    version = await flipped(pair.one, "lora")
    await emptied(pair)
    async with running(settings("new")) as new:
        planted = (await new.admin("GET", "store")).json
        for stack in (pair.one, pair.other):
            await until(stack, lambda state: state["behind"])
            assert (await stack.admin("GET", "store")).json["id"] != planted["id"]
        await pair.one.admin("POST", "store/restore", {"why": "ours is the right one"})
        flag = await followed(new, version)
        assert flag["default"] == "lora"


async def test_a_rollback_needs_no_store_and_is_written_down_when_it_is_back(
    pair: Pair,
) -> None:
    plan = {"candidate": {"generator": "lora", "model": "acme-behav-lora@v1"}}
    made = await pair.one.admin(
        "POST", "rollouts", {"plan": plan, "override": "a test"}
    )
    path = f"/admin/v1/rollouts/{made.json['id']}"
    for stack in (pair.one, pair.other):
        await until(stack, lambda flag: flag["rollouts"] != [], FLAG)
    pair.redis.kill()
    try:
        back = await pair.one.admin("POST", f"{path}/rollback", {"why": "enough"})
        assert (back.status, back.json["persisted"]) == (200, False)
        assert back.json["phase"] == "rolled_back"
        assert (await pair.one.admin("GET", FLAG)).json["rollouts"] == []
        only_here = (await pair.one.admin("GET", "store")).json["only_here"]
        assert only_here["rolled_back"] == [made.json["id"]]
    finally:
        pair.redis.start()
    for stack in (pair.one, pair.other):
        found = await until(
            stack, lambda found: found.get("phase") == "rolled_back", path
        )
        assert found["ended"] == "by alice: enough"
        await until(stack, lambda flag: flag["rollouts"] == [], FLAG)
    await until(pair.one, lambda state: state["only_here"]["rolled_back"] == [])


async def test_a_kill_is_answered_with_who_has_it(pair: Pair) -> None:
    async with asyncio.timeout(WITHIN):
        while True:
            killed = await pair.one.admin("POST", "kill", {"scope": "global"})
            if len(killed.json["acknowledged"]) == 2:
                break
            await pair.one.admin("DELETE", "kill", {"scope": "global"})
    assert killed.json["stragglers"] == []
    kills = (await pair.other.admin("GET", "kill")).json["kills"]
    assert kills == [{"scope": "global", "name": ""}]


async def test_a_gateway_that_lives_and_does_not_follow_is_named(
    pair: Pair, redis_url: str
) -> None:
    tallies = open_tallies(redis_url)
    await tallies.announce("stuck 127.0.0.1:8080 17", 0, 60)
    killed = await pair.one.admin("POST", "kill", {"scope": "tenant", "name": "acme"})
    await tallies.close()
    assert killed.json["persisted"] is True
    assert killed.json["stragglers"] == ["stuck 127.0.0.1:8080 17"]
