"""How long a bad day holds everybody else up: `python -m bench stalls`.

A gateway runs in front of an engine that says the worst (`bench.hostile`). Somebody asks
`/healthz` all the time beside a request: the longest that this takes is the stall. Then
the request goes alone, and the CPU time of the gateway's process is what it cost.
"""

import hashlib
import http.client
import json
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple, Self

from bench.errors import BenchError
from bench.hostile import CASES, Case, body, outcome
from bench.processes import Launch, Running, free_ports, started

OUT: Final = Path("docs/stalls.md")
TIMES: Final = 5
STALL_MS: Final = 50.0
CPU_MS: Final = 100.0
READY_SECONDS: Final = 60.0
WITHIN: Final = 30.0
"""Seconds for one answer."""

SETTLED: Final = 0.15
"""Seconds after an answer in which what it left behind shows, such as a thread."""

CONFIGURATION: Final = """\
[gateway]
listen = "127.0.0.1:{port}"
admin_listen = "127.0.0.1:{admin}"
state = "sqlite:{home}/state.db"
[admin]
key_sha256 = ["bench={digest}"]
[engine]
replicas = ["http://127.0.0.1:{engine}"]
[registry]
path = "{home}/adapters"
base_path = "{home}/models"
[surfaces.loose]
schema = "{home}/loose.json"
mode = "free"
reask = 0
[surfaces.again]
schema = "{home}/loose.json"
mode = "free"
reask = 1
[tenants.bench]
key_sha256 = ["{digest}"]
surfaces = ["loose", "again"]
keep = "all"
[keep]
directory = "{home}/kept"
"""


class Row(NamedTuple):
    """One case: what it ended in; milliseconds, the worst of all times."""

    case: Case
    outcome: str
    stall: float
    cpu: float
    seconds: float

    @property
    def missed(self) -> str:
        """What it missed, or nothing."""
        if self.case.expected not in self.outcome:
            return f"{self.case.name}: {self.outcome}, not {self.case.expected}"
        if self.stall > STALL_MS:
            return f"{self.case.name}: a stall of {self.stall:.0f} ms"
        if self.cpu > CPU_MS:
            return f"{self.case.name}: {self.cpu:.0f} ms of CPU"
        return ""


class Pulse(threading.Thread):
    """Asks `/healthz` without a pause; the longest answer since it was last asked."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._ends = threading.Event()
        self.longest = 0.0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self.join()

    def run(self) -> None:
        """Ask until the end."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=WITHIN)
        while not self._ends.is_set():
            began = time.perf_counter()
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            self.longest = max(self.longest, time.perf_counter() - began)
            time.sleep(0.001)
        connection.close()

    def taken(self) -> float:
        """Return the longest in milliseconds, and begin anew."""
        longest, self.longest = self.longest, 0.0
        return longest * 1e3


def main(times: int = TIMES) -> int:
    """Run every case, write `OUT`, print it; the exit code."""
    key = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="wastegate-stalls-") as directory:
        rows = _rows(Path(directory), key, times)
    report = _report(rows, times)
    OUT.write_text(report, encoding="utf-8")
    sys.stdout.write(report)
    return 1 if any(row.missed for row in rows) else 0


def _rows(home: Path, key: str, times: int) -> list[Row]:
    port, admin, engine = free_ports(3)
    (home / "loose.json").write_text('{"type": ["object", "array", "string"]}')
    config = home / "wastegate.toml"
    digest = hashlib.sha256(key.encode()).hexdigest()
    config.write_text(
        CONFIGURATION.format(
            port=port, admin=admin, engine=engine, home=home, digest=digest
        )
    )
    python = sys.executable
    serve = (python, "-m", "gateway", "serve", "--config", str(config))
    hostile = (python, "-m", "bench.hostile", str(engine))
    with (
        started(Launch("engine", hostile, 1, engine, home / "engine.log")),
        started(Launch("gateway", serve, 0, port, home / "gateway.log")) as gateway,
    ):
        _await_ready(gateway)
        return [
            _row(case, number, gateway, key, times) for number, case in enumerate(CASES)
        ]


def _await_ready(gateway: Running) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        gateway.check()
        connection = http.client.HTTPConnection("127.0.0.1", gateway.launch.port)
        connection.request("GET", "/readyz")
        if connection.getresponse().status == http.client.OK:
            return
        if time.monotonic() > deadline:
            raise BenchError("the gateway is not ready; see its log")
        time.sleep(0.1)


def _row(case: Case, number: int, gateway: Running, key: str, times: int) -> Row:
    outcomes: set[str] = set()
    stall = cpu = seconds = 0.0

    def asked() -> None:
        nonlocal seconds
        began = time.perf_counter()
        outcomes.add(_ask(case, number, gateway.launch.port, key))
        seconds = max(seconds, time.perf_counter() - began)
        time.sleep(SETTLED)

    with Pulse(gateway.launch.port) as pulse:
        for _ in range(times):
            pulse.taken()
            asked()
            stall = max(stall, pulse.taken())
    for _ in range(times):
        before = gateway.cpu_seconds()
        asked()
        cpu = max(cpu, (gateway.cpu_seconds() - before) * 1e3)
    sys.stderr.write(f"{case.name}: {', '.join(outcomes)}; {stall:.0f} ms\n")
    return Row(case, ", ".join(sorted(outcomes)), stall, cpu, seconds)


def _ask(case: Case, number: int, port: int, key: str) -> str:
    """Send a case; the outcome in a few words."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WITHIN)
    kind = {"content-type": "application/json", "authorization": f"Bearer {key}"}
    try:
        connection.request(
            "POST", "/v1/chat/completions", json.dumps(body(number)), kind
        )
        if case.leaves and connection.sock is not None:
            connection.sock.settimeout(case.leaves)
        answer = connection.getresponse()
        return outcome(answer.status, json.loads(answer.read()))
    except TimeoutError:
        if not case.leaves:
            raise BenchError(f"{case.name}: nothing after {WITHIN:.0f} s") from None
        return "gone"
    finally:
        connection.close()


def _report(rows: Sequence[Row], times: int) -> str:
    today = datetime.now(UTC).date()  # noqa: TID251 -- a report's date
    missed = [row.missed for row in rows if row.missed]
    return "\n".join(
        [
            "# How long a bad day holds everybody else up",
            "",
            (
                f"Made on {today} by `python -m bench stalls`: the worst of {times} times"
                " each. **stall**: the longest that another client waited for `/healthz`"
                " beside the request; **cpu**: the gateway's process with the request"
                f" alone, until {SETTLED * 1e3:.0f} ms after the answer; **answered in**:"
                " the worst of both."
            ),
            "",
            "| case | outcome | stall, ms | cpu, ms | answered in, ms |",
            "|---|---|--:|--:|--:|",
            *(
                f"| {row.case.name.replace('|', '/')} | {row.outcome} | {row.stall:.1f}"
                f" | {row.cpu:.1f} | {row.seconds * 1e3:.0f} |"
                for row in rows
            ),
            "",
            (
                f"Bars: the outcome that is owed, no stall over {STALL_MS:.0f} ms, at"
                f" most {CPU_MS:.0f} ms of CPU."
            ),
            *(["", *(f"MISSED: {each}" for each in missed)] if missed else []),
            "",
        ]
    )
