"""A real Redis server for tests, on loopback and in a directory of its own."""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def running(directory: Path) -> Generator["RedisServer"]:
    """A server for the time of the block; without the program the test fails."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.fail("no redis-server: install the package redis-server", pytrace=False)
    server = RedisServer(program, directory)
    server.start()
    try:
        yield server
    finally:
        server.kill()


class RedisServer:
    """A real Redis on a free loopback port, durable, in a directory of its own."""

    def __init__(self, program: str, directory: Path) -> None:
        self._program = program
        self._directory = directory
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, unless it runs."""
        if self._process:
            return
        arguments = (
            *("--port", str(self.port), "--bind", "127.0.0.1"),
            *("--dir", str(self._directory), "--save", ""),
            *("--appendonly", "yes", "--appendfsync", "always"),
            *("--daemonize", "no", "--logfile", "redis.log"),
        )
        self._process = subprocess.Popen([self._program, *arguments])  # noqa: S603  # a fixed program on our own arguments
        wait_until(lambda: self._send("PING") == b"+PONG")

    def empty(self) -> None:
        self.command("FLUSHALL")

    def command(self, line: str) -> None:
        """Send one command whose answer is not an error."""
        answer = self._send(line)
        assert answer[:1] in (b"+", b":"), answer

    @contextmanager
    def listening(self, channel: str) -> Generator[Callable[[], bytes]]:
        """Subscribe to a channel; calling what is given waits for a message."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as link:
            lines = link.makefile("rb")
            link.sendall(f"SUBSCRIBE {channel}\r\n".encode())
            for _ in range(6):
                lines.readline()  # the confirmation: an array of three

            def message() -> bytes:
                return [lines.readline() for _ in range(7)][6].strip()

            yield message

    def signal(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _send(self, line: str) -> bytes:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as link:
                link.sendall(f"{line}\r\n".encode())
                return link.recv(100).strip()
        except OSError:
            return b""


def wait_until(holds: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)
