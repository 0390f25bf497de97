"""A gateway of several workers as a process of its own, and what can be done to it."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.stack import ADMIN_KEY, KEY, ROOT, Reply

WITHIN = 20.0


class Gateway:
    """A running gateway; every request is on a connection of its own."""

    def __init__(self, process: "subprocess.Popen[bytes]", ports: list[int]) -> None:
        self.process = process
        self.url, self.admin_url = (f"http://127.0.0.1:{port}" for port in ports)

    async def ask(self, path: str, body: Any, *, key: str = KEY) -> Reply:
        """POST to the data plane."""
        return await _once("POST", self.url + path, key, body)

    async def chat(self, **fields: Any) -> Reply:
        """One chat, of a conversation of its own by default."""
        body = {"model": "assist", "messages": [{"role": "user", "content": "Hello?"}]}
        return await self.ask("/v1/chat/completions", body | fields)

    async def admin(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> Reply:
        """Ask the control plane; while its worker is replaced, wait."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = self.admin_url + (path if path[0] == "/" else f"/admin/v1/{path}")
        return await _once(method, url, ADMIN_KEY, body, named)

    async def flipped(self, default: str) -> int:
        """Set the default; its version."""
        current = await self.admin("GET", "flags/GENERATOR")
        reply = await self.admin(
            "PUT",
            "flags/GENERATOR",
            current.json | {"default": default},
            if_match=current.headers["ETag"],
        )
        assert reply.status == 200, reply.body
        return reply.json["version"]

    async def generators(self, times: int = 40) -> set[str]:
        """Which generators answer, over many connections."""
        replies = await asyncio.gather(*(self.chat() for _ in range(times)))
        assert {reply.status for reply in replies} == {200}
        return {reply.headers["X-Wastegate-Generator"] for reply in replies}

    async def until(self, path: str, holds: Callable[[Any], bool]) -> Any:
        """Ask the control plane until something holds of its JSON."""
        async with asyncio.timeout(WITHIN):
            while True:
                found = (await self.admin("GET", path)).json
                if holds(found):
                    return found
                await asyncio.sleep(0.02)

    async def complete(self, workers: int) -> None:
        """Wait until so many workers are there."""
        async with asyncio.timeout(WITHIN):
            for index in range(workers):
                while not await self.count("process_max_fds", worker=str(index)):
                    await asyncio.sleep(0.02)

    async def ready(self, *refs: str) -> None:
        """Wait until adapters answer."""

        def all_ready(found: Any) -> bool:
            states = {
                adapter["ref"]: {each["state"] for each in adapter["replicas"]}
                for adapter in found["adapters"]
            }
            return all(states.get(ref) == {"ready"} for ref in refs)

        await self.until("adapters", all_ready)

    async def count(self, name: str, **labels: str) -> float:
        """The sum of a metric's series that have these labels."""
        text = (await self.admin("GET", "/metrics")).body.decode()
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(
            float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if line.startswith((f"{name}{{", f"{name} "))
            and all(each in line for each in wanted)
        )

    async def counts(self, expected: float, name: str, **labels: str) -> None:
        """Wait until a sum is as expected: a request is counted after its answer."""
        found = -1.0
        try:
            async with asyncio.timeout(WITHIN):
                while (found := await self.count(name, **labels)) != expected:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            assert found == expected, name

    @property
    def workers(self) -> dict[int, int]:
        """The processes of the workers by the order of their birth."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return dict(enumerate(int(pid) for pid in path.read_text().split()))

    def kill(self, index: int) -> None:
        """SIGKILL a worker of those that have never been replaced."""
        os.kill(self.workers[index], signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, as a supervisor sends it."""
        self.process.send_signal(signal.SIGTERM)


@asynccontextmanager
async def gateway(
    configuration: Path, *, workers: int = 3, extra: str = ""
) -> AsyncGenerator[Gateway]:
    """Run a gateway until the block ends.

    Args:
        configuration: the directory with the two files of `tests.stack.configuration`.
        workers: how many.
        extra: TOML on top.
    """
    ports = free_ports(2)
    overlay = configuration / "workers.toml"
    overlay.write_text(
        f'[gateway]\nworkers = {workers}\nlisten = "127.0.0.1:{ports[0]}"\n'
        f'admin_listen = "127.0.0.1:{ports[1]}"\n{extra}'
    )
    log = configuration / "gateway.log"
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603, ASYNC220 -- ours, and quick to start
            command(configuration), cwd=ROOT, stdout=out, stderr=subprocess.STDOUT
        )
    running = Gateway(process, ports)
    try:
        await _listening(running, log)
        yield running
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def command(configuration: Path) -> list[str]:
    """The command line of a gateway with these files."""
    files = ("wastegate.toml", "extra.toml", "workers.toml")
    given = [part for name in files for part in ("--config", str(configuration / name))]
    return [sys.executable, "-m", "gateway", "serve", *given]


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on."""
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in taken]
    for each in taken:
        each.close()
    return ports


def read(log: Path) -> str:
    """What a gateway has said."""
    return log.read_text()


async def _listening(running: Gateway, log: Path) -> None:
    async with asyncio.timeout(WITHIN):
        while True:
            assert running.process.poll() is None, read(log)
            try:
                reply = await _once("GET", f"{running.url}/readyz", KEY)
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)
                continue
            if reply.status == 200:
                return
            await asyncio.sleep(0.02)


async def _once(
    method: str,
    url: str,
    key: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    auth = {"authorization": f"Bearer {key}"} | (headers or {})
    data = None if body is None else json.dumps(body)
    if data is not None:
        auth["content-type"] = "application/json"
    connector = aiohttp.TCPConnector(force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        http.request(method, url, headers=auth, data=data) as answer,
    ):
        return await Reply.of(answer)
