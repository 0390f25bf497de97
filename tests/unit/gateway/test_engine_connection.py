"""The kept connection: used again only after a whole answer, closed otherwise."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop
from yarl import URL

from gateway.engine.connection import HEAD_BYTES, BrokenError, Connection, Pool
from gateway.engine.stream import read_whole
from gateway.errors import UpstreamError

REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(answer: Answering) -> AsyncGenerator[Pool]:
    """A pool to a server that answers each request by a function."""
    open_now: set[asyncio.StreamWriter] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_now.add(writer)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            open_now.discard(writer)

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    pool = Pool(URL(f"http://127.0.0.1:{port}"), connect=5)
    async with server:
        yield pool
        pool.close()
        async with asyncio.timeout(5):
            while open_now:
                await asyncio.sleep(0.001)


def sending(*pieces: bytes) -> Answering:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    return answer


async def asked(pool: Pool) -> Connection:
    connection = await pool.connection()
    connection.send(REQUEST)
    return await connection.head()


async def test_an_answer_in_single_bytes_is_read_whole() -> None:
    async with serving(sending(*(bytes([byte]) for byte in WHOLE))) as pool:
        assert await read_whole(await asked(pool)) == b"hello"


async def test_a_connection_is_used_again_after_a_whole_answer() -> None:
    async with serving(sending(WHOLE)) as pool:
        first = await asked(pool)
        assert await read_whole(first) == b"hello"
        assert await asked(pool) is first


async def test_a_connection_that_is_to_be_closed_is_not_used_again() -> None:
    closing = WHOLE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    async with serving(sending(closing)) as pool:
        first = await asked(pool)
        assert await read_whole(first) == b"hello"
        assert await asked(pool) is not first


async def test_bytes_that_nobody_asked_for_close_the_connection() -> None:
    async with serving(sending(WHOLE, WHOLE)) as pool:
        first = await asked(pool)
        await read_whole(first)
        async with asyncio.timeout(5):
            while first.usable:
                await asyncio.sleep(0.001)
        assert await asked(pool) is not first


async def test_an_interim_answer_is_not_the_answer() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    async with serving(sending(interim, WHOLE)) as pool:
        assert (await asked(pool)).status == 200


async def test_a_head_without_end_is_an_error() -> None:
    endless = b"HTTP/1.1 200 OK\r\nX: " + b"a" * (HEAD_BYTES + 1)
    async with serving(sending(endless)) as pool:
        with pytest.raises(BrokenError, match="head"):
            await asked(pool)


@pytest.mark.parametrize("cut", range(1, len(WHOLE)))
async def test_an_answer_that_is_cut_anywhere_never_looks_whole(cut: int) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(WHOLE[:cut])
        await writer.drain()
        writer.close()

    async with serving(answer) as pool:
        with pytest.raises(BrokenError):
            await read_whole(await asked(pool))


async def test_a_body_that_ends_by_closing_is_taken_as_cut() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhello")
        await writer.drain()
        writer.close()

    async with serving(answer) as pool:
        with pytest.raises(BrokenError, match="broke off"):
            await read_whole(await asked(pool))


async def test_a_slow_reader_slows_the_sender_and_loses_nothing() -> None:
    size = 4 << 20
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
    async with serving(sending(head, b"x" * size)) as pool:
        connection = await asked(pool)
        await asyncio.sleep(0.1)
        got = 0
        while part := await connection.readany():
            got += len(part)
        assert got == size


async def test_leaving_before_the_end_closes_the_connection() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
    async with serving(sending(head)) as pool:
        connection = await asked(pool)
        connection.release()
        assert not connection.usable


async def test_a_server_that_is_not_there_cannot_be_reached() -> None:
    async with serving(sending(WHOLE)) as pool:
        pass
    with pytest.raises(UpstreamError, match="closed"):
        await pool.connection()
    nowhere = Pool(URL("http://127.0.0.1:9"), connect=1)
    with pytest.raises(UpstreamError, match="cannot be reached"):
        await nowhere.connection()


def test_it_speaks_on_the_loop_that_production_runs_on() -> None:
    async def once() -> bytes:
        async with serving(sending(WHOLE)) as pool:
            return await read_whole(await asked(pool))

    assert uvloop.run(once()) == b"hello"
