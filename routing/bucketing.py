"""Which of 10,000 buckets a unit falls into: flagd's fractional rule, hash version 3.

    key    = flag/salt/tenant/unit                    as UTF-8
    cbor   = CBOR text header + key                   RFC 8949, major type 3
    h      = MurmurHash3 x86_32(cbor, seed 0)         unsigned
    bucket = (h * 10000) >> 32                        0..9999

Source: flagd's specification of `fractional` as `openfeature-flagd-core` 2.0
computes it; the tests use that package as an oracle. It is computed by hand
here since the package needs about a hundred times as long.

flag, salt and tenant are names that somebody configured, so a "/" in them is
refused. The unit comes last: whatever it contains, the three slashes before it
are the first three of the key, so no two different keys are spelled alike and
the unit needs no escape, which another flagd would not know about.
"""

import re
from typing import Final

import mmh3

from routing.errors import PartError

BUCKETS: Final = 10_000
"""Buckets in all; one is a basis point."""

HASH: Final = "flagd-v3"
"""The name of this rule in a flag document."""

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SHORT, _BYTE, _WORD = 24, 1 << 8, 1 << 16  # where CBOR's length gets wider


def check_name(part: str, text: str) -> str:
    """Return `text` if it can be the flag, salt or tenant of a key.

    Raises:
        PartError: it is empty, or has a "/" or a control character.
    """
    if "/" in text:
        raise PartError(part, f"{text!r} contains '/': use a name without it")
    return check_unit(text, part)


def check_unit(text: str, part: str = "unit") -> str:
    """Return `text` if it can be the unit of a key.

    Raises:
        PartError: it is empty or has a control character or a lone surrogate.
    """
    if not text:
        raise PartError(part, "is empty: it needs at least one character")
    # isprintable() is the fast way to say "surely none"; it also refuses
    # harmless characters (a joiner in an emoji), so the pattern decides.
    if not text.isprintable() and _CONTROL.search(text):
        raise PartError(
            part, f"{text[:80]!r} contains a control character: use printable text"
        )
    return text


def prefix(flag: str, salt: str) -> str:
    """Return the checked beginning of a key, for `bucket_after`."""
    return f"{check_name('flag', flag)}/{check_name('salt', salt)}/"


def bucket_after(start: str, tenant: str, unit: str) -> int:
    """Return the bucket of a unit, given `prefix(flag, salt)`.

    Raises:
        PartError: tenant or unit cannot be part of a key.
    """
    key = f"{start}{check_name('tenant', tenant)}/{check_unit(unit)}".encode()
    size = len(key)
    if size < _SHORT:
        head = bytes((0x60 + size,))
    elif size < _BYTE:
        head = bytes((0x78, size))
    elif size < _WORD:
        head = bytes((0x79, size >> 8, size & 0xFF))
    else:
        raise PartError(
            "unit", f"makes a key of {size} bytes: a key has at most {_WORD - 1}"
        )
    return (mmh3.hash(head + key, 0, signed=False) * BUCKETS) >> 32


def bucket(flag: str, salt: str, tenant: str, unit: str) -> int:
    """Return the bucket of a unit, 0 to 9999.

    Raises:
        PartError: flag, salt or tenant is empty or has a "/" or a control
            character; the unit is empty, has a control character, or is longer
            than a key may be (65,535 bytes in all).
    """
    return bucket_after(prefix(flag, salt), tenant, unit)
