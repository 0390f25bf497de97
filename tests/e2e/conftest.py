"""The gateway as its own process, in front of the real vLLM, with the shipped adapters."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import msgspec
import pytest

from adapters.registry import Registry
from tests.conftest import RealVllm
from tests.stack import ADMIN_KEY, KEY, ROOT, sha256

SHIPPED: Final = ROOT / "models"
READY_SECONDS: Final = 120.0


class Gateway(msgspec.Struct, frozen=True):
    """A running gateway, for clients of any kind."""

    url: str
    admin_url: str
    log: Path
    kept: Path
    """Where outputs of tenants that have opted in are kept."""

    def environment(self) -> dict[str, str]:
        """What the command line reads."""
        return {
            **os.environ,
            "WASTEGATE_URL": self.url,
            "WASTEGATE_ADMIN_URL": self.admin_url,
            "WASTEGATE_KEY": KEY,
            "WASTEGATE_ADMIN_KEY": ADMIN_KEY,
        }

    def wastegate(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command line as an operator would."""
        return subprocess.run(  # noqa: S603 -- our own program
            [sys.executable, "-m", "gateway", *arguments],
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def assist(self, user: str, *, key: str = KEY, **fields: object) -> httpx.Response:
        """Ask with two passages of context; greedy."""
        context = [
            {"id": "S1", "text": "The Cobalt kettle is sold in red and in blue."},
            {
                "id": "S2",
                "text": "Buyers of the Cobalt kettle get a guarantee lasting"
                " 21 months.",
            },
        ]
        given = {"context": context, "user": user}
        return httpx.post(
            f"{self.url}/v1/assist",
            json={"input": given, "temperature": 0, "max_tokens": 96} | fields,
            headers={"authorization": f"Bearer {key}"},
            timeout=120,
        )

    def admin(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Ask the control plane."""
        return httpx.request(
            method,
            f"{self.admin_url}/admin/v1/{path}",
            json=body,
            headers={"authorization": f"Bearer {ADMIN_KEY}"},
            timeout=120,
        )


def free_address() -> str:
    """A loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def overlay(where: Path, *replicas: str) -> tuple[Path, str, str]:
    """This test's keys, ports and engine, to be laid over wastegate.toml."""
    data, control = free_address(), free_address()
    listed = ", ".join(f'"{url}"' for url in replicas)
    path = where / "overlay.toml"
    path.write_text(
        f"""
[gateway]
listen = "{data}"
admin_listen = "{control}"
state = "sqlite:{where}/state.db"
[admin]
key_sha256 = ["tester={sha256(ADMIN_KEY)}"]
[engine]
replicas = [{listed}]
[registry]
path = "{where}/adapters"
[keep]
directory = "{where}/kept"
[surfaces.live]
schema = "{ROOT}/schemas/assist.json"
stream = "live"
[surfaces.tight]
schema = "{ROOT}/schemas/assist.json"
mode = "constrained"
[tenants.acme]
key_sha256 = ["{sha256(KEY)}"]
surfaces = ["assist", "live", "tight"]
keep = "all"
[tenants.careful]
key_sha256 = ["{sha256("careful-key")}"]
surfaces = ["assist"]
fallback = "base"
"""
    )
    return path, f"http://{data}", f"http://{control}"


@pytest.fixture(scope="session")
def gateway(
    real_vllm: RealVllm, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """`wastegate serve` with the repository's own wastegate.toml, ready."""
    with serving(tmp_path_factory.mktemp("gateway"), real_vllm.url) as running:
        yield running


@contextmanager
def serving(where: Path, *replicas: str) -> Generator[Gateway]:
    """Run a gateway in front of these engines until the block ends; it is ready."""
    for source in sorted(SHIPPED.iterdir()):
        Registry(where / "adapters").add(source)
    config, url, admin_url = overlay(where, *replicas)
    log = where / "gateway.log"
    files = ["--config", str(ROOT / "wastegate.toml"), "--config", str(config)]
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 -- our own program
            [sys.executable, "-m", "gateway", "serve", *files],
            cwd=ROOT,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    running = Gateway(url=url, admin_url=admin_url, log=log, kept=where / "kept")
    try:
        _wait_until_ready(process, running)
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(90) == 0


def _wait_until_ready(process: subprocess.Popen[bytes], gateway: Gateway) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            seen = httpx.get(f"{gateway.url}/readyz", timeout=2)
        except httpx.TransportError:
            time.sleep(0.2)
            continue
        if seen.is_success and not seen.json()["degraded"]:
            return
        time.sleep(0.2)
    log = gateway.log.read_text(errors="replace")[-3000:]
    pytest.fail(f"the gateway did not get ready; its log ends:\n{log}", pytrace=False)
