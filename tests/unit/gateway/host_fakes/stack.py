"""A directory like a repository's root, whose engine and gateway are stand-ins.

Everything between them (`wastegate up`, the supervisor, `wastegate down`) is real.
"""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from gateway.host import process, status
from gateway.host.layout import Layout

REPOSITORY = Path(__file__).parents[4]
FAKES = Path(__file__).parent
PATIENCE = 180.0  # a busy machine may be a hundred times slower

CONFIG = """
[gateway]
listen = "127.0.0.1:{data}"
admin_listen = "127.0.0.1:{control}"
[engine]
replicas = ["http://127.0.0.1:{engine}"]
[surfaces.assist]
[tenants.acme]
surfaces = ["assist"]
"""

WASTEGATE = """#!/bin/sh
exec {python} {fakes}/gateway.py "$@"
"""

PYTHON = """#!/bin/sh
if [ "$2" = training ]; then
  [ ! -e fake/slow-base ] || {{ touch fake/base-begun; exec sleep 600; }}
  mkdir -p "$5.part" && echo '{{}}' > "$5.part/base.json" && exec mv "$5.part" "$5"
fi
exec {python} {fakes}/engine.py "$@"
"""


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition; fail with its name when it does not come."""
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit, f"never: {what}"
        time.sleep(0.02)


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def hearing() -> None:
    """Undo what nohup or a background shell has set for the tests themselves."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class FakeStack:
    """One such directory, and the commands that are run in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.layout = Layout(root)
        self.data, self.control, self.engine = free_ports(3)
        for name in ("fake", "locks", ".venv/bin", ".venv-engine/bin"):
            (root / name).mkdir(parents=True)
        config = CONFIG.format(data=self.data, control=self.control, engine=self.engine)
        (root / "wastegate.toml").write_text(config)
        (root / "pyproject.toml").touch()
        self._install(".venv", ("locks/gateway.txt", "locks/dev.txt"))
        self._install(".venv-engine", ("locks/engine.txt",))
        self._script(".venv/bin/wastegate", WASTEGATE)
        self._script(".venv-engine/bin/python", PYTHON)
        self.behave("engine", "ok")
        self.behave("gateway", "ok")
        self._running: list[subprocess.Popen[str]] = []

    def _install(self, directory: str, locks: tuple[str, ...]) -> None:
        for lock in locks:
            (self.root / lock).touch()
        stamp = hashlib.sha256(b"").hexdigest()[:12]
        (self.root / directory / f".installed-{stamp}").touch()

    def _script(self, path: str, text: str) -> None:
        script = self.root / path
        script.write_text(text.format(python=sys.executable, fakes=FAKES))
        script.chmod(0o755)

    def behave(self, who: str, how: str) -> None:
        (self.root / "fake" / who).write_text(how)

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """Run a command in the background, in a session of its own."""
        clean = {
            name: value
            for name, value in os.environ.items()
            if name not in {"ENGINE_URL", "GENERATOR"}
        }
        running = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "gateway", *arguments],
            cwd=self.root,
            env=clean | {"PYTHONPATH": str(REPOSITORY), "COLUMNS": "200"} | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=hearing,  # noqa: PLW1509 - the tests have one thread
        )
        self._running.append(running)
        return running

    def run(self, *arguments: str, **env: str) -> tuple[int, str]:
        """Run a command to its end; its exit code and everything it said."""
        return self.end_of(self.start(*arguments, **env))

    def end_of(self, running: subprocess.Popen[str]) -> tuple[int, str]:
        said, _ = running.communicate(timeout=PATIENCE)
        return running.returncode, said

    def up(self) -> status.Status:
        code, said = self.run("up")
        assert code == 0, said
        return self.status()

    def status(self) -> status.Status:
        seen = status.read(self.layout.status)
        assert seen is not None, "there is no status"
        return seen

    def child(self, name: str) -> process.Identity:
        child = self.status().child(name)
        assert child is not None, f"{name} is not in the status"
        assert child.identity is not None, f"{name} does not run"
        return child.identity

    def journal(self) -> list[str]:
        path = self.root / "fake/journal"
        return path.read_text().splitlines() if path.exists() else []

    def processes(self) -> list[str]:
        """Describe all processes that have their place in this directory."""
        found: list[str] = []
        for pid in process.pids():
            try:
                here = Path(f"/proc/{pid}/cwd").readlink() == self.root
            except OSError:
                continue
            if here and process.identify(pid) is not None:
                found.append(process.describe(pid))
        return found

    def nothing_runs(self) -> None:
        until(lambda: not self.processes(), f"{self.processes()} would end")

    def close(self) -> None:
        for running in self._running:
            if running.poll() is None:
                running.kill()
            running.communicate()
        for pid in process.pids():
            try:
                if Path(f"/proc/{pid}/cwd").readlink() == self.root:
                    os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
