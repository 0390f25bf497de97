"""One measurement with wrk."""

from pathlib import Path
from typing import Final

import msgspec

from bench.errors import BenchError
from bench.processes import run

GRACE_SECONDS: Final = 15.0
MARK: Final = "RESULT "

SCRIPT: Final = """\
wrk.method = "POST"
wrk.body = [==[{body}]==]
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer {key}"
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("{mark}%d %d %d %.0f %.0f\\n",
    summary.requests, summary.duration,
    e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


class Target(msgspec.Struct, frozen=True):
    """What is asked, and with which body."""

    name: str
    url: str
    body: bytes
    key: str


class Sample(msgspec.Struct, frozen=True):
    """What one measurement showed; times in microseconds."""

    requests: int
    duration: float
    p50: float
    p99: float

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return self.requests / self.duration * 1e6


class Generator(msgspec.Struct, frozen=True):
    """Where and how long load is made."""

    wrk: str
    core: int
    seconds: int
    home: Path

    def measure(self, target: Target, connections: int) -> Sample:
        """Ask as fast as answers come, on so many connections.

        Raises `BenchError` if a single answer was none, or no 2xx.
        """
        script = self.home / f"{target.name.replace(' ', '-')}.lua"
        body = target.body.decode()
        script.write_text(SCRIPT.format(body=body, key=target.key, mark=MARK))
        output = run(
            (
                *(self.wrk, "-t1", f"-c{connections}", f"-d{self.seconds}s"),
                *("--latency", "-s", str(script), target.url),
            ),
            self.core,
            self.seconds + GRACE_SECONDS,
        )
        return parse(target.name, output)


def parse(name: str, output: str) -> Sample:
    """Read wrk's output; raises `BenchError` for a measurement with errors in it."""
    lines = [line for line in output.splitlines() if line.startswith(MARK)]
    if not lines:
        raise BenchError(f"{name}: wrk printed no result:\n{output[-1500:]}")
    numbers = [float(word) for word in lines[0].removeprefix(MARK).split()]
    requests, duration, errors, p50, p99 = numbers
    if errors or not requests:
        raise BenchError(f"{name}: {errors:.0f} errors in {requests:.0f} requests")
    return Sample(int(requests), duration, p50, p99)
