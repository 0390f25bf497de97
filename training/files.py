"""Files that are either whole or absent: digests and atomic directories."""

import hashlib
import os
import shutil
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Final

CHUNK: Final = 1 << 20
"""Bytes read at once while hashing; large files stay out of memory."""


def sha256_file(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_files(paths: Iterable[Path]) -> str:
    """Hex sha256 over `<sha256>  <name>` lines, sorted by name.

    The listing is what `sha256sum * | sha256sum` prints, so that a digest can be
    checked by hand, and it depends on names and bytes alone.
    """
    lines = sorted((path.name, sha256_file(path)) for path in paths)
    listing = "".join(f"{digest}  {name}\n" for name, digest in lines)
    return hashlib.sha256(listing.encode()).hexdigest()


@contextmanager
def whole_directory(target: Path) -> Generator[Path]:
    """Yield an empty directory that becomes `target` when the block succeeds.

    The work happens in a directory beside the target (the same file system, so the
    rename is atomic). A block that raises, SystemExit from a signal included, leaves
    no trace. A killed process leaves only the hidden directory, which the next run
    of the same target removes. An existing target is replaced.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        yield draft
        for path in draft.rglob("*"):
            if path.is_file():
                _to_disk(path)
        if target.exists():
            old = target.with_name(f".{target.name}.old")
            shutil.rmtree(old, ignore_errors=True)
            target.rename(old)
            draft.rename(target)
            shutil.rmtree(old)
        else:
            draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _to_disk(path: Path) -> None:
    """Flush a file before the rename makes it visible."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
