"""Who answers: flags, overrides, kills, canaries, fallbacks, all without a restart."""

from typing import Any

from gateway.engine.fake import FakeVllm
from tests.stack import READ_KEY, Stack
from tests.unit.gateway.conftest import LORA, PREF
from tests.unit.gateway.test_assist import GOOD, saying


async def flags(stack: Stack, **fields: Any) -> None:
    current = await stack.admin("GET", "flags/GENERATOR")
    reply = await stack.admin(
        "PUT",
        "flags/GENERATOR",
        current.json | fields,
        if_match=current.headers["ETag"],
    )
    assert reply.status == 200, reply.body


async def generator(stack: Stack, **fields: Any) -> str:
    reply = await stack.assist(**fields)
    return reply.headers["X-Wastegate-Generator"]


async def test_a_flip_is_in_the_very_next_answer(stack: Stack) -> None:
    await flags(stack, default="lora")
    reply = await stack.assist()
    assert reply.headers["X-Wastegate-Model"] == LORA
    assert LORA in reply.json["output"]["answer"]
    await flags(stack, default="base")
    assert await generator(stack) == "base"


async def test_each_generator_is_answered_by_its_own_ref(stack: Stack) -> None:
    for name, ref in (("lora", LORA), ("lora_pref", PREF)):
        await stack.admin("PUT", "overrides/acme", {"variant": name})
        reply = await stack.assist()
        assert (reply.json["generator"], reply.json["model"]) == (name, ref)
        assert ref in reply.json["output"]["answer"]


async def test_an_override_beats_a_surface_and_a_surface_the_default(
    stack: Stack,
) -> None:
    await flags(stack, surfaces={"assist": {"variant": "lora"}})
    assert await generator(stack) == "lora"
    await stack.admin("PUT", "overrides/acme", {"variant": "lora_pref"})
    assert await generator(stack) == "lora_pref"
    await stack.admin("DELETE", "overrides/acme")
    assert await generator(stack) == "lora"


async def test_a_kill_beats_everything_and_is_taken_back(stack: Stack) -> None:
    await stack.admin("PUT", "overrides/acme", {"variant": "lora"})
    killed = await stack.admin("POST", "kill", {"scope": "global", "why": "smoke"})
    assert killed.json["persisted"] is True
    reply = await stack.assist()
    assert "rule=kill.global" in reply.headers["X-Wastegate-Reason"]
    assert reply.headers["X-Wastegate-Generator"] == "base"
    await stack.admin("DELETE", "kill", {"scope": "global"})
    assert await generator(stack) == "lora"


