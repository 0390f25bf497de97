"""Live streams: text goes out while it is written, and its end only when it passed."""

import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from gateway.engine.fake import FakeVllm
from tests.stack import KEY, Stack, running
from tests.unit.gateway.conftest import Configured
from tests.unit.gateway.test_assist import GOOD, saying

LIVE = '[surfaces.assist]\nstream = "live"\nreask = 1'
LONG = '{"status": "ok", "answer": "größer — 日本 😀 \\"so\\" \\u00e9", "citations": ["S1"]}'


@pytest.fixture
async def stack(configured: Configured) -> AsyncIterator[Stack]:
    """A gateway whose assist surface streams live."""
    async with running(configured(LIVE)) as stack:
        await stack.all_ready()
        yield stack


def client(stack: Stack) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        api_key=KEY, base_url=f"{stack.url}/v1", max_retries=0, timeout=10
    )


def complete(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


class Heard(list[dict[str, Any]]):
    """The events of a stream, without `[DONE]`."""

    def __init__(self, events: list[str]) -> None:
        super().__init__(json.loads(one) for one in events if one != "[DONE]")
        self.done = "[DONE]" in events

    @property
    def text(self) -> str:
        """What the client holds of the answer."""
        return "".join(
            choice["delta"].get("content") or ""
            for event in self
            for choice in event.get("choices", [])
        )

    @property
    def verdict(self) -> str | None:
        last: Any = self[-1].get("wastegate") or {}
        return last.get("verdict")

    @property
    def error(self) -> Any:
        return self[-1].get("error")


async def heard(stack: Stack) -> Heard:
    reply = await stack.chat(model="assist", stream=True)
    if reply.status != 200:
        return Heard([reply.body.decode()])
    return Heard(reply.events)


async def test_a_valid_answer_goes_out_in_pieces_and_byte_for_byte(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = saying(LONG)
    events = await heard(stack)
    assert events.text == LONG
    assert (events.verdict, events.done) == ("valid", True)
    assert len(events) > 4


async def test_the_first_text_is_there_before_the_engine_has_ended(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = saying(LONG, freeze_at=4)
    async with client(stack) as ai:
        stream = await ai.chat.completions.create(
            model="assist", messages=[{"role": "user", "content": "?"}], stream=True
        )
        first = await anext(aiter(stream))
        assert (first.choices[0].delta.content or "").startswith("{")
        await stream.close()
    await fake_vllm.until(lambda: fake_vllm.running == 0)
    assert fake_vllm.completions[-1].ended == "aborted"


async def test_the_official_client_reads_a_live_answer(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = saying(LONG)
    async with client(stack) as ai:
        stream = await ai.chat.completions.create(
            model="assist",
            messages=[{"role": "user", "content": "?"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
    text = [c.choices[0].delta.content or "" for c in chunks if c.choices]
    assert "".join(text) == LONG
    assert chunks[-1].usage is not None


async def test_a_late_failure_is_an_error_to_the_official_client(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = saying(LONG.replace('"citations": ["S1"]', '"citations": 1'))
    async with client(stack) as ai:
        stream = await ai.chat.completions.create(
            model="assist", messages=[{"role": "user", "content": "?"}], stream=True
        )
        with pytest.raises(openai.APIError) as caught:
            async for _ in stream:
                pass
    assert caught.value.type == "schema_invalid"


async def test_a_hopeless_answer_ends_the_engines_work(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    hopeless = '{"status": "ok", "unknown": "' + "and so on " * 200 + '"}'
    fake_vllm.quirks = saying(hopeless, chunk_delay=0.005)
    events = await heard(stack)
    await fake_vllm.until(lambda: fake_vllm.running == 0)
    assert fake_vllm.completions[-1].ended == "aborted"
    assert (events.error["type"], events.error["stage"]) == ("schema_invalid", "live")
    assert not events.done


async def test_prose_goes_the_way_of_repair_and_comes_whole(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = saying(f"Sure:\n```json\n{GOOD}\n```")
    events = await heard(stack)
    assert (events.text, events.verdict) == (GOOD, "repaired")


async def test_what_fails_before_anything_went_out_may_be_asked_again(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = saying('{"unknown":1}', GOOD)
    events = await heard(stack)
    assert (events.text, events.verdict) == (GOOD, "reasked")


async def test_prose_may_be_asked_again(stack: Stack, fake_vllm: FakeVllm) -> None:
    fake_vllm.quirks = saying("I would say 1.7 litres.", GOOD)
    events = await heard(stack)
    assert (events.text, events.verdict) == (GOOD, "reasked")


async def test_a_cut_answer_is_a_late_error(stack: Stack, fake_vllm: FakeVllm) -> None:
    fake_vllm.quirks = saying(GOOD, finish_reason="length")
    events = await heard(stack)
    assert events.error["code"] == "output_truncated"
    assert not complete(events.text)


async def test_an_assist_stream_sends_pieces_and_then_the_whole(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    fake_vllm.quirks = saying(LONG)
    reply = await stack.assist(stream=True)
    *deltas, last = [json.loads(one) for one in reply.events[:-1]]
    assert "".join(one["delta"] for one in deltas) == LONG
    assert last["output"] == json.loads(LONG)
    assert (last["verdict"], reply.events[-1]) == ("valid", "[DONE]")


async def test_what_is_decoded_by_alias_is_held_until_it_is_mapped_back(
    configured: Configured, fake_vllm: FakeVllm
) -> None:
    bound = '[surfaces.assist]\nstream = "live"\nmode = "constrained"'
    async with running(configured(bound)) as stack:
        await stack.all_ready()
        fake_vllm.quirks = saying(GOOD.replace("S1", "c1"))
        reply = await stack.assist(stream=True)
    assert json.loads(reply.events[0])["output"]["citations"] == ["S1"]
    assert "delta" not in json.loads(reply.events[0])
