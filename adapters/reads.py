"""Which replicas may still read an adapter's files: what keeps them from being collected.

    reads/REF/KEY.json    a replica, and the boot in which it was sent the path

An engine that has loaded an adapter may read its files again for as long as it runs,
even after an unload: an evicted one that is still in flight is fetched anew. Only its
next start ends that. So the path is noted here before a replica hears of it, and a note
holds until the replica was seen with a later boot.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from adapters.errors import StillRead
from adapters.files import write_atomic
from adapters.manifest import parse, read_json
from adapters.refs import AdapterRef


class Read(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A replica that was sent the path, and its start, seconds since 1970."""

    replica: str
    boot_epoch: float


class Reads:
    """The notes, in a directory that the gateways of a registry share."""

    def __init__(self, root: Path) -> None:
        """Use a directory, which need not exist yet."""
        self._root: Final = root

    def note(self, ref: AdapterRef, read: Read) -> None:
        """Write down that a replica is about to read an adapter.

        Raises:
            OSError: the disk refuses; the replica must not be told then.
        """
        key = hashlib.sha256(read.replica.encode()).hexdigest()[:16]
        path = self._root / str(ref) / f"{key}.json"
        if path.exists() and parse(read_json(path), Read, path.name) == read:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, msgspec.json.encode(read))

    def check_unread(self, ref: AdapterRef, running: Mapping[str, float]) -> None:
        """Check that no replica may read an adapter's files any more.

        Args:
            ref: the adapter.
            running: replicas that were seen, by URL, with the start of their engine.

        Raises:
            StillRead: naming the replicas that may, and until when.
            ManifestError: a note is damaged: who may read is unknown.
        """
        found: list[str] = []
        for path in sorted((self._root / str(ref)).glob("*.json")):
            read = parse(read_json(path), Read, path.name)
            if read.replica not in running:
                found.append(f"{read.replica}, which is not seen")
            elif running[read.replica] <= read.boot_epoch:
                found.append(f"{read.replica}, until its next restart")
        if found:
            raise StillRead(ref, found)

    def forget(self, ref: AdapterRef) -> None:
        """Drop the notes of an adapter whose files are gone."""
        for path in (self._root / str(ref)).glob("*.json"):
            path.unlink()
