"""Runs steps, and leaves alone what is done: an interrupted lab goes on.

A step is done when its last record is of the same command, what it makes is there, and
nothing before it in the recipe was made after it. Records are lines of JSON, one for each
time, in the order of time.
"""

import os
import secrets
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

import msgspec

from lab.errors import LabError
from lab.recipe import Step

RECORDS: Final = "steps.jsonl"
PII_KEY: Final = "WASTEGATE_PII_KEY"
"""Pseudonyms are made with it; this data set needs none, so any key gives the same."""
STOP_SECONDS: Final = 30.0


class Done(msgspec.Struct, frozen=True):
    """One time that a step was run."""

    name: str
    command: str
    code: int
    seconds: float
    ended: str
    """ISO 8601, UTC."""


class Runner:
    """Runs steps in a directory of work."""

    def __init__(
        self, home: Path, *, now: Callable[[], str], said: IO[str] = sys.stderr
    ) -> None:
        """Take up what `home` has records of."""
        self._home = home
        self._now = now
        self._said = said
        home.mkdir(parents=True, exist_ok=True)
        records = tuple(_read(home / RECORDS))
        self._done = {each.name: each for each in records}
        self._places = {each.name: place for place, each in enumerate(records)}
        self._newest = -1

    def run(self, steps: Sequence[Step], *, of: int, before: int = 0) -> None:
        """Run what of the steps is not done.

        Args:
            steps: in their order.
            of: how many there are in all, for the progress.
            before: how many came before these.

        Raises:
            LabError: a step failed, or left out what it is to make.
        """
        for number, step in enumerate(steps, start=before + 1):
            head = f"[{number}/{of}] {step.title} ({step.name})"
            if self._stands(step):
                took = self._done[step.name].seconds
                self._say(f"{head}: done, in {took:.0f} s")
            else:
                self._say(f"{head}\n  {step.command}")
                self._run(step)
            if step.makes:
                self._newest = max(self._newest, self._places[step.name])

    def records(self) -> Mapping[str, Done]:
        """The last record of each step, by its name."""
        return self._done

    def _stands(self, step: Step) -> bool:
        last = self._done.get(step.name)
        return (
            bool(step.makes)
            and last is not None
            and self._places[step.name] > self._newest
            and last.command == step.command
            and last.code in step.fine
            and all(path.exists() for path in step.makes)
        )

    def _run(self, step: Step) -> None:
        log = log_file(self._home, step.name)
        log.parent.mkdir(exist_ok=True)
        began = time.monotonic()
        code = _command(step, log, self._said)
        done = Done(
            step.name, step.command, code, time.monotonic() - began, self._now()
        )
        with (self._home / RECORDS).open("ab") as records:
            # In a line of its own, whatever a kill has left of the one before.
            records.write(b"\n" + msgspec.json.encode(done))
        self._done = {**self._done, step.name: done}
        self._places[step.name] = max(self._places.values(), default=-1) + 1
        if code not in step.fine:
            raise LabError(
                f"{step.name} ended with code {code}; what it said is in {log}."
                " The same command goes on from here"
            )
        if missing := [str(path) for path in step.makes if not path.exists()]:
            raise LabError(f"{step.name} did not make {', '.join(missing)}; see {log}")

    def _say(self, text: str) -> None:
        self._said.write(f"{text}\n")
        self._said.flush()


def log_file(home: Path, name: str) -> Path:
    """Where it is kept what a step said when it was run last."""
    return home / "logs" / f"{name}.log"


def clock() -> str:
    """The moment, as ISO 8601 in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _command(step: Step, log: Path, said: IO[str]) -> int:
    environ = {PII_KEY: secrets.token_hex(16), "PYTHONUNBUFFERED": "1", **os.environ}
    with (
        log.open("wb") as kept,
        subprocess.Popen(  # noqa: S603 -- commands are the recipe's, no shell
            shlex.split(step.command),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if step.into else subprocess.STDOUT,
            env=environ,
        ) as process,
    ):
        try:
            if step.into:
                answered, errors = process.communicate()
                kept.write(errors)
                step.into.write_bytes(answered)
            else:
                _tee(process.stdout or (), kept, said)
            return process.wait()
        finally:
            _stop(process)


def _tee(lines: Iterable[bytes], kept: IO[bytes], said: IO[str]) -> None:
    """To the log as it comes, to the terminal indented; both as soon as it is said."""
    for line in lines:
        kept.write(line)
        kept.flush()
        said.write(f"  {line.decode(errors='replace')}")
        said.flush()


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Leave no child behind when the lab is interrupted."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _read(path: Path) -> Iterable[Done]:
    if not path.exists():
        return ()
    lines = path.read_bytes().splitlines()
    # A kill can cut the last line; its step is run again.
    return tuple(filter(None, (_line(line) for line in lines)))


def _line(line: bytes) -> Done | None:
    try:
        return msgspec.json.decode(line, type=Done)
    except msgspec.MsgspecError:
        return None
