"""`/v1/chat/completions`: OpenAI's, untouched where nothing is to be checked."""

import json
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from gateway.engine.fake import FakeVllm
from tests.stack import KEY, Stack
from tests.unit.gateway.test_assist import GOOD, saying

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
}


def format_of(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}


def client(stack: Stack) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{stack.url}/v1", api_key=KEY, max_retries=0)


async def test_the_official_client_gets_an_answer(stack: Stack) -> None:
    async with client(stack) as ai:
        answer = await ai.chat.completions.create(
            model="auto", messages=[{"role": "user", "content": "Hello?"}]
        )
    assert "Hello?" in (answer.choices[0].message.content or "")
    assert answer.usage is not None


async def test_the_official_client_reads_a_stream(stack: Stack) -> None:
    async with client(stack) as ai:
        stream = await ai.chat.completions.create(
            model="auto", messages=[{"role": "user", "content": "Hello?"}], stream=True
        )
        chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert "Hello?" in text
    assert chunks[-1].choices[0].finish_reason == "stop"


async def test_the_official_client_raises_its_own_error_for_ours(stack: Stack) -> None:
    async with client(stack) as ai:
        with pytest.raises(openai.NotFoundError, match="gpt-4"):
            await ai.chat.completions.create(
                model="gpt-4", messages=[{"role": "user", "content": "?"}]
            )


async def test_the_official_client_lists_the_models(stack: Stack) -> None:
    async with client(stack) as ai:
        names = [model.id async for model in ai.models.list()]
    assert names == ["auto", "assist", "email"]


async def test_an_unchecked_answer_is_the_engines_own_bytes(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    ours = await stack.chat()
    body = fake_vllm.completions[-1].body
    url = f"{fake_vllm.url}/v1/chat/completions"
    async with stack.http.post(url, json=body) as answer:
        theirs = await answer.json()
    same = ours.json
    assert same.keys() == theirs.keys()
    assert same["choices"] == theirs["choices"]


async def test_the_last_chunk_of_a_stream_says_who_answered(stack: Stack) -> None:
    reply = await stack.chat(stream=True)
    *_, last, done = reply.events
    assert done == "[DONE]"
    said = json.loads(last)
    assert said["choices"][0]["finish_reason"] == "stop"
    assert said["wastegate"]["generator"] == "base"


async def test_usage_comes_in_a_stream_only_if_asked_for(stack: Stack) -> None:
    without = await stack.chat(stream=True)
    assert not any('"choices":[]' in event for event in without.events)
    asked = await stack.chat(stream=True, stream_options={"include_usage": True})
    usage = json.loads(asked.events[-2])
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] > 0
    assert usage["wastegate"]["model"] == "smollm2-135m-instruct@1.0"


async def test_the_upstream_body_is_rebuilt_from_what_is_known(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    await stack.chat(
        cache_salt="mine",
        chat_template="{{ evil }}",
        priority=-1,
        structured_outputs={"regex": "(a+)+"},
        temperature=0,
        metadata={"conversation_id": "c-1"},
    )
    sent = fake_vllm.completions[-1].body
    assert sent.keys() == {
        *("model", "messages", "max_tokens", "cache_salt", "temperature")
    }
    assert sent["cache_salt"] != "mine"
    assert sent["model"] == "base"


async def test_a_surface_checks_a_chat_as_it_checks_an_assist(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    assert (await stack.chat(model="assist")).code == "output_invalid"
    fake_vllm.quirks = saying(GOOD)
    reply = await stack.chat(model="assist")
    assert reply.json["choices"][0]["message"]["content"] == GOOD
    assert reply.headers["X-Wastegate-Verdict"] == "valid"


async def test_a_checked_chat_streams_in_openais_form(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = saying(GOOD)
    async with client(stack) as ai:
        stream = await ai.chat.completions.create(
            model="assist",
            messages=[{"role": "user", "content": "?"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
    text = [c.choices[0].delta.content or "" for c in chunks if c.choices]
    assert "".join(text) == GOOD
    assert chunks[-1].usage is not None


async def test_a_schema_of_the_request_is_sent_on_and_checked(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = saying('{"n": 3}', '{"n": "three"}')
    good = await stack.chat(response_format=format_of(SCHEMA))
    assert good.headers["X-Wastegate-Verdict"] == "constrained"
    assert fake_vllm.completions[-1].body["response_format"] == format_of(SCHEMA)
    bad = await stack.chat(response_format=format_of(SCHEMA))
    assert (bad.code, bad.json["error"]["path"]) == ("output_invalid", "/n")


async def test_json_object_means_an_object(stack: Stack, fake_vllm: FakeVllm) -> None:
    fake_vllm.quirks = saying('{"a": 1}', "[1]")
    asked = {"type": "json_object"}
    assert (await stack.chat(response_format=asked)).status == 200
    assert (await stack.chat(response_format=asked)).code == "output_invalid"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": format_of({"$ref": "http://x/y"})}, "response_format"),
        ({"response_format": format_of({"type": "wrong"})}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"n": 5}, "n"),
        ({"n": 2, "model": "assist"}, "n"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": "?"}] * 300}, "messages"),
        ({"max_completion_tokens": 10**9}, "max_completion_tokens"),
        ({"stop": [""]}, "stop"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image_url", "image_url": {"url": "x"}}],
                    }
                ]
            },
            "messages",
        ),
    ],
)
async def test_what_is_not_served_is_refused_by_name(
    stack: Stack, fields: dict[str, Any], param: str
) -> None:
    reply = await stack.chat(**fields)
    assert (reply.status, reply.code) == (400, "invalid_request")
    assert (reply.json["error"]["param"] or "").startswith(param)


async def test_a_conversation_is_found_in_each_of_its_three_places(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    await stack.admin(
        "PUT", "flags/GENERATOR", {"default": "base", "lora": 5000}, if_match='"1"'
    )
    body: dict[str, Any] = {
        "model": "assist",
        "messages": [{"role": "user", "content": "?"}],
    }
    fake_vllm.quirks = saying(GOOD)
    path = "/v1/chat/completions"
    by_header = await stack.post(path, body, X_Conversation_Id="conv-42")
    by_metadata = await stack.post(
        path, body | {"metadata": {"conversation_id": "conv-42"}}
    )
    by_user = await stack.post(path, body | {"user": "conv-42"})
    reasons = {
        reply.headers["X-Wastegate-Reason"]
        for reply in (by_header, by_metadata, by_user)
    }
    assert len(reasons) == 1
    assert "rule=percentage" in reasons.pop()
