"""The gateway over HTTP: what becomes an answer, and what an error."""

from collections.abc import Callable

import httpx
import pytest

from evals.answers import Answer, Params, Subject
from evals.environment import Access
from evals.errors import TargetError, WrongGeneratorError
from evals.fake import FakeGateway, Reply, delivered, failed
from evals.samples import Sample
from evals.target import Target, connect as connect_to

Connect = Callable[[FakeGateway], Target]
Make = Callable[..., Sample]
BASE = Subject("base", "tiny@1.0")
PARAMS = Params("assist", 64)


async def ask(connect: Connect, sample: Sample, reply: Reply) -> Answer:
    target = connect(FakeGateway(lambda _conversation, _generator: reply))
    return await target.ask(sample, BASE, PARAMS)


async def test_a_delivered_output_is_recorded_with_its_times(
    connect: Connect, make_sample: Make
) -> None:
    reply = delivered("ok", ("kb-1",), verdict="repaired", tokens=17, ttft=41.5)
    answer = await ask(connect, make_sample(), reply)
    assert (answer.verdict, answer.status) == ("repaired", "ok")
    assert (answer.citations, answer.repairs) == (("kb-1",), ("envelope",))
    assert (answer.completion_tokens, answer.ttft_ms) == (17, 41.5)
    assert answer.total_ms == 300


@pytest.mark.parametrize(
    ("code", "verdict"),
    [("output_invalid", "invalid"), ("output_truncated", "truncated")],
)
async def test_an_output_that_was_no_good_is_an_outcome(
    connect: Connect, make_sample: Make, code: str, verdict: str
) -> None:
    reply = failed(502, code, stage="strict", path="$.status")
    answer = await ask(connect, make_sample(), reply)
    assert (answer.verdict, answer.status) == (verdict, None)
    assert answer.detail == "strict $.status: no"


@pytest.mark.parametrize(
    "reply",
    [
        failed(502, "upstream_error"),
        failed(401, "invalid_key"),
        Reply(200, {"verdict": "valid"}),
        Reply(500, "no error of ours"),
    ],
)
async def test_anything_else_is_an_error(
    connect: Connect, make_sample: Make, reply: Reply
) -> None:
    with pytest.raises(TargetError):
        await ask(connect, make_sample(), reply)


@pytest.mark.parametrize(
    "header",
    [{"x-wastegate-generator": "lora"}, {"x-wastegate-model": "tiny@1.1"}],
)
@pytest.mark.parametrize("reply", [delivered(), failed(502, "output_invalid")])
async def test_an_answer_from_another_generator_or_model_is_never_a_row(
    connect: Connect, make_sample: Make, reply: Reply, header: dict[str, str]
) -> None:
    foreign = Reply(reply.status, reply.body, {**reply.headers, **header})
    with pytest.raises(WrongGeneratorError, match="asked base"):
        await ask(connect, make_sample(), foreign)


async def test_retry_after_is_heard_within_reason(
    connect: Connect, make_sample: Make
) -> None:
    busy = failed(429, "overloaded")
    for header, seconds in (("7", 7.0), ("9000", 30.0), ("soon", 1.0)):
        reply = Reply(429, busy.body, {"retry-after": header})
        with pytest.raises(TargetError) as caught:
            await ask(connect, make_sample(), reply)
        assert caught.value.retry_after == seconds


async def test_a_gateway_that_is_down_is_named() -> None:
    nowhere = Access("http://127.0.0.1:9", "http://127.0.0.1:9", "k", "a")
    async with connect_to(nowhere, 1) as target:
        with pytest.raises(TargetError, match="unreachable"):
            await target.overrides()


async def test_deleting_an_override_that_is_gone_is_fine() -> None:
    async def gone(request: httpx.Request) -> httpx.Response:
        return httpx.Response(404, json={"error": {"code": "not_found"}})

    client = httpx.AsyncClient(
        transport=httpx.MockTransport(gone), base_url="http://gateway"
    )
    await Target(client, client).delete_override("acme", "done")
