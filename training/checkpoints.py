"""What a killed run goes on from: a directory of work beside the one that it will make.

    .NAME.work/
        work.json            whose work it is: digests of configuration, data and base
        checkpoint-25/       transformers' state, whole where `whole.json` is in it
        kept-50/             the weights of the best look so far

A kill may come in the middle of writing. `whole.json` is written last, after all else is
on the disk; a checkpoint without it is no checkpoint.
"""

import fcntl
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from training import models, processes
from training.errors import CheckpointError

WORK: Final = "work.json"
WHOLE: Final = "whole.json"
KEEP: Final = 2
"""Whole checkpoints that stay: the newest, and one more should its disk be bad."""


class Owner(msgspec.Struct, frozen=True):
    """Whose work it is; anything else may not go on with it."""

    config: str
    data: str
    base: str


class Whole(msgspec.Struct, frozen=True):
    """A checkpoint's mark: what was spent until then."""

    step: int
    seconds: float
    starts: int


class _State(msgspec.Struct, frozen=True):
    """Of the Trainer's own record in a checkpoint, what a stage is made of."""

    global_step: int
    max_steps: int


class Stage(msgspec.Struct, frozen=True):
    """How far a run is on the disk: what a kill leaves of it."""

    step: int
    steps: int
    """Of the whole run."""


def work_path(out: Path) -> Path:
    """Where the work on `out` is kept until it is there."""
    return out.with_name(f".{out.name}.work")


def stage(out: Path) -> Stage | None:
    """The newest whole checkpoint's; only looks, so another process may be at work."""
    found: list[Stage] = []
    for mark in work_path(out).glob(f"checkpoint-*/{WHOLE}"):
        with suppress(OSError, msgspec.MsgspecError):  # gone while we look
            read = (mark.parent / "trainer_state.json").read_bytes()
            state = msgspec.json.decode(read, type=_State)
            found.append(Stage(state.global_step, state.max_steps))
    return max(found, key=lambda each: each.step, default=None)


@contextmanager
def alone(out: Path) -> Generator[None]:
    """Keep every other process that asks off the work on `out`.

    A command may be given twice, and a worker that Redis has lost sight of may still
    train while its job is given to another one: two that write the same checkpoints would
    ruin both.

    Raises:
        CheckpointError: somebody is at it.
    """
    path = work_path(out)
    path.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDONLY)
    try:
        _lock(handle, out)
        try:
            yield
        finally:
            with suppress(OSError):  # goes only if it is empty: nothing was begun
                path.rmdir()
    finally:
        os.close(handle)


def _lock(handle: int, out: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise CheckpointError(
            f"another process trains {out} at this moment: wait for it, or end it first"
        ) from error


class Work:
    """The directory of one run's work."""

    def __init__(self, out: Path, owner: Owner) -> None:
        self.path = work_path(out)
        self._owner = owner
        self._out = out

    def open(self, *, fresh: bool) -> None:
        """Make the directory, or take up the one that is there.

        Args:
            fresh: throw away what is there.

        Raises:
            CheckpointError: it is another run's.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        if fresh:
            self._clear()  # the directory itself stays: whoever is at it holds a lock on it
        mark = self.path / WORK
        if not mark.is_file():
            self._clear()
            _write(mark, self._owner)
            return
        found = msgspec.json.decode(mark.read_bytes(), type=Owner)
        different = [
            name
            for name, value in msgspec.structs.asdict(self._owner).items()
            if value != getattr(found, name)
        ]
        if different:
            raise CheckpointError(
                f"{self.path} is the work of a run with another {', '.join(different)}:"
                " finish that one, or throw its work away: delete it, or run --fresh"
            )

    def newest(self) -> tuple[Path, Whole] | None:
        """The newest whole checkpoint; half-written ones go away, by the main process."""
        found: list[tuple[Path, Whole]] = []
        for path in self.path.glob("checkpoint-*"):
            try:
                mark = (path / WHOLE).read_bytes()
                found.append((path, msgspec.json.decode(mark, type=Whole)))
            except (OSError, msgspec.MsgspecError):
                if processes.is_main():
                    shutil.rmtree(path)
        return max(found, key=lambda each: each[1].step, default=None)

    def finish(self, path: Path, whole: Whole) -> None:
        """Mark a checkpoint as whole, and let the older ones but one go."""
        for file in path.rglob("*"):
            if file.is_file():
                _to_disk(file)
        _write(path / WHOLE, whole)
        older = sorted(self.path.glob("checkpoint-*"), key=_number)[:-KEEP]
        for old in older:
            shutil.rmtree(old)

    def kept(self, step: int) -> Path:
        """Where the weights of a look are kept."""
        return self.path / f"kept-{step}"

    def keep(self, step: int, model: Any) -> None:
        """Keep the weights of the best look, and no others."""
        path = self.kept(step)
        shutil.rmtree(path, ignore_errors=True)
        models.save(model, path)
        for file in path.rglob("*"):
            _to_disk(file)

    def forget(self, but: int) -> None:
        """Drop the weights of every look but one; after the checkpoint that knows it."""
        for path in self.path.glob("kept-*"):
            if _number(path) != but:
                shutil.rmtree(path)

    def done(self) -> None:
        """Remove all of it: the run has made what it was for."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _clear(self) -> None:
        for path in self.path.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _number(path: Path) -> int:
    return int(path.name.rpartition("-")[2])


def _write(path: Path, value: msgspec.Struct) -> None:
    """Write whole or not at all."""
    draft = path.with_suffix(".draft")
    draft.write_bytes(msgspec.json.encode(value) + b"\n")
    _to_disk(draft)
    draft.rename(path)
    _to_disk(path.parent)


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
