"""After an output that does not fit: a second question, a last resort, or an error."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

import gateway.pipeline.answer as pipeline
from gateway.engine.fake import FakeVllm
from gateway.engine.fake_answers import Asked
from gateway.engine.fake_quirks import Quirks
from structured.check import check
from structured.outcome import Accepted, Rejected
from tests.stack import Reply, Stack, running
from tests.unit.gateway.conftest import Configured
from tests.unit.gateway.test_assist import GOOD, saying

BOUND = GOOD.replace("S1", "c1")
"""What the engine says under the grammar, where ids are aliases."""

REFUSED = '{"status":"refused","answer":"no","citations":["S7"]}'
Started = Callable[[str], AbstractAsyncContextManager[Stack]]


@pytest.fixture
def started(configured: Configured) -> Started:
    """A gateway with more in the assist surface's table."""

    @asynccontextmanager
    async def start(surface: str) -> AsyncGenerator[Stack]:
        async with running(configured(f"[surfaces.assist]\n{surface}")) as stack:
            await stack.all_ready()
            yield stack

    return start


def attempts(reply: Reply) -> list[tuple[str, str]]:
    return [(a["attempt"], a["code"]) for a in reply.json["error"]["attempts"]]


async def test_a_second_question_whose_engine_dies_leaves_the_first_refusal(
    started: Started, fake_vllm: FakeVllm
) -> None:
    def once(asked: Asked) -> str:
        fake_vllm.fail_next(500)
        return "prose"

    async with started("reask = 1") as stack:
        fake_vllm.quirks = Quirks(answer=once)
        reply = await stack.assist()
    assert (reply.status, reply.code) == (502, "output_invalid")
    assert attempts(reply) == [("first", "no_json"), ("reask", "upstream_error")]
    assert reply.headers["X-Wastegate-Verdict"] == "invalid"


async def test_a_second_question_that_is_too_long_is_not_the_clients_fault(
    started: Started, fake_vllm: FakeVllm
) -> None:
    def once(asked: Asked) -> str:
        fake_vllm.fail_next(400)
        return "prose"

    async with started("reask = 1") as stack:
        fake_vllm.quirks = Quirks(answer=once)
        reply = await stack.assist()
    assert attempts(reply) == [("first", "no_json"), ("reask", "invalid_request")]


async def test_a_first_answer_that_outlasts_the_request_is_a_timeout(
    configured: Configured, fake_vllm: FakeVllm
) -> None:
    async with running(configured("[limits]\nrequest_seconds = 0.1")) as stack:
        await stack.all_ready()
        fake_vllm.quirks = saying(GOOD, first_token_delay=5.0)
        reply = await stack.assist()
        await fake_vllm.until(lambda: fake_vllm.running == 0)
    assert (reply.status, reply.code) == (504, "upstream_timeout")
    assert fake_vllm.completions[-1].ended == "aborted"


async def test_no_second_question_is_begun_that_cannot_end_in_time(
    configured: Configured, fake_vllm: FakeVllm
) -> None:
    extra = "[surfaces.assist]\nreask = 1\n[limits]\nrequest_seconds = 0.5"
    async with running(configured(extra)) as stack:
        await stack.all_ready()
        before = len(fake_vllm.completions)
        fake_vllm.quirks = saying("prose", GOOD, first_token_delay=0.3)
        reply = await stack.assist()
    assert attempts(reply) == [("first", "no_json"), ("reask", "upstream_timeout")]
    assert len(fake_vllm.completions) == before + 1


async def test_the_last_resort_binds_decoding_to_the_schema(
    started: Started, fake_vllm: FakeVllm
) -> None:
    async with started('reask = 1\nlast_resort = "constrained"') as stack:
        fake_vllm.quirks = saying("prose", "more prose", BOUND)
        reply = await stack.assist()
        seen = fake_vllm.completions[-3:]
        metrics = (await stack.admin("GET", "/metrics")).body.decode()
    assert reply.json["verdict"] == "constrained"
    assert ["response_format" in one.body for one in seen] == [False, False, True]
    asked: Any = seen[-1].body["messages"]
    assert [m["role"] for m in asked] == ["system", "user"]
    # it was a free request: the constrained mode's adherence is not flattered by it
    assert 'mode="free",model="smollm2-135m-instruct@1.0"' in metrics
    assert 'attempt="reask",code="no_json"' in metrics


async def test_the_last_resort_needs_no_second_question(
    started: Started, fake_vllm: FakeVllm
) -> None:
    async with started('last_resort = "constrained"') as stack:
        fake_vllm.quirks = saying("prose", BOUND)
        assert (await stack.assist()).json["verdict"] == "constrained"


