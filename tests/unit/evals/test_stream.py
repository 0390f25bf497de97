"""A streamed completion: when its pieces came, and what is no answer."""

import pytest

from evals import stream
from evals.answers import Subject
from evals.errors import TargetError, WrongGeneratorError
from evals.stream import Streamed
from structured.prompt import AssistInput, ContextItem, render
from tests.unit.evals.streaming import DONE, Server, event, serving, token, usage

LORA = Subject("lora", "behav@v1")
GIVEN = AssistInput("Well?", (ContextItem("kb-1", "Fact."),))


async def ask(server: Server) -> Streamed:
    async with stream.connect(server.url, "key", 32) as streamer:
        return await streamer.ask(GIVEN, LORA, "unit-1")


async def test_each_piece_of_text_is_timed_and_tokens_are_the_engines_count() -> None:
    async with serving() as server:
        server.first, server.gap, server.tokens = 0.05, 0.02, 4
        answer = await ask(server)
    assert len(answer.arrived) == 4
    assert answer.arrived == tuple(sorted(answer.arrived))
    assert answer.ended - answer.arrived[0] >= 0.9 * 3 * 0.02
    assert (answer.prompt_tokens, answer.completion_tokens) == (100, 4)


async def test_it_asks_for_the_prompt_that_assist_would_send() -> None:
    async with serving() as server:
        await ask(server)
    (body,) = server.bodies
    said = [{"role": m.role, "content": m.content} for m in render(GIVEN)]
    assert body["messages"] == said
    assert (body["model"], body["stream"], body["max_tokens"]) == ("auto", True, 32)
    assert "response_format" not in body


async def test_an_event_without_text_is_no_token() -> None:
    async with serving() as server:
        server.raw = token("") + token(None) + b": alive\n\n" + usage(0) + DONE
        answer = await ask(server)
    assert answer.arrived == ()


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (token("a") + event({"error": {"code": "upstream_error"}}), "upstream_error"),
        (token("a"), "cut_off"),
        (b"data: {\n\n", "not_understood"),
        (b'data: {"choices": 3}\n\n', "not_understood"),
    ],
)
async def test_a_stream_that_is_not_whole_is_no_answer(raw: bytes, code: str) -> None:
    async with serving() as server:
        server.raw = raw
        with pytest.raises(TargetError) as caught:
            await ask(server)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("raw", "code"),
    [(b'{"error": {"code": "overloaded"}}', "overloaded"), (b"busy", "http_429")],
)
async def test_a_refusal_has_the_gateways_code(raw: bytes, code: str) -> None:
    async with serving() as server:
        server.status, server.raw = "429 Too Many Requests", raw
        with pytest.raises(TargetError) as caught:
            await ask(server)
    assert caught.value.code == code


@pytest.mark.parametrize("header", ["x-wastegate-generator", "x-wastegate-model"])
async def test_another_generators_stream_is_never_timed_as_this_ones(
    header: str,
) -> None:
    async with serving() as server:
        server.headers[header] = "other"
        with pytest.raises(WrongGeneratorError, match=r"asked lora \(behav@v1\)"):
            await ask(server)


async def test_a_gateway_that_is_down_is_unreachable() -> None:
    async with serving() as server:
        pass
    with pytest.raises(TargetError) as caught:
        await ask(server)
    assert caught.value.code == "unreachable"
