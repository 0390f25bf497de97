"""At no moment does a client hold a complete JSON text that has not passed.

A client's state is judged after every event that it has received; between events it
holds what it held before. Whether a text may pass is asked of `check` here, not of the
gateway's answer. The first tests end each text in every way at every place; the last
ones go through the official client.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple

import openai
import pytest

from gateway.engine.fake import FakeVllm
from structured.check import check
from structured.outcome import Accepted
from structured.schema import compile_schema
from tests.stack import KEY, ROOT, Reply, Stack, running
from tests.unit.gateway.conftest import Configured
from tests.unit.gateway.test_assist import GOOD, saying

SCHEMA: Final = compile_schema((ROOT / "schemas/assist.json").read_bytes(), name="a")
LONG: Final = (
    '{"status": "ok", "answer": "größer — 日本 😀 \\"so\\" \\u00e9\\ud83d\\ude00 }] }",'
    ' "citations": ["S1"]}'
)
SHORT: Final = '{"status":"ok","answer":"ß 日 😀","citations":["S1"]}'
WHOLE: Final = 10_000
"""A piece that holds any text here."""


class End(NamedTuple):
    """What the engine says, how its stream ends, and what has to come of it."""

    text: str
    live: str
    """The verdict, or the error's code; of a text that has come in pieces."""
    held: str = ""
    """Likewise where nothing goes out before the end, if that is something else."""
    quirks: dict[str, Any] | None = None
    late: bool = False
    """Nothing shows before the text has ended: it goes out even in one piece."""


ENDS: Final = (
    # texts that pass as they are
    End(GOOD, "valid"),
    End(LONG, "valid"),
    End(f"\n {LONG} \n", "valid"),
    End(LONG, "valid", quirks={"keep_alive": True}),
    # late violations: the last bracket is all that is missing when they show
    End(GOOD.replace(',"citations":["S1"]', ""), "output_invalid"),
    End(GOOD.replace('["S1"]', '["S1","S1"]'), "output_invalid"),
    End(GOOD.replace("1.7 litres", ""), "output_invalid"),
    End(GOOD.replace("litres", "\\ud83d"), "output_invalid"),
    # violations that show before
    End(GOOD.replace('"ok"', '"fine"'), "output_invalid"),
    End(LONG.replace('["S1"]', "7"), "output_invalid"),
    End(f'{LONG[:-1]}, "status": "ok"}}', "output_invalid"),
    End(f'{LONG[:-1]}, "other": "ok"}}', "output_invalid"),
    End(LONG.replace(" 😀", "\n"), "output_invalid", "repaired"),
    End(f"{LONG[:-1]},}}", "output_invalid", "repaired"),
    # after the root
    End(f"{LONG} Hope it helps!", "output_invalid", "repaired"),
    End(f"{LONG}\n```", "output_invalid", "repaired"),
    End(GOOD + GOOD, "output_invalid", "repaired"),
    End(f"{GOOD}\n{LONG}", "output_invalid"),
    End(f"{GOOD}]", "output_invalid"),
    End(f"{{}},{GOOD[1:]}", "output_invalid"),
    End("{}", "output_invalid"),
    # before the root
    End(f"Sure. {GOOD}", "repaired"),
    End(f"```json\n{GOOD}\n```", "repaired"),
    End(f"[{GOOD}]", "output_invalid"),
    End(json.dumps(GOOD), "output_invalid"),
    End("I would say 1.7 litres.", "output_invalid"),
    End(" \n", "output_invalid"),
    End("", "output_invalid"),
    # cut, and said to be whole
    End(LONG[:-1], "output_invalid", "repaired", late=True),
    End(LONG[:-2], "output_invalid"),
    End(LONG[:30], "output_invalid"),
    # cut at max_tokens, whole or not; ended for another reason, or for none
    End(LONG, "output_truncated", quirks={"finish_reason": "length"}),
    End(LONG[:-1], "output_truncated", quirks={"finish_reason": "length"}),
    End(LONG[:30], "output_truncated", quirks={"finish_reason": "length"}),
    End("", "output_truncated", quirks={"finish_reason": "length"}),
    End(LONG, "output_invalid", quirks={"finish_reason": "content_filter"}),
    End(LONG, "output_invalid", quirks={"malformed": "no_finish"}),
    # the engine or its stream fails
    End(LONG, "upstream_error", quirks={"malformed": "no_done"}),
    End(LONG, "upstream_error", quirks={"malformed": "error_event"}),
    End(LONG, "upstream_error", quirks={"malformed": "endless_event"}),
    End(LONG, "upstream_error", quirks={"malformed": "html"}),
    End(LONG, "upstream_error", quirks={"malformed": "not_http"}),
    End(LONG, "upstream_error", quirks={"status": 500}),
)


