"""The engine port's contract: the same tests for the fake and for a real vLLM."""

import asyncio
import re
import shutil
import urllib.request
from pathlib import Path
from typing import Protocol

import msgspec
import pytest

from gateway.engine.port import Replica
from gateway.errors import AdapterUnavailable, BadRequest, UpstreamError

LONG = 200
"""Tokens; enough that an answer is still being written when a test looks."""


class Engine(Protocol):
    """What the fixture gives (test modules do not import from one another)."""

    replica: Replica
    base: str
    name: str
    adapter: Path
    patience: float


class Delta(msgspec.Struct):
    role: str | None = None
    content: str | None = None


class Token(msgspec.Struct):
    token: str
    logprob: float


class Logprobs(msgspec.Struct):
    content: list[Token]


class Choice(msgspec.Struct):
    message: Delta | None = None
    delta: Delta | None = None
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int


class Answer(msgspec.Struct):
    id: str
    model: str
    choices: list[Choice]
    usage: Usage | None = None


def ask(model: str, **more: object) -> bytes:
    messages = [{"role": "user", "content": "Tell me about the sea."}]
    body = {"model": model, "messages": messages, "temperature": 0, "max_tokens": 8}
    return msgspec.json.encode({**body, **more})


async def complete(engine: Engine, model: str, **more: object) -> Answer:
    raw = await engine.replica.complete(ask(model, **more))
    return msgspec.json.decode(raw, type=Answer)


async def running(engine: Engine) -> float:
    """How many requests the engine says that it works on."""

    def look() -> bytes:
        with urllib.request.urlopen(f"{engine.replica.url}/metrics") as page:  # noqa: S310 -- loopback
            return page.read()

    page = await asyncio.to_thread(look)
    found = re.findall(
        rb"^vllm:num_requests_running\{[^}]*\} (\S+)", page, re.MULTILINE
    )
    return sum(map(float, found))


async def until_running(engine: Engine, number: int) -> None:
    async with asyncio.timeout(engine.patience):
        while await running(engine) != number:
            await asyncio.sleep(0.02)


async def test_a_completion_comes_from_the_model_that_was_asked(engine: Engine) -> None:
    answer = await complete(engine, engine.base)

    (choice,) = answer.choices
    assert answer.model == engine.base
    assert choice.message is not None
    assert choice.message.content
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 0
    assert 0 < answer.usage.completion_tokens <= 8


async def test_a_token_budget_ends_an_answer_with_length(engine: Engine) -> None:
    answer = await complete(engine, engine.base, max_tokens=2)

    assert answer.choices[0].finish_reason == "length"


async def test_a_stream_has_a_role_tokens_one_end_and_the_usage(engine: Engine) -> None:
    body = ask(engine.base, stream=True, stream_options={"include_usage": True})
    async with engine.replica.stream(body) as events:
        chunks = [msgspec.json.decode(data, type=Answer) async for data in events]

    deltas = [choice for chunk in chunks for choice in chunk.choices]
    assert deltas[0].delta is not None
    assert deltas[0].delta.role == "assistant"
    assert "".join((d.delta and d.delta.content) or "" for d in deltas)
    assert [d.finish_reason for d in deltas if d.finish_reason] == ["length"]
    assert chunks[-1].usage is not None
    assert {chunk.model for chunk in chunks} == {engine.base}


async def test_an_unknown_name_is_an_unavailable_adapter(engine: Engine) -> None:
    with pytest.raises(AdapterUnavailable):
        await engine.replica.complete(ask(engine.name))
    with pytest.raises(AdapterUnavailable):
        async with engine.replica.stream(ask(engine.name, stream=True)):
            pass


@pytest.mark.parametrize(
    ("field", "value"),
    [("n", 0), ("n", 2), ("max_tokens", 0), ("max_tokens", 9_999), ("messages", 7)],
)
async def test_a_request_that_the_engine_refuses_is_a_bad_request(
    engine: Engine, field: str, value: object
) -> None:
    with pytest.raises(BadRequest):
        await engine.replica.complete(ask(engine.base, **{field: value}))


async def test_a_prompt_over_the_context_length_is_a_bad_request(
    engine: Engine,
) -> None:
    messages = [{"role": "user", "content": "sea " * 4_000}]

    with pytest.raises(BadRequest, match="context length"):
        await engine.replica.complete(ask(engine.base, messages=messages))


