"""Loading, unloading and looking, against an engine that lies or dies."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from gateway.engine.fake import FakeVllm
from gateway.engine.fake_quirks import Quirks
from gateway.engine.port import Replica, Timeouts
from gateway.engine.vllm import VllmReplica
from gateway.errors import BadRequest, UpstreamError, UpstreamTimeout

NAME = "acme-behav-lora@v1"


@pytest.fixture
async def replica(fake_vllm: FakeVllm) -> AsyncIterator[Replica]:
    found = VllmReplica(fake_vllm.url, Timeouts(connect=30.0))
    yield found
    await found.aclose()


@pytest.fixture
async def hasty(fake_vllm: FakeVllm) -> AsyncIterator[Replica]:
    found = VllmReplica(
        fake_vllm.url, Timeouts(), observe_seconds=0.3, load_seconds=0.3
    )
    yield found
    await found.aclose()


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    (tmp_path / "adapter_config.json").write_text("{}")
    return tmp_path


async def answers(replica: Replica, name: str) -> bool:
    body = {"model": name, "messages": [{"role": "user", "content": "hi"}]}
    return bool(await replica.complete(msgspec.json.encode(body)))


@pytest.mark.parametrize(
    "path", ["adapters/a", "a/../../etc", "/nowhere/at/all", "org/hub-name", ""]
)
async def test_only_a_staged_absolute_path_is_ever_sent(
    fake_vllm: FakeVllm, replica: Replica, path: str
) -> None:
    with pytest.raises(BadRequest, match="absolute path of an existing directory"):
        await replica.load(NAME, Path(path))

    assert not fake_vllm.requests


async def test_a_path_with_dots_is_not_sent_even_if_it_exists(
    fake_vllm: FakeVllm, replica: Replica, staged: Path
) -> None:
    with pytest.raises(BadRequest):
        await replica.load(NAME, staged / ".." / staged.name)

    assert not fake_vllm.requests


async def test_a_load_sends_name_and_path_and_never_in_place(
    fake_vllm: FakeVllm, replica: Replica, staged: Path
) -> None:
    await replica.load(NAME, staged)

    assert fake_vllm.requests[0].body == {"lora_name": NAME, "lora_path": str(staged)}


async def test_a_load_that_takes_too_long_is_unknown_and_may_still_come(
    fake_vllm: FakeVllm, replica: Replica, hasty: Replica, staged: Path
) -> None:
    fake_vllm.quirks = Quirks(load_delay=0.8)

    with pytest.raises(UpstreamTimeout, match="load limit"):
        await hasty.load(NAME, staged)

    await fake_vllm.until(lambda: NAME in fake_vllm.adapters, seconds=5)
    assert NAME in (await replica.observe()).models
    loads = [
        seen for seen in fake_vllm.requests if seen.path.endswith("/load_lora_adapter")
    ]
    assert len(loads) == 1, "no load was sent again"


async def test_a_connection_lost_in_a_load_is_an_upstream_error(
    fake_vllm: FakeVllm, replica: Replica, staged: Path
) -> None:
    fake_vllm.quirks = Quirks(load_dies=True)

    with pytest.raises(UpstreamError):
        await replica.load(NAME, staged)


async def test_a_load_that_fails_tells_the_engine_s_reason(
    fake_vllm: FakeVllm, replica: Replica, staged: Path
) -> None:
    fake_vllm.quirks = Quirks(load_error=500)

    with pytest.raises(UpstreamError, match="add_lora method failed"):
        await replica.load(NAME, staged)


async def test_already_loaded_counts_only_when_the_engine_lists_it(
    fake_vllm: FakeVllm, replica: Replica, staged: Path
) -> None:
    await replica.load(NAME, staged)
    await replica.load(NAME, staged)
    fake_vllm.quirks = Quirks(hidden=frozenset({NAME}))

    with pytest.raises(BadRequest, match="already been loaded"):
        await replica.load(NAME, staged)


async def test_the_same_name_from_another_path_is_refused(
    replica: Replica, staged: Path
) -> None:
    other = staged / "other"
    other.mkdir()
    await replica.load(NAME, staged)

    with pytest.raises(BadRequest, match="already been loaded"):
        await replica.load(NAME, other)


async def test_a_ghost_answers_after_its_unload(
    fake_vllm: FakeVllm, replica: Replica, staged: Path
) -> None:
    fake_vllm.quirks = Quirks(ghost_unload=True)
    await replica.load(NAME, staged)

    await replica.unload(NAME)

    assert NAME not in (await replica.observe()).models
    assert await answers(replica, NAME)


async def test_an_unload_that_left_the_name_listed_is_an_error(
    fake_vllm: FakeVllm, replica: Replica
) -> None:
    fake_vllm.quirks = Quirks(invented=frozenset({NAME}))

    with pytest.raises(UpstreamError, match="cannot be found"):
        await replica.unload(NAME)


async def test_a_restart_shows_as_another_epoch_without_adapters(
    fake_vllm: FakeVllm, replica: Replica, staged: Path
) -> None:
    await replica.load(NAME, staged)
    before = await replica.observe()

    await fake_vllm.restart()

    after = await replica.observe()
    assert before.models == {"base", NAME}
    assert after.models == {"base"}
    assert after.boot_epoch > before.boot_epoch


@pytest.mark.parametrize(
    "quirks", [Quirks(freeze=True), Quirks(unhealthy=True)], ids=["frozen", "sick"]
)
async def test_looking_at_a_sick_engine_shows_it_down(
    fake_vllm: FakeVllm, hasty: Replica, quirks: Quirks
) -> None:
    fake_vllm.quirks = quirks

    seen = await hasty.observe()

    assert not seen.alive
    assert not seen.models


async def test_looking_at_a_stopped_engine_shows_it_down(
    fake_vllm: FakeVllm, replica: Replica
) -> None:
    await fake_vllm.stop()

    assert not (await replica.observe()).alive


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhi",
        b"\xff\xfe\r\n\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nno number",
        b"HTTP/1.1 200 OK\r\n\r\nprocess_start_time_seconds later\n",
    ],
)
async def test_looking_never_raises_whatever_answers(answer: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        replica = VllmReplica(f"http://127.0.0.1:{port}", Timeouts())
        seen = await replica.observe()
        await replica.aclose()

    assert not seen.alive
