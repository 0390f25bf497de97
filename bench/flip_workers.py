"""Flips through the control plane of a whole gateway of several workers, under requests.

Each worker writes a line when a flag's version comes into force in it; what is measured
is from the operator's PUT to the last of these lines. Meanwhile a client asks the data
plane all the time and fails if any request does.
"""

import hashlib
import http.client
import json
import secrets
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.processes import Launch, Running, free_ports, started

READY_SECONDS: Final = 60.0
SETTLE_SECONDS: Final = 10.0
CORES: Final = "0,1"

CONFIGURATION: Final = """\
[gateway]
listen = "127.0.0.1:{port}"
admin_listen = "127.0.0.1:{admin}"
workers = {workers}
state = "{state}"
last_known = "{home}/known.json"
[admin]
key_sha256 = ["bench={digest}"]
[engine]
replicas = ["http://127.0.0.1:{engine}"]
[registry]
path = "{home}/adapters"
[tenants.bench]
key_sha256 = ["{digest}"]
"""

Moments = Mapping[str, Mapping[int, float]]
"""When each version came into force in each worker, in seconds since 1970."""


class Client(threading.Thread):
    """Chats one after the other; counts those that do not answer 200."""

    def __init__(self, port: int, key: str) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._key = key
        self._over = threading.Event()
        self.asked = self.failed = 0

    def run(self) -> None:
        """Ask until the end."""
        body = {"model": "auto", "messages": [{"role": "user", "content": "?"}]}
        while not self._over.is_set():
            path = "/v1/chat/completions"
            status, _, _ = ask(self._port, "POST", path, self._key, body)
            self.asked += 1
            self.failed += status != HTTPStatus.OK

    def end(self) -> None:
        """Stop after the question that is under way."""
        self._over.set()
        self.join()


def flip_times(
    home: Path, state: str, workers: int, flips: int
) -> tuple[list[float], int, Client]:
    """Flip so many times.

    Args:
        home: a directory for the gateway's files.
        state: the URL of its store.
        workers: how many it has.
        flips: how many.

    Returns:
        Seconds from each PUT to the last worker, versions that went back in a worker,
        and the client that asked meanwhile.

    Raises:
        BenchError: the gateway did not come up, or a flip did not come to a worker.
    """
    port, admin, engine = free_ports(3)
    key = secrets.token_hex(16)
    config, log = home / "wastegate.toml", home / "gateway.log"
    config.write_text(
        CONFIGURATION.format(
            port=port,
            admin=admin,
            engine=engine,
            workers=workers,
            state=state,
            home=home,
            digest=hashlib.sha256(key.encode()).hexdigest(),
        )
    )
    fake = (sys.executable, "-m", "gateway.engine.fake", "--port", str(engine))
    serve = (sys.executable, "-m", "gateway", "serve", "--config", str(config))
    with (
        started(Launch("engine", fake, CORES, engine, home / "engine.log")),
        started(Launch("gateway", serve, CORES, port, log)) as gateway,
    ):
        _await_workers(gateway, admin, key, workers)
        client = Client(port, key)
        client.start()
        begun = [_flipped(admin, key, number) for number in range(flips)]
        moments = _settled(log, workers, begun[-1][0])
        client.end()
    return [_last(moments, *each) for each in begun], _backwards(log), client


def ask(
    port: int,
    method: str,
    path: str,
    key: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Mapping[str, str], Any]:
    """One request on a connection of its own: status, headers, JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SETTLE_SECONDS)
    auth = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    try:
        connection.request(
            method, path, body and json.dumps(body), {**auth, **(headers or {})}
        )
        answer = connection.getresponse()
        named = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, named, json.loads(answer.read())
    finally:
        connection.close()


def _await_workers(gateway: Running, admin: int, key: str, workers: int) -> None:
    """Until a kill is acknowledged by all of them; it is taken back."""
    deadline = time.monotonic() + READY_SECONDS
    kill = {"scope": "tenant", "name": "nobody"}
    while time.monotonic() < deadline:
        gateway.check()
        _, _, found = ask(admin, "POST", "/admin/v1/kill", key, kill)
        if len(found.get("acknowledged", ())) == workers:
            ask(admin, "DELETE", "/admin/v1/kill", key, kill)
            return
        time.sleep(0.1)
    raise BenchError("the workers are not all there; see the gateway's log")


def _flipped(admin: int, key: str, number: int) -> tuple[int, float]:
    """One flip: its version, and when it was asked for."""
    path = "/admin/v1/flags/GENERATOR"
    _, headers, flag = ask(admin, "GET", path, key)
    at = time.time()  # noqa: TID251 -- the workers' lines have the wall clock
    changed = flag | {"lora": number % 10_000}
    status, _, found = ask(
        admin, "PUT", path, key, changed, {"If-Match": headers["etag"]}
    )
    if status != HTTPStatus.OK:
        raise BenchError(f"a flip was refused: {found}")
    return found["version"], at


def _told(log: Path) -> list[tuple[str, int, float]]:
    found: list[tuple[str, int, float]] = []
    for line in log.read_bytes().splitlines():
        if b'"event":"flag"' in line:
            told = json.loads(line)
            at = datetime.fromisoformat(told["at"]).timestamp()
            found.append((told["worker"], told["version"], at))
    return found


def _settled(log: Path, workers: int, version: int) -> Moments:
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        moments: dict[str, dict[int, float]] = defaultdict(dict)
        for worker, held, at in _told(log):
            moments[worker].setdefault(held, at)
        if len(moments) == workers and all(version in m for m in moments.values()):
            return moments
        time.sleep(0.1)
    raise BenchError(f"version {version} did not come to every worker")


def _last(moments: Moments, version: int, begun: float) -> float:
    """Seconds until the last worker had this version or a newer one."""
    return max(
        min(at for held, at in each.items() if held >= version) - begun
        for each in moments.values()
    )


def _backwards(log: Path) -> int:
    newest: dict[str, int] = {}
    back = 0
    for worker, version, _ in _told(log):
        back += version < newest.get(worker, 0)
        newest[worker] = max(version, newest.get(worker, 0))
    return back
