"""The files that kept lines go into: bounded, private, and whole up to their last line.

Each start begins a file of its own, so a line that a crash has cut stays the last of
its file, and several gateways may share a directory. A file is locked while it is
written; nobody deletes one that is.
"""

import fcntl
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gateway.keep.limits import KeepLimits

PATTERN: Final = "kept-*.jsonl"
_DAY: Final = 86_400

Write = Callable[[int, bytes], int]


def obstacle(directory: Path) -> str | None:
    """What keeps files from being made in a directory that may not be there yet.

    Looks, and makes nothing: a directory is only there once something is kept.
    """
    there = directory.absolute()
    while not there.exists():
        there = there.parent
    if not there.is_dir():
        return f"{there} is not a directory"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{there} cannot be written by this user"
    return None


class Files:
    """Appends lines, begins new files, deletes old ones. For one thread at a time."""

    def __init__(
        self,
        limits: KeepLimits,
        *,
        now: Callable[[], float],
        write: Write = os.write,
    ) -> None:
        """Touch nothing yet.

        Args:
            limits: the directory and its bounds.
            now: the wall clock, in seconds since the epoch.
            write: `os.write`, or what fails on demand.
        """
        self._limits = limits
        self._directory = Path(limits.directory)
        self._now = now
        self._write = write
        self._writer = secrets.token_hex(4)
        self._number = 0
        self._file: int | None = None
        self._day = 0
        self._size = 0

    def append(self, data: bytes) -> None:
        """Add whole lines, all of them or none.

        Raises:
            OSError: nothing was added. The next call tries anew.
        """
        self.tidy()
        file = self._file
        if file is not None and (
            self._size + len(data) > self._limits.file_bytes or _is_gone(file)
        ):
            self.close()
        file = self._open() if self._file is None else self._file
        try:
            self._write_all(file, data)
        except OSError:
            self._take_back(file)
            raise
        self._size += len(data)

    def tidy(self) -> None:
        """End a file that was begun on another day, and delete what is too old.

        Raises:
            OSError: the directory cannot be read.
        """
        day = int(self._now() // _DAY)
        if day == self._day:
            return
        self.close()
        oldest = f"kept-{_stamp((day - self._limits.days) * _DAY)}"
        for path in self._directory.glob(PATTERN):
            if path.name < oldest:
                _delete(path)
        self._day = day

    def close(self) -> None:
        """End the file, if one is open; a later line begins another."""
        if self._file is not None:
            file, self._file = self._file, None
            os.close(file)

    def _open(self) -> int:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._make_room()
        self._number += 1
        name = f"kept-{_stamp(self._now())}-{self._writer}-{self._number:06}.jsonl"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        file = os.open(self._directory / name, flags, 0o600)
        self._file, self._size = file, 0
        # Only a deletion that has just come upon it can hold it: for an instant.
        fcntl.flock(file, fcntl.LOCK_EX)
        return file

    def _make_room(self) -> None:
        """Delete the oldest files until a whole new one fits."""
        sizes: dict[Path, int] = {}
        for path in sorted(self._directory.glob(PATTERN)):
            with suppress(FileNotFoundError):  # another gateway has deleted it
                sizes[path] = path.stat().st_size
        over = sum(sizes.values())
        over -= self._limits.total_bytes - self._limits.file_bytes
        for path, size in sizes.items():
            if over <= 0:
                return
            if _delete(path):
                over -= size

    def _write_all(self, file: int, data: bytes) -> None:
        while data:
            data = data[self._write(file, data) :]

    def _take_back(self, file: int) -> None:
        """Cut off half a line; where that fails as well, leave the file for good."""
        try:
            os.ftruncate(file, self._size)
        except OSError:
            self.close()


def _stamp(at: float) -> str:
    """Part of a file's name, so that the names sort by time."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%S")


def _is_gone(file: int) -> bool:
    """Whether somebody has deleted a file that is open: its lines would be lost."""
    return os.fstat(file).st_nlink == 0


def _delete(path: Path) -> bool:
    """Delete a file that nobody writes; whether it is gone."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(file)
    return True
