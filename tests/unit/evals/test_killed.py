"""A run of the suite that is killed with -9, over and over, and taken up again."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from random import Random  # noqa: TID251 - draws moments; nobody is bucketed by it

import msgspec
import pytest
import uvicorn

from evals.environment import NAMES
from evals.fake import FakeGateway, Reply, delivered
from evals.result import SuiteResult
from evals.samples import Sample

ROOT = Path(__file__).parents[3]
KILLS = 20
SAMPLES = 150
CONCURRENCY = 4
SECONDS = 60.0


def behave(conversation: str, generator: str) -> Reply:
    good = generator != "lora" or not conversation.endswith("7")
    return delivered("ok", ("kb-0",) if good else (), tokens=20 + len(generator))


@pytest.fixture
def gateway() -> Generator[tuple[FakeGateway, str]]:
    fake = FakeGateway(behave)
    config = uvicorn.Config(fake, port=0, lifespan="off", log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield fake, f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.002)


@pytest.fixture
def start(
    gateway: tuple[FakeGateway, str], make_sample: Callable[..., Sample]
) -> Callable[[Path], subprocess.Popen[bytes]]:
    samples = [make_sample(f"s{i:03}", cites=("kb-0",)) for i in range(SAMPLES)]
    lines = b"".join(msgspec.json.encode(sample) + b"\n" for sample in samples)
    values = dict(zip(NAMES, (gateway[1], gateway[1], "key", "admin"), strict=True))

    def run(home: Path) -> subprocess.Popen[bytes]:
        home.mkdir(exist_ok=True)
        (home / "samples.jsonl").write_bytes(lines)
        command = [
            *(sys.executable, "-m", "evals", "suite", "--samples", "samples.jsonl"),
            *("--generators", "base", "lora", "--schema", "schema.json"),
            *("--concurrency", str(CONCURRENCY), "--date", "2031-01-01"),
        ]
        (home / "schema.json").write_text("{}")
        environ = {**os.environ, **values, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(command, cwd=home, env=environ)  # noqa: S603 -- our own program

    return run


def result(home: Path) -> SuiteResult:
    [path] = home.glob("var/evals/*/result.json")
    return msgspec.json.decode(path.read_bytes(), type=SuiteResult)


def as_found(found: SuiteResult) -> object:
    """A result without how long it took."""
    return [
        (arm.subject, arm.answers, arm.scores, arm.summary) for arm in found.arms
    ], found.judged


@pytest.mark.slow
def test_killed_at_twenty_moments_and_resumed_the_result_is_that_of_a_whole_run(
    gateway: tuple[FakeGateway, str],
    start: Callable[[Path], subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    fake, _ = gateway
    rng = Random(2031)  # noqa: S311 -- moments of kills
    total = 2 * SAMPLES
    for kill in range(KILLS):
        before = len(fake.asked)
        moment = before + rng.randint(0, max(1, (total - before) // (KILLS - kill)))
        running = start(tmp_path / "killed")
        until(lambda at=moment: len(fake.asked) > at)  # type: ignore[misc]  -- bound now
        running.send_signal(signal.SIGKILL)
        assert running.wait(SECONDS) == -signal.SIGKILL
    assert start(tmp_path / "killed").wait(SECONDS) == 3

    asked = Counter(fake.asked)
    # What was on its way when it was killed was asked again; nothing else was.
    assert total <= asked.total() <= total + KILLS * CONCURRENCY
    assert fake.overrides == {}
    resumed = result(tmp_path / "killed")
    assert all(len(arm.answers) == SAMPLES for arm in resumed.arms)

    assert start(tmp_path / "whole").wait(SECONDS) == 3
    assert as_found(resumed) == as_found(result(tmp_path / "whole"))
