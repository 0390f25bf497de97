"""What a caller gets when the engine is slow, dead or talks nonsense."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Iterator

import msgspec
import pytest

from gateway.engine.fake import FakeVllm
from gateway.engine.fake_quirks import Malformed, Quirks
from gateway.engine.port import Replica, Timeouts
from gateway.engine.vllm import VllmReplica
from gateway.errors import (
    AdapterUnavailable,
    BadRequest,
    GatewayError,
    Overloaded,
    UpstreamError,
    UpstreamTimeout,
)

CHUNKS = 9
"""Of the answer below: the role, seven words, the usage."""


def ask(model: str = "base", **more: object) -> bytes:
    messages = [{"role": "user", "content": "Request: why?"}]
    return msgspec.json.encode({"model": model, "messages": messages, **more})


STREAMED = ask(stream=True, stream_options={"include_usage": True})


@contextlib.asynccontextmanager
async def connected(url: str, **timeouts: float) -> AsyncGenerator[Replica]:
    # A busy machine is no fault of the engine, so the other limits are wide.
    patient = Timeouts(connect=30.0, between_chunks=30.0)
    replica = VllmReplica(url, msgspec.structs.replace(patient, **timeouts))
    try:
        yield replica
    finally:
        await replica.aclose()


@pytest.fixture
async def replica(fake_vllm: FakeVllm) -> AsyncIterator[Replica]:
    fake_vllm.quirks = Quirks(answer=lambda _: "für dich → ja ja ja ja")
    async with connected(fake_vllm.url) as found:
        yield found


def change(fake: FakeVllm, **quirks: object) -> None:
    fake.quirks = msgspec.structs.replace(fake.quirks, **quirks)


async def collect(replica: Replica, into: list[bytes], body: bytes = STREAMED) -> None:
    async with replica.stream(body) as events:
        async for data in events:
            into.append(data)  # noqa: PERF401 -- what came before an error counts too


async def test_a_whole_stream_has_every_chunk_and_no_done(replica: Replica) -> None:
    events: list[bytes] = []

    await collect(replica, events)

    chunks = [msgspec.json.decode(data) for data in events]
    texts = [chunk["choices"][0]["delta"]["content"] for chunk in chunks[:-1]]
    assert len(chunks) == CHUNKS
    assert "".join(texts) == "für dich → ja ja ja ja"


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize("at", range(CHUNKS + 1))
async def test_a_stream_that_dies_never_looks_complete(
    fake_vllm: FakeVllm,
    replica: Replica,
    at: int,
    torn: bool,  # noqa: FBT001 -- a column of the table
) -> None:
    change(fake_vllm, die_at=at, die_inside_character=torn)
    events: list[bytes] = []

    with pytest.raises(UpstreamError):
        await collect(replica, events)

    assert len(events) <= at
    for data in events:
        msgspec.json.decode(data)


@pytest.mark.parametrize(
    "how", ["no_done", "error_event", "endless_event", "html", "not_http"]
)
async def test_a_malformed_stream_is_an_upstream_error(
    fake_vllm: FakeVllm, replica: Replica, how: Malformed
) -> None:
    change(fake_vllm, malformed=how)

    with pytest.raises(UpstreamError):
        await collect(replica, [])


async def test_events_before_an_error_event_are_delivered(
    fake_vllm: FakeVllm, replica: Replica
) -> None:
    change(fake_vllm, malformed="error_event")
    events: list[bytes] = []

    with pytest.raises(UpstreamError, match="within its stream"):
        await collect(replica, events)

    assert len(events) == CHUNKS - 1


async def test_comments_between_chunks_change_nothing(
    fake_vllm: FakeVllm, replica: Replica
) -> None:
    change(fake_vllm, keep_alive=True)
    events: list[bytes] = []

    await collect(replica, events)

    assert len(events) == CHUNKS


async def test_an_answer_that_breaks_off_is_an_upstream_error(
    fake_vllm: FakeVllm, replica: Replica
) -> None:
    change(fake_vllm, die_at=0)

    with pytest.raises(UpstreamError, match="broke off"):
        await replica.complete(ask())


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (302, UpstreamError),
        (400, BadRequest),
        (422, BadRequest),
        (429, Overloaded),
        (500, UpstreamError),
        (503, UpstreamError),
    ],
)
async def test_a_refusal_is_typed_with_and_without_stream(
    fake_vllm: FakeVllm, replica: Replica, status: int, expected: type[GatewayError]
) -> None:
    fake_vllm.fail_next(status, status)

    with pytest.raises(expected):
        await replica.complete(ask())
    with pytest.raises(expected):
        await collect(replica, [])

    assert len(fake_vllm.completions) == 2, "nothing is retried or redirected here"


async def test_an_unknown_name_is_an_unavailable_adapter(replica: Replica) -> None:
    with pytest.raises(AdapterUnavailable):
        await replica.complete(ask("acme@v9"))


async def test_the_engine_s_word_on_a_bad_prompt_reaches_the_caller(
    replica: Replica,
) -> None:
    with pytest.raises(BadRequest, match="n must be at least 1"):
        await replica.complete(ask(n=0))


async def test_errors_do_not_name_the_replica_s_address(fake_vllm: FakeVllm) -> None:
    await fake_vllm.stop()
    async with connected(fake_vllm.url) as replica:
        with pytest.raises(UpstreamError) as caught:
            await replica.complete(ask())

    assert "127.0.0.1" not in caught.value.message
    assert caught.value.__cause__ is not None


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port that completes no handshake: its queue is full, nobody accepts."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.settimeout(0)
            client.connect_ex(server.getsockname())
        yield server.getsockname()[1]


async def test_a_connect_that_hangs_is_an_upstream_error(deaf_port: int) -> None:
    url = f"http://127.0.0.1:{deaf_port}"
    async with connected(url, connect=0.2) as replica:
        with pytest.raises(UpstreamError, match="cannot be reached"):
            await replica.complete(ask())
        with pytest.raises(UpstreamError, match="cannot be reached"):
            await collect(replica, [])


async def test_a_frozen_engine_runs_into_the_total_limit(fake_vllm: FakeVllm) -> None:
    change(fake_vllm, freeze=True)
    async with connected(fake_vllm.url, total=0.2) as replica:
        with pytest.raises(UpstreamTimeout, match=r"total limit of 0\.2 s"):
            await replica.complete(ask())


async def test_a_stream_without_head_runs_into_the_first_token_limit(
    fake_vllm: FakeVllm,
) -> None:
    change(fake_vllm, freeze=True)
    async with connected(fake_vllm.url, first_token=0.2) as replica:
        with pytest.raises(UpstreamTimeout, match=r"first_token limit of 0\.2 s"):
            await collect(replica, [])


async def test_a_stream_without_event_runs_into_the_first_token_limit(
    fake_vllm: FakeVllm,
) -> None:
    change(fake_vllm, first_token_delay=60.0)
    async with connected(fake_vllm.url, first_token=0.2) as replica:
        with pytest.raises(UpstreamTimeout, match="first_token"):
            await collect(replica, [])


async def test_silence_within_a_stream_runs_into_the_between_chunks_limit(
    fake_vllm: FakeVllm,
) -> None:
    change(fake_vllm, freeze_at=3)
    events: list[bytes] = []
    async with connected(fake_vllm.url, between_chunks=0.5) as replica:
        with pytest.raises(UpstreamTimeout, match="between_chunks"):
            await collect(replica, events)

    assert len(events) == 3


async def test_a_stream_that_never_stops_runs_into_the_total_limit(
    fake_vllm: FakeVllm,
) -> None:
    fake_vllm.quirks = Quirks(answer=lambda _: "ja " * 1_000, chunk_delay=0.02)
    async with connected(fake_vllm.url, total=0.3) as replica:
        with pytest.raises(UpstreamTimeout, match="total"):
            await collect(replica, [])


async def test_keep_alive_comments_are_no_sign_of_life() -> None:
    gone = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(head + b": keep-alive\n\n")
                head = b""
                await writer.drain()
                await asyncio.sleep(0.02)
        writer.close()
        gone.set()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with connected(url, first_token=0.3) as replica:
        with pytest.raises(UpstreamTimeout, match="first_token"):
            await collect(replica, [])
    await asyncio.wait_for(gone.wait(), 5)
    server.close()


async def test_a_slow_reader_does_not_make_the_engine_look_stuck(
    fake_vllm: FakeVllm,
) -> None:
    events: list[bytes] = []
    async with (
        connected(fake_vllm.url, between_chunks=0.5) as replica,
        replica.stream(STREAMED) as stream,
    ):
        async for data in stream:
            if not events:
                await fake_vllm.until(lambda: not fake_vllm.running)
                await asyncio.sleep(1.0)  # the reader, not the engine
            events.append(data)

    assert msgspec.json.decode(events[-1])["usage"]


async def test_the_environment_s_proxies_are_not_used(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    assert await replica.complete(ask())


async def test_a_body_of_two_megabytes_goes_through(
    fake_vllm: FakeVllm, replica: Replica
) -> None:
    with pytest.raises(BadRequest, match="maximum context length"):
        await replica.complete(
            ask(messages=[{"role": "user", "content": "a " * 2**20}])
        )

    assert len(fake_vllm.requests[-1].raw) > 2 << 20
