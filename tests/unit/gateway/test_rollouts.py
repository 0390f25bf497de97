"""Rollouts end to end, on a gateway in front of a fake engine: stepped by themselves."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from gateway.control import counting, rollouts
from gateway.control.orders import planned
from gateway.control.rollouts import decode_record
from gateway.engine.fake import FakeVllm
from gateway.engine.fake_answers import Asked
from gateway.engine.fake_quirks import Quirks
from routing.judge import Record, replayed
from tests.stack import READ_KEY, Reply, Stack, running
from tests.unit.gateway.conftest import LORA, Configured
from tests.unit.gateway.test_assist import GOOD
from tests.verdicts import vouched

BAD = "no JSON at all"
WITHIN = 30.0
UNITS = map("conv-{}".format, itertools.count())
PLAN: dict[str, Any] = {
    "candidate": {"generator": "lora", "model": LORA},
    "tenants": ["acme"],
    "surfaces": ["assist"],
    "steps": [
        {"weight": 2_000, "units": 5, "seconds": 0},
        {"weight": 6_000, "units": 10, "seconds": 0},
    ],
    "staging_units": 10,
    "staging_seconds": 0,
    "gates": [
        {"measure": "adherence", "harm": 0.05, "good": 0.3},
        {"measure": "errors", "harm": 2.0, "good": 0.3},
    ],
}

STAYING = [{"weight": 2_000, "units": 100_000}, {"weight": 6_000}]
"""Steps of a rollout that stays where it is."""


@pytest.fixture
async def stack(
    configured: Configured, fake_vllm: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stack]:
    """A gateway that looks often, in front of models that all answer well."""
    monkeypatch.setattr(rollouts, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(counting, "FLUSH_SECONDS", 0.02)
    async with running(configured()) as stack:
        await stack.all_ready()
        fake_vllm.quirks = Quirks(answer=lambda _: GOOD)
        yield stack


async def start(stack: Stack, **fields: Any) -> str:
    """Start one of an adapter that may ship."""
    await vouched(stack)
    body = {"plan": PLAN | fields, "why": "release 17"}
    reply = await stack.admin("POST", "rollouts", body)
    assert reply.status == 201, reply.body
    return reply.json["id"]


async def order(stack: Stack, id_: str, what: str, **fields: Any) -> Any:
    return await stack.admin("POST", f"rollouts/{id_}/{what}", fields)


async def shown(stack: Stack, id_: str) -> dict[str, Any]:
    return (await stack.admin("GET", f"rollouts/{id_}", key=READ_KEY)).json


async def until(
    stack: Stack,
    id_: str,
    holds: Callable[[dict[str, Any]], bool],
    within: float = WITHIN,
) -> dict[str, Any]:
    """Send conversations until something holds of a rollout."""
    async with asyncio.timeout(within):
        while not holds(found := await shown(stack, id_)):
            await asyncio.gather(
                *(stack.assist(conversation=next(UNITS)) for _ in range(8))
            )
    return found


async def records(stack: Stack, id_: str) -> list[Record]:
    found = await stack.app.control.state.tallies.records(id_, 1_000)
    return [decode_record(entry.body) for entry in found[::-1]]


def flag_weight(flag: Reply) -> int:
    (rule,) = flag.json["rollouts"]
    return rule["weight"]


def bad_candidate(asked: Asked) -> str:
    return GOOD if asked.adapter is None else BAD


async def test_a_healthy_candidate_is_promoted_by_itself_through_every_step(
    stack: Stack,
) -> None:
    id_ = await start(stack)
    found = await until(stack, id_, lambda each: each["phase"] == "promoted")
    assert (found["weight"], found["ended"]) == (10_000, "every gate has passed")
    events = [record.event for record in await records(stack, id_) if record.event]
    assert events == ["staged", "advanced", "promoted"]
    async with asyncio.timeout(WITHIN):  # it is written down before it is in force
        while flag_weight(await stack.admin("GET", "flags/GENERATOR")) != 10_000:
            await asyncio.sleep(0.01)
    for _ in range(3):
        reply = await stack.assist(conversation=next(UNITS))
        assert reply.headers["X-Wastegate-Model"] == LORA
        assert "rule=rollout" in reply.headers["X-Wastegate-Reason"]


async def test_a_bad_candidate_is_rolled_back_by_itself_and_nobody_gets_it_then(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = Quirks(answer=bad_candidate)
    id_ = await start(stack)
    found = await until(stack, id_, lambda each: each["phase"] == "rolled_back")
    assert found["ended"].startswith("adherence fail")
    flag = (await stack.admin("GET", "flags/GENERATOR")).json
    assert flag["rollouts"] == []
    replies = [await stack.assist(conversation=next(UNITS)) for _ in range(10)]
    assert {r.headers["X-Wastegate-Generator"] for r in replies} == {"base"}


async def test_a_candidate_that_says_two_fifths_more_is_rolled_back(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    numbers = itertools.count()

    def wordy(asked: Asked) -> str:
        words = 20 + next(numbers) % 5
        said = "kettle " * (words if asked.adapter is None else round(words * 1.4))
        return GOOD.replace("1.7 litres", said)

    fake_vllm.quirks = Quirks(answer=wordy)
    steps = [{"weight": 5_000, "units": 5_000, "seconds": 0}]
    gates = [*PLAN["gates"], {"measure": "tokens", "harm": 1.0, "good": 0.9}]
    id_ = await start(stack, steps=steps, gates=gates)
    found = await until(stack, id_, lambda each: each["phase"] == "rolled_back")
    assert found["ended"].startswith("tokens fail: 1.")


async def test_a_candidate_whose_first_token_takes_half_again_is_rolled_back(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = Quirks(
        # Long beside what a busy machine adds to both, which would hide the difference.
        answer=lambda _: GOOD,
        first_token_delay=0.2,
        adapter_delay=0.1,
    )
    steps = [{"weight": 5_000, "units": 5_000, "seconds": 0}]
    gates = [*PLAN["gates"], {"measure": "ttft", "harm": 1.2, "good": 1.5}]
    id_ = await start(stack, steps=steps, gates=gates, staging_units=40)
    found = await until(
        stack, id_, lambda each: each["phase"] == "rolled_back", within=4 * WITHIN
    )
    assert found["ended"].startswith("ttft fail")


async def test_every_record_that_was_kept_can_be_judged_again(stack: Stack) -> None:
    id_ = await start(stack)
    await until(stack, id_, lambda each: each["phase"] == "promoted")
    kept = await records(stack, id_)
    assert len(kept) >= 3
    for record in kept:
        assert replayed(record) == record


async def test_what_it_waits_for_and_what_was_left_out_is_shown(stack: Stack) -> None:
    id_ = await start(stack, steps=STAYING)
    found = await until(stack, id_, lambda each: each["phase"] == "canary")
    assert "ttft: left out" in found["left_out"]
    assert any(each.startswith("adherence: harm 0.05") for each in found["left_out"])
    waiting = await until(stack, id_, lambda each: bool(each["look"]["missing"]))
    assert waiting["look"]["readings"][0]["measure"] == "adherence"
    listed = (await stack.admin("GET", "rollouts")).json["rollouts"]
    assert [each["id"] for each in listed] == [id_]


async def test_outcomes_of_others_do_not_count(stack: Stack) -> None:
    id_ = await start(stack, staging_units=100_000)
    async with asyncio.timeout(WITHIN):  # nothing is counted before it is in force
        while not (await stack.admin("GET", "flags/GENERATOR")).json["rollouts"]:
            await asyncio.sleep(0.01)
    body = {"input": {"user": "?"}, "conversation": "conv-1"}
    others = [await stack.post("/v1/assist", body, key="careful-key") for _ in range(5)]
    without = [await stack.assist() for _ in range(5)]  # a conversation
    own = await stack.assist(conversation="conv-1")
    reasons = [r.headers["X-Wastegate-Reason"] for r in (*others, *without, own)]
    assert ["rule=rollout" in reason for reason in reasons] == [False] * 10 + [True]
    tallies = stack.app.control.state.tallies
    async with asyncio.timeout(WITHIN):  # whoever came first is counted first
        while not (counted := (await tallies.stage(id_, 0)).control).units:
            await asyncio.sleep(0.02)
    assert (counted.units, counted.assigned) == (1, 1)


async def test_a_person_can_hold_it_let_it_go_on_and_end_it(stack: Stack) -> None:
    id_ = await start(stack, steps=STAYING)
    await until(stack, id_, lambda each: each["phase"] == "canary")
    held = await order(stack, id_, "pause", why="release freeze")
    assert held.json["pause"] == {"kind": "operator", "why": "release freeze"}
    again = await order(stack, id_, "promote")
    assert (again.status, again.code) == (409, "conflict")
    assert "override" in again.json["error"]["message"]
    assert (await order(stack, id_, "resume")).json["pause"] is None
    back = await order(stack, id_, "rollback", why="enough")
    assert (back.json["phase"], back.json["ended"]) == (
        "rolled_back",
        "by alice: enough",
    )
    assert (await stack.admin("GET", "flags/GENERATOR")).json["rollouts"] == []
    over = await order(stack, id_, "pause")
    assert (over.status, over.code) == (409, "conflict")


async def test_a_promotion_over_what_is_not_proved_is_in_the_audit_log(
    stack: Stack,
) -> None:
    id_ = await start(stack, steps=STAYING)
    await until(stack, id_, lambda each: each["phase"] == "canary")
    done = await order(stack, id_, "promote", override="the CEO wants it", why="now")
    assert (done.json["phase"], done.json["weight"]) == ("promoted", 10_000)
    assert "overriding: the CEO wants it" in done.json["ended"]
    log = (await stack.admin("GET", "audit")).json["entries"]
    assert any(entry["what"] == f"rollout.promote {id_}" for entry in log)


async def test_what_is_missing_is_said_and_a_reason_to_do_without_is_logged(
    stack: Stack,
) -> None:
    await stack.admin("DELETE", f"adapters/{LORA}")
    body: dict[str, Any] = {"plan": PLAN}
    refused = await stack.admin("POST", "rollouts", body)
    assert (refused.status, refused.code) == (409, "conflict")
    said = refused.json["error"]["message"]
    assert f"{LORA} is not mounted" in said
    made = await stack.admin("POST", "rollouts", body | {"override": "a drill"})
    assert made.json["overridden"].startswith("a drill: ")
    newest = (await stack.admin("GET", "audit?limit=20")).json["entries"]
    assert any(
        entry["what"].startswith("rollout.start.overridden")
        and "a drill" in entry["why"]
        for entry in newest
    )


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"tenants": ["nobody"]}, "there is no tenant 'nobody'"),
        ({"surfaces": ["nowhere"]}, "there is no surface 'nowhere'"),
        (
            {"control": {"generator": "lora_pref", "model": "acme-behav-pref@v1"}},
            "acme on assist gets base now (by default), not the control",
        ),
    ],
)
async def test_what_would_be_no_comparison_is_refused_whatever_the_reason(
    stack: Stack, fields: dict[str, Any], says: str
) -> None:
    body = {"plan": PLAN | fields, "override": "please"}
    reply = await stack.admin("POST", "rollouts", body)
    assert (reply.status, reply.code) == (409, "conflict")
    assert says in reply.json["error"]["message"]


async def test_two_rollouts_do_not_run_in_the_same_scope(stack: Stack) -> None:
    id_ = await start(stack)
    body: dict[str, Any] = {"plan": PLAN | {"surfaces": []}, "override": "please"}
    reply = await stack.admin("POST", "rollouts", body)
    assert reply.status == 409
    assert f"{id_} runs in part of that scope" in reply.json["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"steps": []}, "plan.steps"),
        ({"steps": [{"weight": 0}]}, "plan.steps[0].weight"),
        ({"candidate": 7}, "plan.candidate"),
        ({"nonsense": 1}, "plan"),
    ],
)
async def test_a_plan_that_is_none_is_refused_with_its_path(
    stack: Stack, fields: dict[str, Any], param: str
) -> None:
    reply = await stack.admin("POST", "rollouts", {"plan": PLAN | fields})
    assert (reply.status, reply.json["error"]["param"]) == (400, param)


async def test_a_rollout_that_is_not_there_is_not_found(stack: Stack) -> None:
    for reply in (
        await stack.admin("GET", "rollouts/ro-0"),
        await order(stack, "ro-0", "pause"),
        await order(stack, "ro-0", "rollback"),
    ):
        assert (reply.status, reply.code) == (404, "not_found")


async def test_a_kill_ends_a_rollout(stack: Stack) -> None:
    id_ = await start(stack, steps=STAYING)
    await until(stack, id_, lambda each: each["phase"] == "canary")
    await stack.admin("POST", "kill", {"scope": "tenant", "name": "acme"})
    found = await until(stack, id_, lambda each: each["phase"] == "rolled_back")
    assert "a kill" in found["ended"]


async def test_a_gateway_that_starts_anew_takes_a_rollout_up_where_it_was(
    configured: Configured, fake_vllm: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollouts, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(rollouts, "LEASE_SECONDS", 0.2)
    monkeypatch.setattr(counting, "FLUSH_SECONDS", 0.02)
    async with running(configured()) as first:
        await first.all_ready()
        fake_vllm.quirks = Quirks(answer=lambda _: GOOD)
        id_ = await start(first)
        await until(first, id_, lambda each: each["stage"] >= 1)
    fake_vllm.quirks = Quirks()
    async with running(configured()) as second:
        await second.all_ready()
        fake_vllm.quirks = Quirks(answer=lambda _: GOOD)
        assert (await shown(second, id_))["stage"] >= 1
        await until(second, id_, lambda each: each["phase"] == "promoted")


def test_the_plan_of_these_tests_is_one() -> None:
    assert msgspec.to_builtins(planned(PLAN).candidate) == PLAN["candidate"]
