"""Decoding bound to a schema: what the engine is told, and what comes back."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.engine.fake import FakeVllm
from tests.stack import Stack, running
from tests.unit.gateway.conftest import Configured
from tests.unit.gateway.test_assist import saying

BOUND = '[surfaces.assist]\nmode = "constrained"\nreask = 1'
NOTHING = {"type": "object", "required": ["a"], "properties": {"a": False}}
"""A schema that no value fits; an engine finds that out when it makes a grammar."""
CONTEXT = [{"id": "c2", "text": "red"}, {"id": 'a "b"', "text": "blue"}]


def told(fake: FakeVllm) -> Any:
    body: Any = fake.completions[-1].body
    return body["response_format"]["json_schema"]["schema"]


async def ask(stack: Stack, context: list[dict[str, str]]) -> Any:
    body = {"input": {"context": context, "user": "Which?"}}
    return await stack.post("/v1/assist", body)


async def test_citations_are_decoded_by_alias_and_come_back_as_ids(
    configured: Configured, fake_vllm: FakeVllm
) -> None:
    async with running(configured(BOUND)) as stack:
        await stack.all_ready()
        said = '{"status":"ok","answer":"c1, then c2","citations":["c1","c2"]}'
        fake_vllm.quirks = saying(said)
        reply = await ask(stack, CONTEXT)
    assert reply.json["verdict"] == "constrained"
    assert reply.json["output"]["citations"] == ["c2", 'a "b"']
    assert reply.json["output"]["answer"] == "c1, then c2"
    asked: Any = fake_vllm.completions[-1].body["messages"]
    assert "[c1] red\n[c2] blue" in asked[-1]["content"]
    assert 'a "b"' not in json.dumps(told(fake_vllm))


async def test_an_alias_that_the_context_lacks_is_refused(
    configured: Configured, fake_vllm: FakeVllm
) -> None:
    async with running(configured(BOUND)) as stack:
        await stack.all_ready()
        fake_vllm.quirks = saying('{"status":"ok","answer":"x","citations":["c3"]}')
        reply = await ask(stack, CONTEXT)
    assert reply.json["error"]["path"] == "/citations/0"


async def test_a_second_question_keeps_grammar_and_aliases(
    configured: Configured, fake_vllm: FakeVllm
) -> None:
    good = '{"status":"ok","answer":"x","citations":["c2"]}'
    async with running(configured(BOUND)) as stack:
        await stack.all_ready()
        fake_vllm.quirks = saying(good.replace("c2", "c9"), good)
        reply = await ask(stack, CONTEXT)
    assert reply.json["verdict"] == "reasked"
    assert reply.json["output"]["citations"] == ['a "b"']
    assert told(fake_vllm)["type"] == "object"


@pytest.mark.parametrize("extra", ["", '[surfaces.assist]\nstream = "live"'])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_schema_of_the_request_that_nothing_fits_is_a_bad_request(
    configured: Configured, fake_vllm: FakeVllm, extra: str, *, stream: bool
) -> None:
    bound = {"name": "none", "schema": NOTHING}
    form = {"type": "json_schema", "json_schema": bound}
    async with running(configured(extra)) as stack:
        reply = await stack.chat(response_format=form, stream=stream, model="assist")
    assert (reply.status, reply.code) == (400, "invalid_request")
    assert "Unsatisfiable schema" in reply.json["error"]["message"]
    assert fake_vllm.running == 0


async def test_a_last_resort_that_the_engine_refuses_leaves_the_first_refusal(
    configured: Configured, tmp_path: Path
) -> None:
    schema = tmp_path / "nothing.json"
    schema.write_text(json.dumps(NOTHING))
    extra = f'[surfaces.assist]\nschema = "{schema}"\nlast_resort = "constrained"'
    async with running(configured(extra)) as stack:
        reply = await stack.chat(model="assist")
    assert (reply.status, reply.code) == (502, "output_invalid")
    last = reply.json["error"]["attempts"][-1]
    assert (last["attempt"], last["code"]) == ("constrained", "invalid_request")


async def test_without_a_context_nothing_can_be_cited(
    configured: Configured, fake_vllm: FakeVllm
) -> None:
    async with running(configured(BOUND)) as stack:
        await stack.all_ready()
        fake_vllm.quirks = saying('{"status":"ok","answer":"x","citations":[]}')
        assert (await ask(stack, [])).status == 200
    assert told(fake_vllm)["properties"]["citations"] == {
        "anyOf": [{"type": "array", "maxItems": 0}]
    }
