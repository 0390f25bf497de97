"""The registry: a directory in which a ref means the same bytes for ever.

    blobs/DIGEST/…        an adapter's files; DIGEST is their tree digest
    refs/NAME@vN.json     the binding, written last: what has none does not exist
    staging/              copies in the making or on their way out; swept by `add`
    collected/REF         the files of this ref are gone on purpose
    reads/                which replicas may still read what; see `adapters.reads`
    lock                  held while adding

Paths of blobs are content-addressed, because engines key their prefix caches by
the path: other bytes under a known path would be answered from stale caches.
A crash leaves a staged copy or a blob that no ref names, and both are harmless.
"""

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from adapters.bindings import Binding, decode, describe, encode, file_name, refs_of
from adapters.errors import (
    CollectedAdapter,
    CorruptAdapter,
    ManifestError,
    PreflightError,
    RefConflict,
    UnknownRef,
)
from adapters.files import file_digest, sync_directory, write_atomic
from adapters.manifest import MANIFEST, Manifest, load, read_json
from adapters.preflight import (
    ALLOWED,
    OPTIONAL,
    Limits,
    directory_problems,
    refuse_by,
    refuse_unservable,
)
from adapters.reads import Read, Reads
from adapters.refs import AdapterRef

Check = Callable[[Path], object]
"""Looks at a staged copy, and raises when it must not be registered."""


class Registered(msgspec.Struct, frozen=True):
    """An adapter in the registry.

    `digest` covers all its files, `path` is absolute and named by the digest.
    """

    ref: AdapterRef
    digest: str
    path: Path
    manifest: Manifest


def _unchecked(_: Path) -> None:
    """Accept any adapter whose files are those of its manifest."""


class Registry:
    """A registry in one directory of one machine; processes may share it.

    All methods do file I/O: an event loop calls them in a thread.
    """

    def __init__(self, root: Path, limits: Limits | None = None) -> None:
        """Use a directory, which need not exist yet; limits cap sizes on `add`."""
        self._root: Final = root.resolve()
        self._limits: Final = limits or Limits()
        self._reads: Final = Reads(self._root / "reads")

    def add(self, source: Path, check: Check = _unchecked) -> Registered:
        """Copy an adapter in and bind its ref; again with equal bytes is no change.

        Args:
            source: a sealed adapter's directory.
            check: runs on the copy, which nobody else writes to, so that what
                was checked is what is registered (`preflight.check`, bound).

        Raises:
            NotServable: it says of itself that it cannot be served.
            PreflightError: files that must not be there, or what `check` raises.
            ManifestError: the files are not those of their manifest.
            RefConflict: the ref is bound to other bytes.
            CorruptAdapter: the same bytes are there already, and damaged.
            OSError: the disk refuses; nothing is registered then.
        """
        with self._adding() as stage:
            self._copy(source, stage)
            check(stage)
            manifest = _own_files(stage)
            binding = describe(manifest.ref, stage)
            self._refuse_other_bytes(binding)
            self._place(stage, binding)
            self._bind(binding)
            self._collected(binding.ref).unlink(missing_ok=True)
        return self.get(binding.ref)

    def get(self, ref: AdapterRef) -> Registered:
        """Look a ref up; the names and sizes of its files and its manifest are checked.

        Raises:
            UnknownRef: nothing is registered under it.
            CollectedAdapter: its files are gone on purpose.
            CorruptAdapter: a file is missing, too many, or of another size.
        """
        binding = self._binding(ref)
        if binding is None:
            raise UnknownRef(ref, self.refs())
        if self._collected(ref).exists():
            raise CollectedAdapter(ref)
        path = self._blob(binding.digest)
        _check_sizes(path, binding)
        _check_digest(path / MANIFEST, binding)
        return Registered(binding.ref, binding.digest, path, load(path))

    def verify(self, ref: AdapterRef) -> Registered:
        """Look a ref up and hash all its files.

        Raises:
            UnknownRef: nothing is registered under it.
            CorruptAdapter: the bytes are not those that were registered.
        """
        found = self.get(ref)
        binding = self._binding(ref)
        if binding is None:
            raise UnknownRef(ref, self.refs())
        for name in sorted(binding.files):
            _check_digest(found.path / name, binding)
        return found

    def about_to_read(self, ref: AdapterRef, read: Read) -> Registered:
        """Look a ref up for a replica that is about to be sent the path.

        The note comes before the look, and `collect` does both the other way round: of
        two at the same moment at least one sees the other.

        Raises:
            UnknownRef, CollectedAdapter, CorruptAdapter: as `get`.
            OSError: the note cannot be written, and the replica must not be told.
        """
        self._reads.note(ref, read)
        return self.get(ref)

    def collect(self, ref: AdapterRef, running: Mapping[str, float]) -> int:
        """Delete an adapter's files, unless a replica may read them; it stays bound.

        Args:
            ref: the adapter.
            running: replicas that were just seen without it, by URL, with the start of
                their engine in seconds since 1970.

        Returns:
            Bytes that are free again.

        Raises:
            UnknownRef: nothing is registered under it.
            CollectedAdapter: they are gone already.
            StillRead: naming the replicas.
            ManifestError: a note of a reader is damaged: nothing is collected.
        """
        with self._adding() as stage:
            binding = self._binding(ref)
            if binding is None:
                raise UnknownRef(ref, self.refs())
            blob = self._blob(binding.digest)
            if not blob.exists():
                raise CollectedAdapter(ref)
            mark = self._collected(ref)
            mark.parent.mkdir(exist_ok=True)
            write_atomic(mark, b"")
            try:
                self._reads.check_unread(ref, running)
                size = sum(entry.stat().st_size for entry in blob.iterdir())
                blob.rename(stage / blob.name)
            except BaseException:
                mark.unlink()
                raise
            self._reads.forget(ref)
        return size

    def refs(self) -> tuple[AdapterRef, ...]:
        """Name what is registered and there, by name and version; opens no file."""
        bound = refs_of(path.name for path in self._refs().glob("*.json"))
        return tuple(ref for ref in bound if not self._collected(ref).exists())

    def list(self) -> tuple[Registered, ...]:
        """Look up everything that is registered.

        Raises:
            CorruptAdapter: one is damaged (`refs` and `get` tell which are not).
        """
        return tuple(self.get(ref) for ref in self.refs())

    def _refs(self) -> Path:
        return self._root / "refs"

    def _collected(self, ref: AdapterRef) -> Path:
        return self._root / "collected" / str(ref)

    def _blob(self, digest: str) -> Path:
        return self._root / "blobs" / digest

    @contextlib.contextmanager
    def _adding(self) -> Generator[Path]:
        """Give a staging directory to the one process that may add now."""
        staging = self._root / "staging"
        for directory in (staging, self._root / "blobs", self._refs()):
            directory.mkdir(parents=True, exist_ok=True)
        sync_directory(self._root)
        with (self._root / "lock").open("w") as lock:
            # The kernel drops this lock with its holder, so whatever is staged
            # when we hold it belongs to nobody.
            fcntl.flock(lock, fcntl.LOCK_EX)
            for orphan in staging.iterdir():
                shutil.rmtree(orphan)
            for orphan in self._refs().glob(".tmp-*"):
                orphan.unlink()
            stage = Path(tempfile.mkdtemp(dir=staging))
            stage.chmod(0o755)
            try:
                yield stage
            finally:
                shutil.rmtree(stage, ignore_errors=True)

    def _copy(self, source: Path, stage: Path) -> None:
        refuse_unservable(source)
        if problems := directory_problems(source, self._limits):
            raise PreflightError(problems)
        for name in sorted(ALLOWED):
            if name not in OPTIONAL or (source / name).exists():
                _copy_file(source / name, stage / name, self._limits.largest(name))

    def _binding(self, ref: AdapterRef) -> Binding | None:
        path = self._refs() / file_name(ref)
        if not path.exists():
            return None
        try:
            return decode(read_json(path), ref)
        except ManifestError as error:
            raise CorruptAdapter(ref, str(error)) from error

    def _refuse_other_bytes(self, offered: Binding) -> None:
        bound = self._binding(offered.ref)
        if bound is not None and bound.digest != offered.digest:
            raise RefConflict(offered.ref, bound.digest, offered.digest)

    def _place(self, stage: Path, binding: Binding) -> None:
        blob = self._blob(binding.digest)
        if blob.exists():
            _check_sizes(blob, binding)
            for name in sorted(binding.files):
                _check_digest(blob / name, binding)
            return
        sync_directory(stage)
        stage.rename(blob)
        sync_directory(blob.parent)

    def _bind(self, binding: Binding) -> None:
        path = self._refs() / file_name(binding.ref)
        if not path.exists():
            write_atomic(path, encode(binding))


