"""Engines for every suite: `fake_vllm` fails on demand, `real_vllm` is the real thing.

The real one is started once a session, from the engine environment that `make up`
creates. It is expensive (about a minute, both cores, 3 GB), so tests share it: what a
test loads there, it unloads.
"""

import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
import pytest
from hypothesis import settings

from gateway.engine.fake import FakeVllm

ROOT: Final = Path(__file__).resolve().parents[1]
ENGINE_PYTHON: Final = ROOT / ".venv-engine" / "bin" / "python"
BASE: Final = ROOT / "var" / "models" / "smollm2-135m-instruct@1.0"
READY_SECONDS: Final = 240.0
STOP_SECONDS: Final = 20.0

# Timings belong in benchmarks: a property holds on a busy machine as well.
settings.register_profile("patient", settings(), deadline=None)
settings.load_profile("patient")


class RealVllm(msgspec.Struct, frozen=True):
    """A running vLLM server."""

    url: str
    base: str
    log: Path | None
    """None when it was started by somebody else."""


@pytest.fixture
async def fake_vllm() -> AsyncIterator[FakeVllm]:
    """A healthy fake; set its `quirks` to break it."""
    async with FakeVllm() as fake:
        yield fake


@pytest.fixture(scope="session")
def real_vllm() -> Iterator[RealVllm]:
    """A real vLLM with the base model and no adapter.

    `ENGINE_URL` names one that runs already, as it does for `make up`; its base has to
    be served as `base` there. Missing parts are failures: a suite that leaves out the
    real engine quietly proves nothing.
    """
    if given := os.environ.get("ENGINE_URL"):
        yield RealVllm(url=given, base="base", log=None)
        return
    need(ENGINE_PYTHON, "the engine environment, which `make up` creates first")
    need(BASE / "config.json", "the base model: `make up` prepares it after that")
    log = Path(tempfile.mkdtemp(prefix="wastegate-vllm-")) / "vllm.log"
    engine = Engine(log)
    engine.start()
    try:
        engine.wait_until_healthy()
        yield RealVllm(url=engine.url, base="base", log=log)
    finally:
        engine.stop()


class Engine:
    """A vLLM of one's own, on one port for its whole life."""

    def __init__(self, log: Path) -> None:
        self._port = _free_port()
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, or start it again; it is healthy some time later."""
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(  # noqa: S603 -- our own command line
                _command(self._port),
                env=_environment(),
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def wait_until_healthy(self) -> None:
        """Wait; fail the test with the end of the log if it ends or takes too long."""
        assert self._process is not None
        _wait_until_healthy(self._process, self.url, self._log)

    def kill(self) -> None:
        """SIGKILL, its workers too."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(STOP_SECONDS)

    def stop(self) -> None:
        """End it and whatever it has started."""
        if self._process is not None:
            _stop(self._process)


def need(path: Path, what: str) -> None:
    if not path.exists():
        pytest.fail(
            f"{path.relative_to(ROOT)} is missing: {what}."
            ' Run `make up && make down` once, or deselect with -m "not vllm"',
            pytrace=False,
        )


def _command(port: int) -> list[str]:
    module = "vllm.entrypoints.openai.api_server"
    where = ["--host", "127.0.0.1", "--port", str(port)]
    model = ["--model", str(BASE), "--served-model-name", "base"]
    compute = ["--dtype", "float32", "--enforce-eager", "--max-model-len", "2048"]
    lora = ["--enable-lora", "--max-loras", "4", "--max-lora-rank", "16"]
    grammar = ["--structured-outputs-config.backend", "guidance"]
    command = [str(ENGINE_PYTHON), "-m", module, *where, *model, *compute]
    return [*command, *lora, *grammar]


def _environment() -> Mapping[str, str]:
    cores = sorted(os.sched_getaffinity(0))
    return {
        **os.environ,
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        "PYTHONPATH": str(ROOT / "images/engine"),
        "VLLM_CPU_KVCACHE_SPACE": "2",
        # Left alone, vLLM keeps one core free and runs torch on a single thread.
        "VLLM_CPU_OMP_THREADS_BIND": f"{cores[0]}-{cores[-1]}",
        "OMP_NUM_THREADS": str(len(cores)),
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_healthy(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):  # noqa: S310 -- http on loopback
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    tail = log.read_text(errors="replace")[-3_000:]
    pytest.fail(f"vLLM did not get ready; the end of {log}:\n{tail}", pytrace=False)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the whole process group: vLLM's worker is a child of its own."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            break
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    # The group may outlive its leader for a moment; nothing of it may stay.
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