async def test_a_conversation_keeps_its_generator_and_the_rest_keep_theirs(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = saying(GOOD)
    await flags(stack, lora=5000)
    first = [await generator(stack, conversation=f"c{n}") for n in range(20)]
    again = [await generator(stack, conversation=f"c{n}") for n in range(20)]
    assert first == again
    assert set(first) == {"base", "lora"}


async def test_without_a_conversation_there_is_no_draw(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = saying(GOOD)
    await flags(stack, lora=10_000)
    reply = await stack.assist()
    assert reply.headers["X-Wastegate-Generator"] == "base"
    assert "rule=unit_missing" in reply.headers["X-Wastegate-Reason"]


async def test_what_resolve_says_is_what_a_request_gets(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = saying(GOOD)
    await flags(stack, lora=3000, lora_pref=3000)
    for number in range(10):
        unit = f"conv-{number}"
        told = await stack.admin(
            "GET", f"resolve?tenant=acme&surface=assist&unit={unit}", key=READ_KEY
        )
        got = await stack.assist(conversation=unit)
        assert told.json["generator"] == got.json["generator"]
        assert told.json["reason"] == got.json["reason"]
        assert told.json["model"] == got.json["model"]
        assert told.json["ready"] is True


async def test_an_adapter_that_is_ready_nowhere_is_a_typed_503(stack: Stack) -> None:
    await flags(stack, default="lora")
    await stack.admin("DELETE", f"adapters/{LORA}")
    reply = await stack.assist()
    assert (reply.status, reply.code) == (503, "adapter_unavailable")
    assert reply.headers["X-Wastegate-Generator"] == "lora"


async def test_a_tenant_that_allows_it_is_answered_by_the_base_and_told(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = saying(GOOD)
    await flags(stack, default="lora")
    await stack.admin("DELETE", f"adapters/{LORA}")
    body = {"input": {"user": "?", "context": [{"id": "S1", "text": "x"}]}}
    reply = await stack.post("/v1/assist", body, key="careful-key")
    assert reply.status == 200
    assert reply.json["generator"] == "base"
    assert reply.json["reason"].endswith("fallback=adapter_unavailable")


async def test_a_stale_write_loses_and_changes_nothing(stack: Stack) -> None:
    await flags(stack, default="lora")
    stale = await stack.admin(
        "PUT", "flags/GENERATOR", {"default": "base"}, if_match='"1"'
    )
    assert (stale.status, stale.code) == (409, "conflict")
    assert await generator(stack) == "lora"


async def test_every_change_is_in_the_audit_log_with_who_and_why(stack: Stack) -> None:
    body = {"variant": "lora", "why": "ticket 7"}
    await stack.admin("PUT", "overrides/acme", body)
    entry = (await stack.admin("GET", "audit")).json["entries"][0]
    assert (entry["who"], entry["why"]) == ("alice", "ticket 7")
    assert entry["before"]["overrides"] == {}
    assert entry["after"]["overrides"] == {"acme": "lora"}


async def test_a_read_key_looks_and_changes_nothing(stack: Stack) -> None:
    assert (await stack.admin("GET", "overrides", key=READ_KEY)).status == 200
    refused = await stack.admin(
        "PUT", "overrides/acme", {"variant": "lora"}, key=READ_KEY
    )
    assert (refused.status, refused.code) == (403, "not_allowed")
    assert (await stack.admin("GET", "overrides", key="tenant-key")).status == 401


async def test_a_binding_moves_a_generator_to_another_ref(stack: Stack) -> None:
    await stack.admin("PUT", "overrides/acme", {"variant": "lora"})
    await stack.admin("PUT", "bindings/lora", {"ref": PREF, "why": "v2"})
    assert (await stack.assist()).json["model"] == PREF


async def test_the_metrics_count_what_happened(stack: Stack) -> None:
    await flags(stack, default="lora")
    await stack.assist()
    text = (await stack.admin("GET", "/metrics", key="")).body.decode()
    assert f'generator="lora",mode="free",model="{LORA}"' in text
    assert "wastegate_flag_version 2.0" in text
    assert f'model="{LORA}",replica=' in text


async def test_rollouts_are_not_changed_by_writing_the_flag(stack: Stack) -> None:
    current = await stack.admin("GET", "flags/GENERATOR")
    canary = {"id": "ro-1", "candidate": {"generator": "lora", "model": "a@v1"}}
    reply = await stack.admin(
        "PUT",
        "flags/GENERATOR",
        current.json | {"rollouts": [canary]},
        if_match=current.headers["ETag"],
    )
    assert (reply.status, reply.json["error"]["param"]) == (400, "rollouts")
    assert "wastegate rollout" in reply.json["error"]["message"]


async def test_a_change_that_comes_second_is_told_who_was_first(stack: Stack) -> None:
    seen = await stack.admin("GET", "flags/GENERATOR")
    body = seen.json | {"lora": 500, "why": "first step"}
    tag = seen.headers["ETag"]
    assert (
        await stack.admin("PUT", "flags/GENERATOR", body, if_match=tag)
    ).status == 200
    late = await stack.admin("PUT", "flags/GENERATOR", body, if_match=tag)
    assert (late.status, late.code) == (409, "conflict")
    assert "flags.set by alice (first step) at 2" in late.json["error"]["message"]


async def test_the_audit_log_can_be_verified(stack: Stack) -> None:
    await stack.admin("PUT", "overrides/acme", {"variant": "lora"})
    found = (await stack.admin("GET", "audit/verify", key=READ_KEY)).json
    listed = (await stack.admin("GET", "audit")).json["entries"]
    assert found == {
        "entries": len(listed),
        "digest": listed[0]["digest"],
        "broken_at": None,
        "reason": None,
    }
