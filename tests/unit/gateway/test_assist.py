"""`/v1/assist`: an object that fits, or a typed error; never anything between."""

import json
from typing import Any

import msgspec
import pytest

from gateway.engine.fake import FakeVllm
from gateway.engine.fake_answers import Asked
from gateway.engine.fake_quirks import Quirks
from tests.stack import Stack, running
from tests.unit.gateway.conftest import Configured

GOOD = '{"status":"ok","answer":"1.7 litres","citations":["S1"]}'


def saying(*texts: str, **quirks: Any) -> Quirks:
    """A fake that says these texts, the last one for ever."""
    left = list(texts)

    def answer(asked: Asked) -> str:
        return left.pop(0) if len(left) > 1 else left[0]

    return Quirks(answer=answer, **quirks)


async def test_a_valid_output_goes_out_byte_for_byte(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    spaced = GOOD.replace(",", " ,  ")
    fake_vllm.quirks = saying(spaced)
    reply = await stack.assist()
    assert reply.status == 200
    assert spaced.encode() in reply.body
    assert reply.json["verdict"] == reply.headers["X-Wastegate-Verdict"] == "valid"
    assert reply.json["repairs"] == []


async def test_the_answer_says_who_answered_and_why(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = saying(GOOD)
    reply = await stack.assist()
    assert reply.json["generator"] == reply.headers["X-Wastegate-Generator"] == "base"
    assert reply.headers["X-Wastegate-Model"] == "smollm2-135m-instruct@1.0"
    assert "rule=default" in reply.headers["X-Wastegate-Reason"]
    assert reply.json["usage"]["total_tokens"] > 0


async def test_the_time_to_the_first_token_is_told(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = saying(GOOD)
    assert (await stack.assist()).headers["Server-Timing"].startswith("ttft;dur=")


async def test_a_fenced_output_is_repaired_and_says_so(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = saying(f"Here it is:\n```json\n{GOOD}\n```")
    reply = await stack.assist()
    assert reply.json["output"] == json.loads(GOOD)
    assert reply.json["verdict"] == "repaired"
    assert reply.json["repairs"]


async def test_prose_is_a_typed_error_with_its_stage(stack: Stack) -> None:
    reply = await stack.assist()
    assert (reply.status, reply.code) == (502, "output_invalid")
    assert reply.json["error"]["stage"] == "envelope"
    assert reply.headers["X-Wastegate-Verdict"] == "invalid"


async def test_a_citation_that_the_context_lacks_is_refused(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = saying(GOOD.replace("S1", "S9"))
    reply = await stack.assist()
    assert reply.code == "output_invalid"
    assert reply.json["error"]["path"] == "/citations/0"


async def test_a_cut_answer_is_never_a_complete_one(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = saying(GOOD, finish_reason="length")
    reply = await stack.assist()
    assert (reply.status, reply.code) == (502, "output_truncated")
    assert reply.headers["X-Wastegate-Verdict"] == "truncated"


async def test_a_checked_stream_comes_whole_and_ends(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = saying(GOOD)
    reply = await stack.assist(stream=True)
    first, last = reply.events
    assert json.loads(first)["output"] == json.loads(GOOD)
    assert last == "[DONE]"


async def test_a_stream_that_fails_before_its_first_byte_is_an_http_error(
    stack: Stack,
) -> None:
    assert (await stack.assist(stream=True)).status == 502


async def test_a_held_stream_is_kept_awake_and_fails_with_an_event(
    configured: Configured, fake_vllm: FakeVllm
) -> None:
    async with running(configured("[limits]\nkeepalive_seconds = 0.05")) as stack:
        await stack.all_ready()
        fake_vllm.quirks = Quirks(first_token_delay=0.3)
        reply = await stack.assist(stream=True)
    assert reply.status == 200
    assert reply.body.startswith(b": keep-alive\n\n")
    assert json.loads(reply.events[-1])["error"]["code"] == "output_invalid"
    assert b"[DONE]" not in reply.body


async def test_a_second_question_may_mend_what_a_repair_may_not(
    configured: Configured, fake_vllm: FakeVllm
) -> None:
    async with running(configured("[surfaces.assist]\nreask = 1")) as stack:
        await stack.all_ready()
        fake_vllm.quirks = saying("I would say 1.7 litres.", GOOD)
        reply = await stack.assist()
    assert reply.json["verdict"] == "reasked"
    asked: Any = fake_vllm.completions[-1].body["messages"]
    assert [m["role"] for m in asked] == ["system", "user", "assistant", "user"]


async def test_asking_again_never_turns_a_refusal_into_an_ok(
    configured: Configured, fake_vllm: FakeVllm
) -> None:
    refused = '{"status":"refused","answer":"no","citations":["S7"]}'
    async with running(configured("[surfaces.assist]\nreask = 1")) as stack:
        await stack.all_ready()
        fake_vllm.quirks = saying(refused, GOOD)
        reply = await stack.assist()
    assert reply.code == "output_invalid"


async def test_a_constrained_surface_tells_the_engine_its_schema(
    configured: Configured, fake_vllm: FakeVllm
) -> None:
    async with running(configured('[surfaces.assist]\nmode = "constrained"')) as stack:
        await stack.all_ready()
        reply = await stack.assist()
    assert reply.json["verdict"] == "constrained"
    sent: Any = fake_vllm.completions[-1].body["response_format"]
    assert sent["json_schema"]["schema"]["title"] == "ACME Assistant answer"


async def test_another_model_under_the_name_is_no_answer(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = msgspec.structs.replace(saying(GOOD), echoed_model="other")
    reply = await stack.assist()
    assert (reply.status, reply.code) == (502, "upstream_error")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"surface": "email"}, "surface"),
        ({"max_tokens": 100_000}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 9}, "temperature"),
        ({"conversation": ""}, "conversation"),
        ({"conversation": "a\nb"}, None),
        ({"colour": "red"}, None),
    ],
)
async def test_a_wrong_field_is_named(
    stack: Stack, fields: dict[str, Any], param: str | None
) -> None:
    await stack.admin("PUT", "flags/GENERATOR", {"lora": 5000}, if_match='"1"')
    reply = await stack.assist(**fields)
    assert (reply.status, reply.code) == (400, "invalid_request")
    assert reply.json["error"]["param"] == param


async def test_two_passages_with_one_id_are_refused(stack: Stack) -> None:
    twice = [{"id": "S1", "text": "a"}, {"id": "S1", "text": "b"}]
    body = {"input": {"context": twice, "user": "?"}}
    reply = await stack.post("/v1/assist", body)
    assert reply.json["error"]["param"] == "input.context"
