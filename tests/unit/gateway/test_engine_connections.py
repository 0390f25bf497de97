"""Connections: closed when a caller leaves, used again when an answer is whole."""

import asyncio
import zlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from gateway.engine.fake import FakeVllm
from gateway.engine.fake_quirks import Quirks
from gateway.engine.port import Replica, Timeouts
from gateway.engine.vllm import VllmReplica
from gateway.errors import UpstreamError

CANCELLATIONS = 500
AT_ONCE = 25
TURNS = 30


def ask(**more: object) -> bytes:
    messages = [{"role": "user", "content": "Request: why?"}]
    return msgspec.json.encode({"model": "base", "messages": messages, **more})


async def drain(replica: Replica) -> int:
    async with replica.stream(ask(stream=True)) as events:
        return len([data async for data in events])


@pytest.fixture
async def replica(fake_vllm: FakeVllm) -> AsyncIterator[Replica]:
    found = VllmReplica(fake_vllm.url, Timeouts(connect=30.0))
    yield found
    await found.aclose()


async def test_one_connection_serves_one_request_after_the_other(
    fake_vllm: FakeVllm, replica: Replica
) -> None:
    for _ in range(10):
        await replica.complete(ask())
        await drain(replica)

    assert fake_vllm.connections == 1


async def test_a_refusal_does_not_cost_the_connection(
    fake_vllm: FakeVllm, replica: Replica
) -> None:
    for _ in range(5):
        fake_vllm.fail_next(500, 500)
        with pytest.raises(UpstreamError):
            await replica.complete(ask())
        with pytest.raises(UpstreamError):
            await drain(replica)

    assert fake_vllm.connections == 1


async def test_leaving_a_stream_early_aborts_it_at_the_engine(
    fake_vllm: FakeVllm, replica: Replica
) -> None:
    fake_vllm.quirks = Quirks(freeze_at=2)
    async with replica.stream(ask(stream=True)) as events:
        await anext(events)

    await fake_vllm.until(lambda: fake_vllm.completions[0].ended == "aborted")
    await fake_vllm.until(lambda: fake_vllm.connections == 0)


@pytest.mark.parametrize(
    "quirks",
    [Quirks(freeze=True), Quirks(first_token_delay=60.0), Quirks(freeze_at=3)],
    ids=["before the head", "before the first token", "within the stream"],
)
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_a_cancelled_call_is_aborted_at_the_engine(
    fake_vllm: FakeVllm,
    replica: Replica,
    quirks: Quirks,
    stream: bool,  # noqa: FBT001 -- a column of the table
) -> None:
    fake_vllm.quirks = msgspec.structs.replace(
        quirks, first_token_delay=60.0 if not stream else quirks.first_token_delay
    )
    call = drain(replica) if stream else replica.complete(ask())
    task = asyncio.ensure_future(call)
    await fake_vllm.until(lambda: bool(fake_vllm.completions))

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    await fake_vllm.until(lambda: fake_vllm.connections == 0)
    fake_vllm.quirks = Quirks()
    await fake_vllm.until(lambda: fake_vllm.running == 0)
    assert fake_vllm.completions[0].ended == "aborted"


async def test_hundreds_of_cancellations_at_any_moment_leak_nothing(
    fake_vllm: FakeVllm, replica: Replica
) -> None:
    async def cancelled(number: int) -> None:
        call = drain(replica) if number % 2 else replica.complete(ask())
        task = asyncio.ensure_future(call)
        # From before the connect to after the end, in turns of the loop that client
        # and fake share: time would mean something else on every machine.
        for _ in range(zlib.crc32(str(number).encode()) % TURNS):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() or task.exception() is None

    for start in range(0, CANCELLATIONS, AT_ONCE):
        batch = range(start, start + AT_ONCE)
        await asyncio.gather(*(cancelled(number) for number in batch))

    ends = {seen.ended for seen in fake_vllm.completions}
    lengths = await asyncio.gather(*(drain(replica) for _ in range(50)))
    await fake_vllm.until(lambda: fake_vllm.running == 0)
    assert {"answered", "aborted"} <= ends, "cancelled both early and late"
    assert len(set(lengths)) == 1
    assert fake_vllm.connections <= 50 + AT_ONCE
    await replica.aclose()
    await fake_vllm.until(lambda: fake_vllm.connections == 0)


async def test_an_engine_that_came_back_is_used_again(
    fake_vllm: FakeVllm, replica: Replica
) -> None:
    await replica.complete(ask())
    await fake_vllm.restart()

    assert await drain(replica) > 1


async def test_a_closed_client_says_so(replica: Replica) -> None:
    await replica.aclose()

    with pytest.raises(UpstreamError, match="has closed"):
        await replica.complete(ask())


async def test_a_client_is_closed_twice_without_harm(replica: Replica) -> None:
    await replica.complete(ask())

    await replica.aclose()
    await replica.aclose()


async def test_two_hundred_streams_at_once_all_end(
    fake_vllm: FakeVllm, replica: Replica
) -> None:
    lengths = await asyncio.gather(*(drain(replica) for _ in range(200)))

    assert len(lengths) == 200
    assert len(set(lengths)) == 1
