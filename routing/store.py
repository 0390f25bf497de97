"""The port of the document store: the fewest methods that the gateway needs.

A document is bytes under a key, with a version that counts its changes from 1.
Every change is a compare-and-set and leaves an audit entry in the same
transaction. One global version counts all changes of all documents, so that
"has anything changed?" is one cheap read. Nothing here is on a request's way.
"""

from typing import Final, Protocol

import msgspec

from routing.audit import AuditEntry, Change, encodable
from routing.errors import Conflict, Corrupt, StoreError, Unavailable

__all__ = [
    "MOST_ENTRIES",
    "AuditEntry",
    "Change",
    "Conflict",
    "Corrupt",
    "Document",
    "Store",
    "StoreError",
    "Unavailable",
    "check_key",
    "next_version",
]

MOST_ENTRIES: Final = 1_000_000
"""Audit entries that one call gives at most; far more than anybody can read."""

_LONGEST_KEY: Final = 200


class Document(msgspec.Struct, frozen=True):
    """A document as it was read or written; `version` counts from 1."""

    key: str
    version: int
    body: bytes


class Store(Protocol):
    """Where flags, bindings and desired states live; one instance per event loop.

    Every method may raise `Unavailable` (within the store's own time limit) and
    `Corrupt`. A store that was unavailable is tried anew by the next call.
    """

    async def get(self, key: str) -> Document | None:
        """Return the document, or None where there is none."""
        ...

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        expect: int,
        entry: Change,
        version: int | None = None,
    ) -> Document:
        """Replace a document that is at version `expect` (0: there is none yet).

        It gets the next version, or `version`, which is higher: a store that has
        lost some gets them back. When it returns, the change and its audit entry are on disk as far as
        the store's settings promise.

        Raises:
            Conflict: the document is at another version; nothing was written.
            StoreError: `version` is not above `expect`.
            Unavailable: nothing is known about the write: read before repeating.
        """
        ...

    async def version(self) -> int:
        """Return how many changes there ever were; it never goes back."""
        ...

    async def changed(self) -> None:
        """Return when something may have changed since the last call.

        A hint: it may come early, twice or, after a fault, not at all, so poll
        `version` as well. The first call, and the first after an error, returns at
        once. One caller at a time.
        """
        ...

    async def audit(self, limit: int) -> list[AuditEntry]:
        """Return the newest `limit` entries, newest first."""
        ...

    async def close(self) -> None:
        """Give back what is held; may be repeated. Later calls raise StoreError."""
        ...


def next_version(expect: int, version: int | None) -> int:
    """Return the version that a write gives.

    Raises:
        StoreError: it would not be a higher one.
    """
    if version is None:
        return expect + 1
    if version <= expect:
        raise StoreError(f"version {version} is not above {expect}: versions only grow")
    return version


def check_key(key: str) -> str:
    """Return a document key that both stores can hold.

    Raises:
        StoreError: empty, too long, or not encodable.
    """
    if not key or len(key) > _LONGEST_KEY or not encodable(key):
        raise StoreError(
            f"{key[:40]!r} is no document key:"
            f" use 1 to {_LONGEST_KEY} characters of Unicode text"
        )
    return key
