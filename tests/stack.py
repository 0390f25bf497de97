"""A whole gateway on free loopback ports, in this process, in front of any vLLM."""

import asyncio
import hashlib
import json
import socket
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import uvicorn
from fastapi import FastAPI

from gateway.api.server import protocol
from gateway.app import Application, create_app
from gateway.configuration import load
from gateway.settings import Settings

KEY = "tenant-key"
ADMIN_KEY = "admin-key"
READ_KEY = "read-key"
ROOT = Path(__file__).parent.parent


def sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


class Stack(NamedTuple):
    """A running gateway and a client for it."""

    url: str
    admin_url: str
    http: aiohttp.ClientSession
    app: Application

    async def assist(
        self, user: str = "How much?", *, key: str = KEY, **fields: Any
    ) -> "Reply":
        """POST /v1/assist with one passage of context."""
        context = [{"id": "S1", "text": "The kettle holds 1.7 litres."}]
        body = {"input": {"context": context, "user": user}} | fields
        return await self.post("/v1/assist", body, key=key)

    async def chat(self, **fields: Any) -> "Reply":
        """POST /v1/chat/completions."""
        body = {"model": "auto", "messages": [{"role": "user", "content": "Hello?"}]}
        return await self.post("/v1/chat/completions", body | fields)

    async def post(
        self, path: str, body: Any, *, key: str = KEY, **headers: str
    ) -> "Reply":
        """POST JSON, or bytes as they are, to the data plane."""
        whole = BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        kind = {"content-type": "application/json"}
        auth = {"authorization": f"Bearer {key}"} | kind | named
        async with self.http.post(self.url + path, headers=auth, data=whole) as answer:
            return await Reply.of(answer)

    async def get(self, path: str, *, key: str = KEY) -> "Reply":
        """GET from the data plane."""
        auth = {"authorization": f"Bearer {key}"}
        async with self.http.get(self.url + path, headers=auth) as answer:
            return await Reply.of(answer)

    async def admin(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str = ADMIN_KEY,
        **headers: str,
    ) -> "Reply":
        """Ask the control plane."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        auth = {"authorization": f"Bearer {key}"} | named
        url = (
            f"{self.admin_url}/admin/v1/{path}"
            if path[0] != "/"
            else (self.admin_url + path)
        )
        async with self.http.request(method, url, headers=auth, json=body) as answer:
            return await Reply.of(answer)

    async def looked(self, *, within: float = 10.0) -> None:
        """Wait until each replica was looked at, whatever was found."""
        members = self.app.control.state.desk.fleet.members
        async with asyncio.timeout(within):
            while not all(member.looked for member in members):
                await asyncio.sleep(0.005)

    async def seen(self, epoch: float, *, within: float = 10.0) -> None:
        """Wait until each replica was seen with an engine that was started then."""
        members = self.app.control.state.desk.fleet.members
        async with asyncio.timeout(within):
            while not all(m.alive and m.observed.boot_epoch == epoch for m in members):
                await asyncio.sleep(0.005)

    async def ready(self, ref: str) -> None:
        """Wait until an adapter is ready everywhere."""
        await self.until({"ready"}, ref)

    async def all_ready(self) -> None:
        """Wait until both adapters are ready everywhere."""
        for ref in ("acme-behav-lora@v1", "acme-behav-pref@v1"):
            await self.ready(ref)

    async def until(
        self, accepted: set[str], ref: str, *, within: float = 10.0
    ) -> None:
        """Wait until an adapter is in accepted states on all replicas."""
        async with asyncio.timeout(within):
            while True:
                listed = (await self.admin("GET", "adapters")).json["adapters"]
                states = [
                    replica["state"]
                    for adapter in listed
                    if adapter["ref"] == ref
                    for replica in adapter["replicas"]
                ]
                if states and set(states) <= accepted:
                    return
                await asyncio.sleep(0.02)


class Reply(NamedTuple):
    """An answer, read."""

    status: int
    headers: Any
    body: bytes

    @classmethod
    async def of(cls, answer: aiohttp.ClientResponse) -> "Reply":
        return cls(answer.status, answer.headers, await answer.read())

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error's code."""
        return self.json["error"]["code"]

    @property
    def events(self) -> list[str]:
        """The data of the events of a stream."""
        parts = self.body.decode().split("\n\n")
        return [part[6:] for part in parts if part.startswith("data: ")]


def configuration(
    replicas: Sequence[str],
    where: Path,
    *,
    registry: Path | None = None,
    extra: str = "",
) -> Settings:
    """Settings for tests: two surfaces, two tenants, quick looks at the replicas."""
    listed = ", ".join(f'"{url}"' for url in replicas)
    (where / "wastegate.toml").write_text(
        f"""
[gateway]
state = "sqlite:{where}/state.db"
drain_seconds = 5
[admin]
key_sha256 = ["alice={sha256(ADMIN_KEY)}"]
read_key_sha256 = ["{sha256(READ_KEY)}"]
[engine]
replicas = [{listed}]
poll_seconds = 0.05
[registry]
path = "{registry or where / "adapters"}"
[generators]
lora = "acme-behav-lora@v1"
lora_pref = "acme-behav-pref@v1"
[surfaces.assist]
schema = "{ROOT}/schemas/assist.json"
[surfaces.email]
unit = "request"
[tenants.acme]
key_sha256 = ["{sha256(KEY)}"]
surfaces = ["assist", "email"]
[tenants.careful]
key_sha256 = ["{sha256("careful-key")}"]
surfaces = ["assist"]
fallback = "base"
"""
    )
    (where / "extra.toml").write_text(extra)
    return load([where / "wastegate.toml", where / "extra.toml"], {})


@asynccontextmanager
async def running(settings: Settings) -> AsyncGenerator[Stack]:
    """Run a gateway until the block ends."""
    broken: list[str] = []
    app = create_app(settings, on_broken=lambda: broken.append("a control loop"))
    async with (
        _served(app.data, settings) as url,
        _served(app.control, settings) as admin_url,
        aiohttp.ClientSession() as http,
    ):
        stack = Stack(url, admin_url, http, app)
        await stack.looked()
        yield stack
    assert not broken, "see the log for what it died of"


class _Server(uvicorn.Server):
    """A server that leaves the signals to pytest."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@asynccontextmanager
async def _served(app: FastAPI, settings: Settings) -> AsyncGenerator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    # asyncio sets it by itself only on sockets that name their protocol; without it,
    # every answer waits 40 ms for a delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        app,
        http=protocol(settings.limits),
        lifespan="on",
        access_log=False,
        log_level="error",
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()