def faults(text: str, width: int) -> Iterator[dict[str, Any]]:
    """A failure before each chunk of a text in pieces of so many letters."""
    chunks = 1 + -(-len(text) // width)  # the first one tells the role alone
    for at in range(chunks + 2):  # and two come after the text: usage and [DONE]
        yield {"die_at": at}
        yield {"die_at": at, "die_inside_character": True}
        yield {"error_at": at}


class Held:
    """A client of a stream: what it holds of the answer, and what it was told."""

    def __init__(self) -> None:
        self.text = ""
        self.outputs: list[str] = []
        """Whole outputs that came as such."""
        self.error = ""
        self.verdict = ""
        self.ended = False
        """Told by a `finish_reason` or by `[DONE]` that this was all."""

    def hear(self, data: str) -> None:
        """Take an event in."""
        if data == "[DONE]":
            self.ended = True
            return
        event: Any = json.loads(data)
        for choice in event.get("choices", []):
            self.text += choice["delta"].get("content") or ""
            self.ended = self.ended or choice["finish_reason"] is not None
        self.text += event.get("delta", "")
        if "output" in event:
            self.outputs.append(json.dumps(event["output"]))
        self.error = event.get("error", {}).get("code", self.error)
        told: Any = event.get("wastegate", event)
        self.verdict = told.get("verdict", self.verdict)

    def complete(self) -> list[str]:
        """The complete JSON texts that it holds, by the most lenient reading."""
        return [text for text in (self.text, *self.outputs) if complete(text)]


def complete(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def passes(text: str, *, cited: bool) -> bool:
    ids = frozenset({"S1"}) if cited else None
    outcome = check(
        text.encode(), SCHEMA, context_ids=ids, finish_reason="stop", repair=False
    )
    return isinstance(outcome, Accepted)


def judged(reply: Reply, *, cited: bool) -> str:
    """Judge every moment of a stream; returns its verdict, or its error's code."""
    client = Held()
    if reply.status != 200:
        client.hear(reply.body.decode())
        assert not client.complete()
        return client.error
    moments: list[str] = []
    for data in reply.events:
        client.hear(data)
        moments += client.complete()
    if client.verdict:
        assert client.ended
        assert not client.error
        assert moments
        for text in moments:
            assert passes(text, cited=cited), text
            assert json.loads(text) == json.loads(moments[-1])
        return client.verdict
    assert not moments, moments
    assert not client.ended
    return client.error


class Surface(NamedTuple):
    """A stack with one way to stream, and what to ask it."""

    stack: Stack
    fake: FakeVllm
    path: str
    live: bool
    cut_into: Callable[[int], None]

    async def stream(self, text: str, **quirks: Any) -> str:
        """Let the engine say a text, whenever it is asked; judge what comes of it."""
        self.fake.quirks = saying(text, **quirks)
        if self.path == "assist":
            return judged(await self.stack.assist(stream=True), cited=True)
        reply = await self.stack.chat(model="assist", stream=True)
        return judged(reply, cited=False)


@pytest.fixture(params=["live chat", "live assist", "held chat", "held assist"])
async def surface(
    request: pytest.FixtureRequest,
    configured: Configured,
    fake_vllm: FakeVllm,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Surface]:
    mode, path = request.param.split()
    stream = "live" if mode == "live" else "validated"

    def cut_into(width: int) -> None:
        monkeypatch.setattr(
            "gateway.engine.fake_wire.tokens", partial(_pieces, width=width)
        )

    extra = f'[surfaces.assist]\nstream = "{stream}"\nreask = 1'
    async with running(configured(extra)) as stack:
        await stack.all_ready()
        yield Surface(stack, fake_vllm, path, mode == "live", cut_into)


def _pieces(text: str, *, width: int) -> list[str]:
    return [text[at : at + width] for at in range(0, len(text), width)]


async def test_whatever_the_text_and_its_end(surface: Surface) -> None:
    for width in (1, 3, 8, WHOLE):
        surface.cut_into(width)
        for end in ENDS:
            told = await surface.stream(end.text, **(end.quirks or {}))
            goes_out = surface.live and (end.late or width < len(end.text))
            assert told == (end.live if goes_out else end.held or end.live), end


async def test_whenever_the_engine_fails(surface: Surface) -> None:
    for width in (1, 4, 11) if surface.live else (5,):
        surface.cut_into(width)
        for fault in faults(LONG, width):
            assert await surface.stream(LONG, **fault) == "upstream_error", fault
        assert await surface.stream(LONG) == "valid"


async def test_at_whatever_byte_the_engines_stream_is_cut(surface: Surface) -> None:
    """Inside characters, lines, chunks and `[DONE]`; the last one is not cut."""
    surface.cut_into(17)
    for cleanly in (False, True):
        at, told = 0, ""
        while told != "valid":
            told = await surface.stream(SHORT, cut_at_byte=at, cut_cleanly=cleanly)
            whole = surface.fake.completions[-1].ended == "answered"
            assert told == ("valid" if whole else "upstream_error"), at
            at += 1 if surface.live else 7
        assert at > 1_000


async def test_a_citation_that_the_context_lacks_is_told_at_the_end(
    surface: Surface,
) -> None:
    surface.cut_into(4)
    told = await surface.stream(GOOD.replace('["S1"]', '["S9"]'))
    assert told == ("valid" if surface.path == "chat" else "output_invalid")


class Official(NamedTuple):
    """The official client, asking a surface of its own."""

    ai: openai.AsyncOpenAI
    fake: FakeVllm

    async def stream(self, text: str, **quirks: Any) -> str:
        """As `Surface.stream`, but judged by what the client's iterator gives."""
        self.fake.quirks = saying(text, **quirks)
        held, moments, finished = "", list[str](), False
        try:
            stream = await self.ai.chat.completions.create(
                model="assist",
                messages=[{"role": "user", "content": "?"}],
                stream=True,
            )
            async for chunk in stream:
                held += chunk.choices[0].delta.content or ""
                finished = finished or chunk.choices[0].finish_reason is not None
                moments += [held] if complete(held) else []
        except openai.APIError as error:
            assert not moments, moments
            assert not finished
            return str(error.code)
        assert finished
        assert passes(held, cited=False)
        assert set(moments) == {held}
        return "passed"


@pytest.fixture(params=["live", "validated"])
async def official(
    request: pytest.FixtureRequest, configured: Configured, fake_vllm: FakeVllm
) -> AsyncIterator[Official]:
    extra = f'[surfaces.assist]\nstream = "{request.param}"\nreask = 1'
    async with (
        running(configured(extra)) as stack,
        openai.AsyncOpenAI(
            api_key=KEY, base_url=f"{stack.url}/v1", max_retries=0, timeout=10
        ) as ai,
    ):
        await stack.all_ready()
        yield Official(ai, fake_vllm)


async def test_nor_does_the_official_client(official: Official) -> None:
    for end in ENDS:
        told = await official.stream(end.text, **(end.quirks or {}))
        passed = {"valid": "passed", "repaired": "passed"}
        allowed = {passed.get(one, one) for one in (end.live, end.held or end.live)}
        assert told in allowed, end
    for at in range(0, 1_200, 31):
        assert await official.stream(LONG, cut_at_byte=at) == "upstream_error"
    assert await official.stream(LONG) == "passed"
