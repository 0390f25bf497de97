"""Digests of files, and files that appear whole or not at all."""

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

DIGEST: Final = r"^[0-9a-f]{64}\Z"
"""A sha256 in lower-case hex, as a pattern for msgspec.Meta."""

PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")
"""A file name that is no path, has no spaces, and is not hidden."""


def file_digest(path: Path) -> str:
    """Hash a file's bytes: sha256, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_digest(files: Mapping[str, str]) -> str:
    """Hash a set of files: sha256 over lines of name, space, sha256, sorted by name.

    Names hold no space and no line end (`PLAIN_NAME`), so two different sets
    never give the same lines.
    """
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def value_digest(value: object) -> str:
    """Hash a JSON value: sha256 over its compact encoding with sorted keys."""
    encoded = msgspec.json.encode(value, order="deterministic")
    return hashlib.sha256(encoded).hexdigest()


def sync_directory(path: Path) -> None:
    """Make the directory's entries durable: a rename alone may be lost."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomic(path: Path, body: bytes) -> None:
    """Replace a file in one step: readers and crashes see the old or the new one.

    The file is readable by all: another user's engine may have to read it.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".tmp-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(body)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    sync_directory(path.parent)