async def test_under_the_grammar_only_an_alias_is_a_citation(
    started: Started, fake_vllm: FakeVllm
) -> None:
    async with started('last_resort = "constrained"') as stack:
        fake_vllm.quirks = saying("prose", GOOD)
        reply = await stack.assist()
    assert reply.code == "output_invalid"
    assert attempts(reply)[1][1] == "citation_unknown"


async def test_a_cut_answer_is_not_asked_again(
    started: Started, fake_vllm: FakeVllm
) -> None:
    async with started('reask = 1\nlast_resort = "constrained"') as stack:
        before = len(fake_vllm.completions)
        fake_vllm.quirks = saying("prose", GOOD, finish_reason="length")
        reply = await stack.assist()
    assert reply.code == "output_truncated"
    assert len(fake_vllm.completions) == before + 1


@pytest.mark.parametrize(
    "first",
    [
        REFUSED,
        REFUSED.replace("refused", "uncertain"),
        REFUSED[:-4],
        "{'Status': 'Refused', and so on",
    ],
)
@pytest.mark.parametrize("way", ["reask = 1", 'last_resort = "constrained"'])
async def test_what_was_refused_or_doubted_never_becomes_an_ok(
    started: Started, fake_vllm: FakeVllm, first: str, way: str
) -> None:
    async with started(way) as stack:
        fake_vllm.quirks = saying(first, BOUND if "constrained" in way else GOOD)
        reply = await stack.assist()
    assert reply.code == "output_invalid"
    assert attempts(reply)[1][1] == "status_upgrade"


async def test_what_was_refused_never_becomes_a_doubt(
    started: Started, fake_vllm: FakeVllm
) -> None:
    async with started("reask = 1") as stack:
        fake_vllm.quirks = saying(REFUSED, GOOD.replace('"ok"', '"uncertain"'))
        assert (await stack.assist()).code == "output_invalid"


async def test_a_refusal_may_be_said_again_in_order(
    started: Started, fake_vllm: FakeVllm
) -> None:
    async with started("reask = 1") as stack:
        fake_vllm.quirks = saying(REFUSED, REFUSED.replace('"S7"', ""))
        reply = await stack.assist()
    assert (reply.json["verdict"], reply.json["output"]["status"]) == (
        "reasked",
        "refused",
    )


async def test_the_raw_output_is_shown_only_where_the_tenant_may_see_it(
    configured: Configured, fake_vllm: FakeVllm
) -> None:
    async with running(configured("[tenants.acme]\nshow_raw = true")) as stack:
        await stack.all_ready()
        fake_vllm.quirks = saying("prose")
        shown = await stack.assist()
        hidden = await stack.post(
            "/v1/assist", {"input": {"user": "?"}}, key="careful-key"
        )
    assert shown.json["error"]["raw"] == "prose"
    assert "raw" not in hidden.json["error"]


async def test_an_output_beyond_all_bounds_ends_the_exchange(
    stack: Stack, fake_vllm: FakeVllm
) -> None:
    words = " ".join(["x" * (1 << 16)] * 20 + ["and so on"] * 300)
    fake_vllm.quirks = saying(words, chunk_delay=0.01)
    reply = await stack.assist(max_tokens=1024)
    await fake_vllm.until(lambda: fake_vllm.running == 0)
    assert reply.code == "output_invalid"
    assert attempts(reply) == [("first", "too_large")]
    assert fake_vllm.completions[-1].ended == "aborted"


async def test_a_long_output_is_checked_off_the_event_loop(
    stack: Stack, fake_vllm: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def watched(raw: bytes, *given: Any, **more: Any) -> Accepted | Rejected:
        threads.append(threading.current_thread())
        return check(raw, *given, **more)

    monkeypatch.setattr(pipeline, "check", watched)
    for spaces in (10, 2 * pipeline.INLINE_BYTES):
        fake_vllm.quirks = saying(GOOD.replace(",", " " * spaces + ",", 1))
        assert (await stack.assist()).status == 200
    assert [one is threading.main_thread() for one in threads] == [True, False]


async def test_a_client_that_leaves_during_a_check_leaves_nothing_behind(
    started: Started, fake_vllm: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(*given: Any, **more: Any) -> Accepted | Rejected:
        entered.set()
        leave.wait(10)
        return check(*given, **more)

    monkeypatch.setattr(pipeline, "check", slow)
    async with started("reask = 1") as stack:
        before = len(fake_vllm.completions)
        fake_vllm.quirks = saying("x" * 2 * pipeline.INLINE_BYTES)
        asking = asyncio.ensure_future(stack.assist())
        await asyncio.to_thread(entered.wait, 10)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        text = ""
        async with asyncio.timeout(5):
            while 'outcome="client_closed"' not in text:
                text = (await stack.admin("GET", "/metrics")).body.decode()
        leave.set()
    assert len(fake_vllm.completions) == before + 1