def _copy_file(source: Path, target: Path, largest: int) -> None:
    """Copy a regular file to a durable, read-only one.

    Between the listing and the opening a file may have been swapped: it is
    judged again by its handle. O_NONBLOCK keeps a pipe from hanging the open.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    with os.fdopen(os.open(source, flags), "rb") as reader:
        status = os.fstat(reader.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > largest:
            raise PreflightError([f"{source.name} changed while it was copied"])
        with target.open("xb") as writer:
            shutil.copyfileobj(reader, writer)
            writer.flush()
            os.fchmod(writer.fileno(), 0o444)
            os.fsync(writer.fileno())


def _own_files(stage: Path) -> Manifest:
    manifest = load(stage)
    refuse_by(manifest)
    for name, digest in manifest.files.items():
        if file_digest(stage / name) != digest:
            raise ManifestError(
                MANIFEST, f"states another sha256 for {name}; seal the adapter again"
            )
    return manifest


def _check_sizes(path: Path, binding: Binding) -> None:
    if not path.is_dir():
        raise CorruptAdapter(binding.ref, f"{path} is missing")
    there = {entry.name for entry in path.iterdir()}
    if odd := sorted(there ^ set(binding.files)):
        raise CorruptAdapter(binding.ref, f"missing or too many: {', '.join(odd)}")
    for name, stored in binding.files.items():
        status = (path / name).lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size != stored.size:
            raise CorruptAdapter(
                binding.ref, f"{name} is no file of {stored.size} bytes"
            )


def _check_digest(path: Path, binding: Binding) -> None:
    if file_digest(path) != binding.files[path.name].sha256:
        raise CorruptAdapter(binding.ref, f"{path.name} has other bytes")
