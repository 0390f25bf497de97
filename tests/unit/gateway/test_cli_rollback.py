"""`wastegate rollback` against a running gateway: first the routing, then the replicas."""

import json
from functools import partial

import pytest

from gateway.engine.fake import FakeVllm
from gateway.engine.fake_quirks import Quirks
from tests.stack import Stack
from tests.unit.gateway.conftest import LORA, Commands as Run
from tests.unit.gateway.test_assist import GOOD
from tests.unit.gateway.test_rollouts import STAYING, start, until


@pytest.fixture
def run(commands: Run) -> Run:
    return partial(commands, "rollback")


async def test_an_adapter_is_out_of_everything(
    stack: Stack, run: Run, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = Quirks(answer=lambda _: GOOD)
    id_ = await start(stack, steps=STAYING)
    await until(stack, id_, lambda each: each["phase"] == "canary")
    await stack.admin("PUT", "overrides/careful", {"variant": "lora"})
    code, out, err = await run(LORA, "--why", "incident 7")
    assert code == 0, err
    for part in (f"{id_} rolled back", "variant lora killed", "verified"):
        assert part in out
    assert "wastegate kill remove variant lora" in out
    for key in ("tenant-key", "careful-key"):
        body = {"input": {"user": "?"}, "conversation": "conv-1"}
        reply = await stack.post("/v1/assist", body, key=key)
        assert reply.headers["X-Wastegate-Generator"] == "base"
    whys = [e["why"] for e in (await stack.admin("GET", "audit")).json["entries"]]
    assert whys.count("incident 7") >= 3


async def test_what_could_not_be_done_is_left_to_do_and_nothing_else(
    stack: Stack, run: Run, fake_vllm: FakeVllm
) -> None:
    await stack.admin("PUT", "overrides/acme", {"variant": "lora"})
    await fake_vllm.stop()
    code, out, err = await run(LORA, "--wait", "0.2", "--json")
    told = json.loads(out)
    assert code == 1
    assert told["steps"][0]["step"] == "variant lora killed"
    assert told["left_to_do"]
    assert "left to do" in err
    assert (await stack.admin("GET", "kill")).json["kills"] != []


async def test_an_adapter_that_nobody_knows_is_refused_in_words(run: Run) -> None:
    code, _, err = await run("nobody@v1")
    assert code == 1
    assert "nobody@v1" in err
