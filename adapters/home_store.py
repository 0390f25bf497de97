"""A home in an object store or a directory, laid out as the registry is.

    blobs/DIGEST/FILE     an adapter's files; DIGEST is their tree digest
    refs/NAME@vN.json     the binding: written last, and created once

Whoever may write there may change anything, so nothing there is believed: a pull
compares every name, size and sha256 with the binding, and the binding with itself.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from adapters.bindings import (
    Binding,
    Stored,
    decode,
    describe,
    encode,
    file_name,
    refs_of,
)
from adapters.errors import (
    CorruptAdapter,
    HomeError,
    ManifestError,
    RefConflict,
    UnknownRef,
)
from adapters.files import receive
from adapters.manifest import LARGEST_JSON, load
from adapters.objects import Found, Objects
from adapters.preflight import ALLOWED, NEEDED, Limits
from adapters.refs import AdapterRef
from adapters.registry import Registered

Connect = Callable[[Literal["read", "write"]], Objects]
"""Opens the store; to write, it may be made. Raises HomeError."""


class StoreHome:
    """A home that is read and written; all methods do blocking I/O."""

    def __init__(self, name: str, connect: Connect, limits: Limits) -> None:
        """Use a store; errors call it by its name, limits cap what is pulled."""
        self._name: Final = name
        self._connect: Final = connect
        self._limits: Final = limits

    def refs(self) -> tuple[AdapterRef, ...]:
        """Name what is bound there, by name and version. Raises HomeError."""
        return refs_of(self._connect("read").names("refs"))

    def fetch(self, ref: AdapterRef, into: Path) -> None:
        """Write an adapter's files into an empty directory.

        Raises:
            UnknownRef: nothing is bound to it there; says what is.
            HomeError: the home cannot be used, or holds other bytes than were bound.
            OSError: this machine's disk refuses.
        """
        objects = self._connect("read")
        binding = self._binding(objects, ref)
        if binding is None:
            raise UnknownRef(ref, refs_of(objects.names("refs")))
        self._refuse_odd_files(binding)
        for name, stored in sorted(binding.files.items()):
            found = objects.find(_blob(binding, name))
            problem = _size_problem(name, found, stored) or receive(
                found.chunks if found else (), into / name, stored.size, stored.sha256
            )
            if problem:
                raise self._damaged(ref, problem)
        self._refuse_other_name(binding, into)

    def publish(self, registered: Registered) -> None:
        """Write an adapter there and bind its ref; again with equal bytes mends it.

        Raises:
            RefConflict: the ref is bound to other bytes there.
            CorruptAdapter: the files are not those that were registered.
            HomeError: the home cannot be used; pushing again is harmless.
        """
        binding = describe(registered.ref, registered.path)
        if binding.digest != registered.digest:
            raise CorruptAdapter(registered.ref, "its files have other bytes")
        objects = self._connect("write")
        self._refuse_other_bytes(objects, binding)
        # Blobs that are there already are written again: their sizes would not
        # show whether somebody has changed them.
        for name in sorted(binding.files):
            objects.put(_blob(binding, name), registered.path / name)
        objects.create(_bound(binding.ref), encode(binding))
        # Two may have come here at a time, and an answer may have been lost: what
        # is bound now counts, and not what the store has answered.
        if self._refuse_other_bytes(objects, binding) is None:
            raise HomeError(
                self._name,
                f"it took the binding of {binding.ref}, and does not have it",
                "push again, or ask whoever keeps it",
            )

    def _refuse_other_bytes(self, objects: Objects, offered: Binding) -> Binding | None:
        bound = self._binding(objects, offered.ref)
        if bound is not None and bound.digest != offered.digest:
            raise RefConflict(offered.ref, bound.digest, offered.digest)
        return bound

    def _binding(self, objects: Objects, ref: AdapterRef) -> Binding | None:
        found = objects.find(_bound(ref))
        if found is None:
            return None
        if found.size > LARGEST_JSON:
            raise self._untrusted(ref, f"is longer than {LARGEST_JSON} bytes")
        try:
            return decode(b"".join(found.chunks), ref)
        except ManifestError as error:
            raise self._untrusted(ref, error.message) from error

    def _refuse_odd_files(self, binding: Binding) -> None:
        """Refuse names and sizes before any of them is asked for or written."""
        names = set(binding.files)
        odd = sorted(names - ALLOWED)
        if odd:
            raise self._untrusted(
                binding.ref, f"names {odd[0][:80]!r}, which no adapter has"
            )
        if missing := sorted(NEEDED - names):
            raise self._untrusted(binding.ref, f"names no {missing[0]}")
        for name, stored in sorted(binding.files.items()):
            largest = self._limits.largest(name)
            if stored.size > largest:
                raise HomeError(
                    self._name,
                    f"{name} of {binding.ref} has {stored.size} bytes;"
                    f" at most {largest} are taken",
                    "train it with a lower rank, or for fewer modules",
                )

    def _refuse_other_name(self, binding: Binding, into: Path) -> None:
        """Refuse a sound adapter under another's ref: it would be registered as that."""
        try:
            named = load(into).ref
        except ManifestError as error:
            raise self._damaged(binding.ref, str(error)) from error
        if named != binding.ref:
            raise self._untrusted(binding.ref, f"is bound to the files of {named}")

    def _untrusted(self, ref: AdapterRef, what: str) -> HomeError:
        return HomeError(
            self._name,
            f"{_bound(ref)} {what}",
            "have whoever keeps it restore that file, or use another home",
        )

    def _damaged(self, ref: AdapterRef, what: str) -> HomeError:
        return HomeError(
            self._name,
            f"{ref} is damaged there: {what}",
            "push it again from a registry that has it, which mends it,"
            " or use another home",
        )


def _bound(ref: AdapterRef) -> str:
    return f"refs/{file_name(ref)}"


def _blob(binding: Binding, name: str) -> str:
    return f"blobs/{binding.digest}/{name}"


def _size_problem(name: str, found: Found | None, stored: Stored) -> str | None:
    if found is None:
        return f"{name} is missing"
    if found.size != stored.size:
        return f"{name} has {found.size} bytes instead of {stored.size}"
    return None
