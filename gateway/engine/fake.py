"""A server with vLLM 0.32's manners that fails on demand.

In a test: `async with FakeVllm() as fake`, then `fake.url`, `fake.quirks`, and
`fake.requests` for what it saw. From a shell: `python -m gateway.engine.fake --port N`.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Self

import msgspec
from aiohttp import web

from gateway.engine import fake_wire as wire
from gateway.engine.fake_adapters import FakeAdapters, running_names
from gateway.engine.fake_answers import Asked
from gateway.engine.fake_faults import SEEN, Seen, cut, deliver, reset
from gateway.engine.fake_quirks import Quirks

EPOCH: Final = 1_760_000_000.0
"""When the fake says that it was started (seconds since 1970); a restart adds a minute."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_POLL: Final = 0.01
_BACKLOG: Final = 2_048  # as uvicorn under vLLM


class FakeVllm:
    """One fake server on a free loopback port; an async context manager.

    `quirks` may be replaced at any time and holds for what is read from it next.
    """

    def __init__(
        self,
        *,
        base: str = "base",
        mounted: Sequence[str] = (),
        port: int = 0,
        quirks: Quirks | None = None,
    ) -> None:
        """Prepare a server.

        Args:
            base: the base model's served name.
            mounted: adapters that are there from each start on (`--lora-modules`).
            port: 0 for a free one; it is kept over restarts.
            quirks: how it fails; healthy without.
        """
        self.base = base
        self.quirks = quirks or Quirks()
        self.requests: list[Seen] = []
        self.epoch = EPOCH
        self._loaded = FakeAdapters(base, mounted)
        self._port = port
        self._runner: web.AppRunner | None = None
        self._fail_next: list[int] = []
        self._count = 0

    @property
    def adapters(self) -> dict[str, str]:
        """Paths of what is loaded, by name; taking one out makes it forgotten."""
        return self._loaded.names

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def completions(self) -> list[Seen]:
        """The chat completions that it saw, in their order."""
        return [seen for seen in self.requests if seen.path == "/v1/chat/completions"]

    @property
    def running(self) -> int:
        """Chat completions that have not ended."""
        return sum(1 for seen in self.completions if not seen.ended)

    @property
    def connections(self) -> int:
        """Open connections, idle ones too."""
        server = self._runner.server if self._runner else None
        return len(server.connections) if server else 0

    def fail_next(self, *statuses: int) -> None:
        """Answer the next completions with these statuses, one each."""
        self._fail_next.extend(statuses)

    async def until(self, holds: Callable[[], bool], seconds: float = 5.0) -> None:
        """Wait for a condition, such as `lambda: fake.running == 0`.

        Raises:
            TimeoutError: it does not hold after `seconds`.
        """
        async with asyncio.timeout(seconds):
            while not holds():  # noqa: ASYNC110 -- any condition, so there is no event
                await asyncio.sleep(_POLL)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; nothing but the `mounted` adapters is known."""
        self._loaded.forget()
        app = web.Application(middlewares=[self._watch], client_max_size=64 << 20)
        app.add_routes(
            [
                web.get("/health", self._health),
                web.get("/metrics", self._metrics),
                web.get("/v1/models", self._models),
                web.post("/v1/chat/completions", self._chat),
                web.post("/v1/load_lora_adapter", self._load),
                web.post("/v1/unload_lora_adapter", self._unload),
            ]
        )
        self._runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=0.01
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, backlog=_BACKLOG)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Die as by SIGKILL: every connection is reset, the port is closed."""
        if self._runner is None or self._runner.server is None:
            return
        runner, self._runner = self._runner, None
        self._loaded.cancel()
        for seen in self.requests:
            seen.ended = seen.ended or "cut"
        for handler in self._handlers(runner):
            reset(handler.transport)
        await runner.cleanup()

    async def restart(self) -> None:
        """Die and come back with a new boot epoch and no adapter loaded at run time."""
        await self.stop()
        self.epoch += 60.0
        await self.start()

    @staticmethod
    def _handlers(runner: web.AppRunner) -> list[web.RequestHandler]:
        return list(runner.server.connections) if runner.server else []

    # ------------------------------------------------------------------ requests

    @web.middleware
    async def _watch(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        seen = Seen(
            request.method, request.path, dict(request.headers), await request.read()
        )
        self.requests.append(seen)
        try:
            while self._unanswered(request.path):  # noqa: ASYNC110 -- a plain attribute, to be set by tests
                await asyncio.sleep(_POLL)
            request[SEEN] = seen
            response = await handler(request)
        except wire.Refusal as refusal:
            seen.ended = "answered"
            return _json(refusal.body, refusal.status)
        except (asyncio.CancelledError, ConnectionError) as error:
            seen.ended = seen.ended or "aborted"
            # The connection is gone: the server takes this as such, without a log line.
            raise asyncio.CancelledError from error
        seen.ended = seen.ended or "answered"
        return response

    def _unanswered(self, path: str) -> bool:
        quirks = self.quirks
        return quirks.freeze or (quirks.no_admin and path.endswith("_lora_adapter"))

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response(status=503 if self.quirks.unhealthy else 200)

    async def _metrics(self, request: web.Request) -> web.Response:
        labels = f'engine="0",model_name="{self.base}"'
        asked = [seen.body for seen in self.completions if not seen.ended]
        names = running_names(asked, self.adapters)
        text = (
            "# HELP process_start_time_seconds Start time of the process since unix"
            " epoch in seconds.\n"
            "# TYPE process_start_time_seconds gauge\n"
            f"process_start_time_seconds {self.epoch}\n"
            "# TYPE vllm:num_requests_running gauge\n"
            f"vllm:num_requests_running{{{labels}}} {float(self.running)}\n"
            "# TYPE vllm:num_requests_waiting gauge\n"
            f"vllm:num_requests_waiting{{{labels}}} 0.0\n"
            "# TYPE vllm:kv_cache_usage_perc gauge\n"
            f"vllm:kv_cache_usage_perc{{{labels}}} 0.0\n"
            "# TYPE vllm:lora_requests_info gauge\n"
            f'vllm:lora_requests_info{{max_lora="4",running_lora_adapters="{names}",'
            f'waiting_lora_adapters=""}} {self.epoch}\n'
        )
        return web.Response(text=text)

    async def _models(self, request: web.Request) -> web.Response:
        listed = {self.base: "/models/base", **self.adapters}
        listed |= dict.fromkeys(self.quirks.invented, "/nowhere")
        cards = [
            {
                "id": name,
                "object": "model",
                "created": int(self.epoch),
                "owned_by": "vllm",
                "root": root,
                "parent": None if name == self.base else self.base,
                "max_model_len": wire.MAX_MODEL_LEN if name == self.base else None,
            }
            for name, root in listed.items()
            if name not in self.quirks.hidden
        ]
        return _json(msgspec.json.encode({"object": "list", "data": cards}))

    # ------------------------------------------------------------------ adapters

    async def _load(self, request: web.Request) -> web.StreamResponse:
        said = await self._loaded.load(await request.read(), self.quirks)
        if self.quirks.load_dies:
            cut(request)
        return web.Response(text=said)

    async def _unload(self, request: web.Request) -> web.Response:
        said = self._loaded.unload(await request.read(), self.quirks)
        return web.Response(text=said)

    # --------------------------------------------------------------- completions

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        if request.content_type != "application/json":
            raise wire.bad_request(
                "Unsupported Media Type: Only 'application/json' is allowed"
            )
        quirks = self.quirks
        status = self._fail_next.pop(0) if self._fail_next else quirks.status
        if status:
            raise wire.Refusal(status, "InternalServerError", "EngineCore failed")
        if quirks.malformed == "not_http":
            cut(request, b"this is not HTTP\r\n\r\n")
        body = wire.parse_chat(await request.read())
        reply = self._reply(body, quirks)
        await self._step(body.model or "")
        if quirks.adapter_delay and body.model != self.base:
            late = quirks.first_token_delay + quirks.adapter_delay
            quirks = msgspec.structs.replace(quirks, first_token_delay=late)
        if reply.body.stream:
            return await self._stream(request, reply, quirks)
        if (refusal := reply.body.response_format.refusal) is not None:
            raise refusal
        writing = quirks.chunk_delay * len(reply.pieces)
        await asyncio.sleep(quirks.first_token_delay + writing)
        if quirks.die_at is not None:
            whole = reply.whole()
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(whole)}\r\n\r\n"
            cut(request, head.encode() + whole[: len(whole) // 2])
        return _json(reply.whole())

    async def _step(self, model: str) -> None:
        if not await self._loaded.step(model):
            self.quirks = msgspec.structs.replace(self.quirks, unhealthy=True)
            raise wire.Refusal(500, "InternalServerError", "EngineCore died")

    def _reply(self, body: wire.ChatBody, quirks: Quirks) -> wire.Reply:
        name = body.model or self.base
        if not self._loaded.answers(name):
            message = f"The model `{name}` does not exist."
            raise wire.Refusal(404, "NotFoundError", message, "model")
        asked = Asked(
            model=name,
            adapter=None if name == self.base or quirks.silent else name,
            messages=tuple((message.role, message.text) for message in body.messages),
            constrained=body.response_format.type != "text",
        )
        self._count += 1
        created = int(self.epoch) + self._count
        return wire.Reply.make(self._count, created, body, asked, quirks)

    async def _stream(
        self, request: web.Request, reply: wire.Reply, quirks: Quirks
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        async for data in deliver(request, reply, quirks):
            await response.write(data)
        await response.write_eof()
        return response


def _json(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m gateway.engine.fake", description=__doc__
    )
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--base", default="base", help="the base model's served name")
    parser.add_argument(
        "--adapter",
        action="append",
        default=[],
        help="mounted from the start; may be repeated",
    )
    parser.add_argument("--first-token-delay", type=float, default=0.0, help="seconds")
    parser.add_argument("--chunk-delay", type=float, default=0.0, help="seconds")
    given = parser.parse_args(arguments)
    quirks = Quirks(
        first_token_delay=given.first_token_delay, chunk_delay=given.chunk_delay
    )
    fake = FakeVllm(
        base=given.base, mounted=given.adapter, port=given.port, quirks=quirks
    )
    try:
        asyncio.run(_serve(fake))
    except KeyboardInterrupt:
        return 0
    return 0


async def _serve(fake: FakeVllm) -> None:
    async with fake:
        sys.stdout.write(f"a fake vLLM listens on {fake.url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