async def test_a_grammar_that_nothing_fits_is_a_bad_request(engine: Engine) -> None:
    schema = {"type": "object", "required": ["a"], "properties": {"a": False}}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}

    with pytest.raises(BadRequest, match="Unsatisfiable schema"):
        await engine.replica.complete(ask(engine.base, response_format=form))
    with pytest.raises(BadRequest, match="Unsatisfiable schema"):
        async with engine.replica.stream(
            ask(engine.base, stream=True, response_format=form)
        ) as events:
            await anext(events)
    assert (await complete(engine, engine.base)).model == engine.base


async def test_a_look_shows_the_base_and_the_same_epoch_twice(engine: Engine) -> None:
    first, second = await engine.replica.observe(), await engine.replica.observe()

    assert first.alive
    assert engine.base in first.models
    assert first.boot_epoch == second.boot_epoch > 1_500_000_000


async def test_a_loaded_adapter_answers_under_its_name_and_differs(
    engine: Engine,
) -> None:
    await engine.replica.load(engine.name, engine.adapter)

    plain = await complete(engine, engine.base, logprobs=True)
    tuned = await complete(engine, engine.name, logprobs=True)

    assert {engine.base, engine.name} <= (await engine.replica.observe()).models
    assert tuned.model == engine.name
    assert plain.choices[0].logprobs is not None
    assert tuned.choices[0].logprobs is not None
    assert plain.choices[0].logprobs.content[0] != tuned.choices[0].logprobs.content[0]


async def test_an_unloaded_name_is_gone_for_new_requests(engine: Engine) -> None:
    await engine.replica.load(engine.name, engine.adapter)
    await engine.replica.unload(engine.name)

    assert engine.name not in (await engine.replica.observe()).models
    with pytest.raises(AdapterUnavailable):
        await engine.replica.complete(ask(engine.name))


async def test_unloading_an_unknown_name_is_no_error(engine: Engine) -> None:
    await engine.replica.unload(engine.name)


async def test_loading_twice_from_the_same_path_is_a_success(engine: Engine) -> None:
    await engine.replica.load(engine.name, engine.adapter)
    await engine.replica.load(engine.name, engine.adapter)


async def test_a_name_keeps_the_path_that_it_was_loaded_from(
    engine: Engine, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(engine.adapter, other)
    await engine.replica.load(engine.name, engine.adapter)

    with pytest.raises(BadRequest, match="already been loaded"):
        await engine.replica.load(engine.name, other)


async def test_the_base_s_name_cannot_be_taken(engine: Engine) -> None:
    with pytest.raises(BadRequest, match="conflicts"):
        await engine.replica.load(engine.base, engine.adapter)


async def test_a_directory_without_an_adapter_is_refused(
    engine: Engine, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()

    with pytest.raises(UpstreamError):
        await engine.replica.load(engine.name, empty)

    assert engine.name not in (await engine.replica.observe()).models


async def test_a_stream_outlives_the_unload_of_its_adapter(engine: Engine) -> None:
    await engine.replica.load(engine.name, engine.adapter)
    body = ask(engine.name, stream=True, max_tokens=40, ignore_eos=True)
    async with engine.replica.stream(body) as events:
        await anext(events)
        await engine.replica.unload(engine.name)
        with pytest.raises(AdapterUnavailable):
            await engine.replica.complete(ask(engine.name))

        rest = [msgspec.json.decode(data, type=Answer) async for data in events]

    assert rest[-1].choices[0].finish_reason in ("stop", "length")
    assert {chunk.model for chunk in rest} == {engine.name}


async def test_leaving_a_stream_makes_the_engine_stop(engine: Engine) -> None:
    body = ask(engine.base, stream=True, max_tokens=LONG, ignore_eos=True)
    async with engine.replica.stream(body) as events:
        await anext(events)

    await until_running(engine, 0)


async def test_cancelling_a_completion_makes_the_engine_stop(engine: Engine) -> None:
    body = ask(engine.base, max_tokens=LONG, ignore_eos=True)
    tasks = [asyncio.ensure_future(engine.replica.complete(body)) for _ in range(4)]
    await until_running(engine, 4)

    for task in tasks:
        task.cancel()

    await asyncio.wait(tasks)
    await until_running(engine, 0)
    assert (await complete(engine, engine.base)).model == engine.base
