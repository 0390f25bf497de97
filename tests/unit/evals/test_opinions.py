"""A judge behind HTTP, in process: it decides nothing, and nonsense is counted."""

import asyncio
from collections.abc import AsyncGenerator, Callable

import msgspec
import pytest

from evals import opinions
from evals.answers import Answer, Subject
from evals.errors import TargetError
from evals.opinions import Judge
from evals.result import Arm
from evals.samples import Sample
from evals.suite import scored

SAID = ('{"verdict": "pass"}', '{"verdict": "fail"}', "I like it!", "", None)


async def serve(body: Callable[[int], bytes]) -> tuple[asyncio.Server, str]:
    count = 0

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        nonlocal count
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        await reader.readexactly(length)
        content = body(count)
        count += 1
        writer.write(
            b"HTTP/1.1 200 OK\r\nconnection: close\r\n"
            + f"content-length: {len(content)}\r\n\r\n".encode()
            + content
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


@pytest.fixture
async def judging() -> AsyncGenerator[Judge]:
    def body(count: int) -> bytes:
        if count == 5:
            return b"<html>"
        if count == 6:
            return b'{"choices": []}'
        message = {"content": SAID[count % 5]}
        return msgspec.json.encode({"choices": [{"message": message}]})

    server, url = await serve(body)
    async with server:
        yield Judge(url, "a-judge", concurrency=1)


@pytest.fixture
def arm(make_sample: Callable[..., Sample]) -> tuple[Arm, tuple[Sample, ...]]:
    samples = tuple(make_sample(f"s{i}") for i in range(8))
    fine = Answer("s", "lora", "behav@v1", "valid", "ok", "Yes.")
    lost = Answer("s", "lora", "behav@v1", "invalid")
    answers = {s.id: lost if s.id == "s7" else fine for s in samples}
    return scored(Subject("lora", "behav@v1"), "free", samples, answers, 0.0), samples


async def test_nonsense_is_counted_and_never_a_pass(
    judging: Judge, arm: tuple[Arm, tuple[Sample, ...]]
) -> None:
    found = await opinions.compared(judging, *arm, most=100)
    # Seven delivered answers: pass, fail, and five times no verdict.
    assert (found.n, found.agreed, found.nonsense) == (2, 1, 5)
    assert "5 times it gave no verdict" in opinions.told(judging, "lora", found)


async def test_a_judge_that_is_away_is_named(
    arm: tuple[Arm, tuple[Sample, ...]],
) -> None:
    with pytest.raises(TargetError, match=r"judge: http://127\.0\.0\.1:9"):
        await opinions.compared(Judge("http://127.0.0.1:9", "a-judge"), *arm, most=1)
