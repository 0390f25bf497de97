"""A server on loopback that streams completions with delays that a test plants."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable

import msgspec

HEADERS = {"x-wastegate-generator": "lora", "x-wastegate-model": "behav@v1"}
DONE = b"data: [DONE]\n\n"


def event(data: object) -> bytes:
    return b"data: " + msgspec.json.encode(data) + b"\n\n"


def token(text: str | None) -> bytes:
    return event({"choices": [{"delta": {"content": text}}]})


def usage(completion: int, prompt: int = 100) -> bytes:
    counted = {"prompt_tokens": prompt, "completion_tokens": completion}
    return event({"choices": [], "usage": counted})


class Server:
    """Answers each request as `answer` writes it; says what it has seen."""

    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[dict[str, object]] = []
        self.open = 0
        self.most = 0
        self.status = "200 OK"
        self.headers = dict(HEADERS)
        self.first = 0.0
        """Seconds before the first token."""
        self.gap = 0.0
        """Seconds between two tokens."""
        self.tokens = 3
        self.before: Callable[[int], Awaitable[None]] | None = None
        """Awaited with the request's number before its first token."""
        self.raw: bytes | None = None
        """Sent in place of the tokens."""

    async def answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.open += 1
        self.most = max(self.most, self.open)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._answer(reader, writer)
        self.open -= 1
        writer.close()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        number = len(self.bodies)
        self.bodies.append(msgspec.json.decode(await reader.readexactly(length)))
        headers = {**self.headers, "connection": "close"}
        lines = [f"HTTP/1.1 {self.status}", *(f"{n}: {v}" for n, v in headers.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        if self.raw is not None:
            writer.write(self.raw)
            await writer.drain()
            return
        writer.write(token(""))
        await writer.drain()
        if self.before:
            await self.before(number)
        await asyncio.sleep(self.first)
        for index in range(self.tokens):
            if index:
                await asyncio.sleep(self.gap)
            writer.write(token("word"))
            await writer.drain()
        writer.write(usage(self.tokens) + DONE)
        await writer.drain()


@contextlib.asynccontextmanager
async def serving() -> AsyncGenerator[Server]:
    server = Server()
    listening = await asyncio.start_server(server.answer, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()
    server.url = f"http://{host}:{port}"
    async with listening:
        yield server
