"""Where the stack keeps its files, relative to the repository's root."""

import os
from pathlib import Path
from typing import Final

import msgspec

OVERLAY: Final = "var/local.toml"
"""Written by `up`, read after wastegate.toml: this machine's keys and engine."""

ENV_FILE: Final = "var/local.env"
"""Written by `up`, read by the command line: addresses and keys."""

BASE_RECORD: Final = "base.json"
"""Written last into a base model's directory: with it, the model is complete."""

PRIVATE: Final = 0o600


class Layout(msgspec.Struct, frozen=True):
    """The paths of one stack; `root` is absolute."""

    root: Path

    @property
    def run(self) -> Path:
        return self.root / "var/run"

    @property
    def log(self) -> Path:
        return self.root / "var/log"

    @property
    def overlay(self) -> Path:
        return self.root / OVERLAY

    @property
    def questions(self) -> Path:
        """Labelled questions that rollouts ask their candidates."""
        return self.root / "var/probes/assist.jsonl"

    @property
    def env_file(self) -> Path:
        return self.root / ENV_FILE

    @property
    def status(self) -> Path:
        """The supervisor's pidfile and more; see gateway.host.status."""
        return self.run / "stack.json"

    @property
    def plan(self) -> Path:
        return self.run / "plan.json"

    @property
    def supervisor_lock(self) -> Path:
        return self.run / "supervisor.lock"

    @property
    def up_lock(self) -> Path:
        return self.run / "up.lock"

    @property
    def engine_python(self) -> Path:
        return self.root / ".venv-engine/bin/python"

    @property
    def engine_plugin(self) -> Path:
        """What vLLM on the CPU has to have on its path; see the file in it."""
        return self.root / "images/engine"

    @property
    def wastegate(self) -> Path:
        return self.root / ".venv/bin/wastegate"

    def model(self, ref: str) -> Path:
        return self.root / "var/models" / ref

    def log_of(self, name: str) -> Path:
        return self.log / f"{name}.log"

    def make_directories(self) -> None:
        """Create the directories that everything below var/ goes into."""
        for path in (self.run, self.log, self.root / "var/models"):
            path.mkdir(parents=True, exist_ok=True)


def write_atomically(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace a file's content so that no reader ever sees half of it.

    The new file has `mode` from its first byte on, since it may hold a secret.

    Args:
        path: the file; its directory must exist.
        data: the whole new content.
        mode: permissions of the file.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.unlink(missing_ok=True)
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
