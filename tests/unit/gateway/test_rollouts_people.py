"""Who may promote a rollout, and two operators who want two things at once."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.control import counting, rollouts
from gateway.engine.fake import FakeVllm
from gateway.engine.fake_quirks import Quirks
from tests.stack import ADMIN_KEY, Reply, Stack, running, sha256
from tests.unit.gateway.conftest import Configured
from tests.unit.gateway.test_assist import GOOD
from tests.unit.gateway.test_rollouts import PLAN, STAYING, shown, start, until
from tests.verdicts import vouched

BOB = "bobs-key"
KEYS = f"""
[admin]
key_sha256 = ["alice={sha256(ADMIN_KEY)}", "bob={sha256(BOB)}"]
"""


@pytest.fixture
async def stack(
    configured: Configured, fake_vllm: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stack]:
    """A gateway with two operators, in front of models that all answer well."""
    monkeypatch.setattr(rollouts, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(counting, "FLUSH_SECONDS", 0.02)
    async with running(configured(KEYS)) as stack:
        await stack.all_ready()
        fake_vllm.quirks = Quirks(answer=lambda _: GOOD)
        yield stack


async def ordered(stack: Stack, id_: str, what: str, key: str) -> Reply:
    return await stack.admin("POST", f"rollouts/{id_}/{what}", {}, key=key)


async def test_only_who_is_named_promotes_it(stack: Stack) -> None:
    id_ = await start(stack, promote="operator", promoters=["bob"])
    found = await until(stack, id_, lambda each: each["pause"] is not None)
    assert found["pause"]["kind"] == "promote"
    refused = await ordered(stack, id_, "promote", ADMIN_KEY)
    assert (refused.status, refused.code) == (403, "not_allowed")
    assert "is promoted by bob, not by alice" in refused.json["error"]["message"]
    assert (await shown(stack, id_))["phase"] != "promoted"
    done = await ordered(stack, id_, "promote", BOB)
    assert (done.json["phase"], done.json["ended"]) == ("promoted", "by bob")


async def test_everybody_may_roll_it_back(stack: Stack) -> None:
    id_ = await start(stack, steps=STAYING, promoters=["bob"])
    back = await ordered(stack, id_, "rollback", ADMIN_KEY)
    assert back.json["phase"] == "rolled_back"


async def test_a_promoter_who_is_nobody_is_refused(stack: Stack) -> None:
    body = {"plan": PLAN | {"promoters": ["carol"]}, "override": "please"}
    reply = await stack.admin("POST", "rollouts", body)
    assert reply.status == 409
    assert "there is no operator 'carol'" in reply.json["error"]["message"]


async def test_of_two_who_start_in_one_scope_at_once_one_is_told_of_the_other(
    stack: Stack,
) -> None:
    await vouched(stack)
    body = {"plan": PLAN, "why": "release 17"}
    replies = await asyncio.gather(
        stack.admin("POST", "rollouts", body),
        stack.admin("POST", "rollouts", body, key=BOB),
    )
    assert sorted(reply.status for reply in replies) == [201, 409]
    (made,) = [reply for reply in replies if reply.status == 201]
    (refused,) = [reply for reply in replies if reply.status == 409]
    assert made.json["id"] in refused.json["error"]["message"]


async def test_of_a_promotion_and_a_rollback_at_once_the_rollback_holds(
    stack: Stack,
) -> None:
    id_ = await start(stack, steps=STAYING)
    await until(stack, id_, lambda each: each["phase"] == "canary")
    await asyncio.gather(
        stack.admin("POST", f"rollouts/{id_}/promote", {"override": "now"}, key=BOB),
        ordered(stack, id_, "rollback", ADMIN_KEY),
    )
    await until(stack, id_, lambda each: each["phase"] == "rolled_back")
    async with asyncio.timeout(10):
        while (await stack.admin("GET", "flags/GENERATOR")).json["rollouts"]:
            await asyncio.sleep(0.02)
