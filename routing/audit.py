r"""The audit log's entries, and the chain that ties each to the one before it.

    digest(n) = sha256(digest(n-1) + "\n" + canonical(n))        as hex
    canonical = JSON array [seq, at, who, what, why, key, before, after],
                ASCII, no spaces; at in UTC with microseconds; before and after
                as the sha256 (hex) of the bodies, null where there was none

The first entry follows GENESIS. Bodies enter by their digest, so a log whose
old bodies were archived elsewhere can still be verified.

What the chain proves: an entry changed, removed or put in between shows, unless
everything after it was recomputed as well. Keep the newest digest elsewhere
(each gateway's log has it) to notice that too.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import msgspec

from routing.errors import ChainError, StoreError

GENESIS: Final = "0" * 64
"""The digest before the first entry."""


class Change(msgspec.Struct, frozen=True):
    """Who changes what, and why; `at` is aware (any zone), passed in by the caller.

    Raises:
        StoreError: `at` has no zone, or a text is not encodable as UTF-8.
    """

    who: str
    what: str
    why: str
    at: datetime

    def __post_init__(self) -> None:
        """Refuse what could not be written down the same way everywhere."""
        if self.at.tzinfo is None:
            raise StoreError("a change's `at` has no time zone: use an aware datetime")
        for name, text in (("who", self.who), ("what", self.what), ("why", self.why)):
            if not encodable(text):
                raise StoreError(
                    f"a change's `{name}` has a lone surrogate: use Unicode text"
                )


class AuditEntry(msgspec.Struct, frozen=True):
    """One acknowledged change. `before` is None where the document is new.

    `seq` counts from 1 without gaps and is the store's global version that this
    change made; `digest` is the chain's (see the module).
    """

    seq: int
    at: datetime
    who: str
    what: str
    why: str
    key: str
    before: bytes | None
    after: bytes
    digest: str


def encodable(text: str) -> bool:
    """Whether a text has a UTF-8 form, which lone surrogates have not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def timestamp(at: datetime) -> str:
    """Return the one spelling of a moment that the log uses (RFC 3339, UTC)."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def entry_after(
    previous: str,
    *,
    seq: int,
    key: str,
    change: Change,
    before: bytes | None,
    after: bytes,
) -> AuditEntry:
    """Return the entry of a change, chained to the digest of the one before it."""
    entry = AuditEntry(
        seq=seq,
        at=change.at.astimezone(UTC),
        who=change.who,
        what=change.what,
        why=change.why,
        key=key,
        before=before,
        after=after,
        digest="",
    )
    return msgspec.structs.replace(entry, digest=chained(previous, entry))


def chained(previous: str, entry: AuditEntry) -> str:
    """Return the digest that an entry has after `previous`."""
    canonical = json.dumps(
        [
            entry.seq,
            timestamp(entry.at),
            entry.who,
            entry.what,
            entry.why,
            entry.key,
            None if entry.before is None else hashlib.sha256(entry.before).hexdigest(),
            hashlib.sha256(entry.after).hexdigest(),
        ],
        separators=(",", ":"),
    )
    return hashlib.sha256(f"{previous}\n{canonical}".encode()).hexdigest()


def verify(
    entries: Iterable[AuditEntry], *, previous: str = GENESIS, start: int = 1
) -> str:
    """Check a stretch of the log, in any order; return its last digest.

    Args:
        entries: all entries from `start` on.
        previous: the digest of the entry before `start`.
        start: the first entry's seq.

    Raises:
        ChainError: an entry is missing, or does not follow from the one before.
    """
    for expected, entry in enumerate(sorted(entries, key=lambda e: e.seq), start):
        if entry.seq != expected:
            raise ChainError(expected, f"is missing: the next one is {entry.seq}")
        if entry.digest != chained(previous, entry):
            raise ChainError(
                entry.seq, "does not follow from the one before it: one was changed"
            )
        previous = entry.digest
    return previous
