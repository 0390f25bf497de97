"""Digests of files, and files that appear whole or not at all."""

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
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


def receive(
    chunks: Iterable[bytes], target: Path, largest: int, sha256: str | None = None
) -> str | None:
    """Write bytes of an untrusted sender to a new file, as far as they are wanted.

    Args:
        chunks: what comes; no more of it is taken than the limit allows.
        target: must not exist yet.
        largest: bytes that the file may have.
        sha256: of the bytes that are wanted; None when any will do.

    Returns:
        What is wrong with the bytes, and then there is no file; None if nothing.

    Raises:
        OSError: the disk refuses. This, or what `chunks` raises, leaves no file.
    """
    hashed, size = hashlib.sha256(), 0
    with target.open("xb") as file:
        try:
            for chunk in chunks:
                size += len(chunk)
                if size > largest:
                    break
                hashed.update(chunk)
                file.write(chunk)
        except BaseException:
            target.unlink()
            raise
    if size > largest:
        target.unlink()
        return f"{target.name} is longer than {largest} bytes"
    if sha256 is not None and hashed.hexdigest() != sha256:
        target.unlink()
        return f"{target.name} has other bytes than it should"
    return None


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
