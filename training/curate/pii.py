"""Personal data in examples: what `structured.personal` finds, and a little more.

What opens something or identifies somebody by its form is found where the gateway finds
it, too. Here names after a title and social security numbers come to that; a bare name
has no form, and docs/curation.md says what that costs in recall.

A pseudonym depends on the value and a key alone: the same person is the same one in the
passages, the request and the answer, and in every example, so an answer that was
supported by its context is so afterwards. Nobody without the key can go back by trying
values. Pseudonyms are of ranges that are reserved for nobody, so scrubbing twice is
scrubbing once.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Collection, Iterator
from typing import Final

import msgspec

from structured.personal import KINDS


class Found(msgspec.Struct, frozen=True, order=True):
    """One piece of personal data in a text."""

    start: int
    end: int
    kind: str
    """As `structured.personal` names it; or SSN, or NAME."""
    value: str
    """In one spelling, however it was written."""


class Scrubbed(msgspec.Struct, frozen=True):
    """A text without them."""

    text: str
    found: tuple[Found, ...]


_SSN: Final = re.compile(
    r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])"
)
_WORD: Final = r"[A-ZÀ-ÖØ-Þ][\w'\u2019-]+"
_NAME: Final = re.compile(
    r"\b(?:Mr|Mrs|Ms|Dr|Prof|Herr|Frau|Mme|Monsieur|Madame|Señora?|Signora?|Sra?\.)\.? "
    rf"(?!Person-)({_WORD}(?: (?:(?:von|van|de|der|da|del|la|le) )?{_WORD}){{0,2}})"
)
_RESERVED: Final = re.compile(r".*@mail\.example|2001:db8:.*|999\d{8}")
"""Values that are pseudonyms."""


class Scrubber:
    """Takes personal data out of texts.

    Args:
        key: a secret; the same key gives the same pseudonyms.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def scrub(self, text: str, protected: Collection[str] = ()) -> Scrubbed:
        """Replace what is found.

        Args:
            text: of any language; the forms are those of Europe and North America.
            protected: ids of passages; where one stands in the text, it stays.
        """
        kept = _places(text, protected)
        taken = tuple(
            found
            for found in find(text)
            if not any(found.start < end and start < found.end for start, end in kept)
        )
        pieces: list[str] = []
        at = 0
        for found in taken:
            pieces += (text[at : found.start], self.pseudonym(found.kind, found.value))
            at = found.end
        return Scrubbed("".join((*pieces, text[at:])), taken)

    def pseudonym(self, kind: str, value: str) -> str:
        """What stands for a value, always the same."""
        mac = hmac.digest(self._key, f"{kind}\0{value}".encode(), hashlib.sha256)
        return _SHAPES[kind](int.from_bytes(mac[:8]))


def find(text: str) -> tuple[Found, ...]:
    """Find personal data, in the order of the text; no two overlap.

    Where two forms fit, the surer one wins.
    """
    taken: list[Found] = []
    for found in _candidates(text):
        if all(found.end <= t.start or t.end <= found.start for t in taken):
            taken.append(found)
    # Pseudonyms take their place first: a part of one may look like something else.
    return tuple(sorted(t for t in taken if not _RESERVED.fullmatch(t.value)))


def _candidates(text: str) -> Iterator[Found]:
    for kind in KINDS:
        for start, end in kind.spans(text):
            yield Found(start, end, kind.name, kind.canonical(text[start:end]))
    for match in _SSN.finditer(text):
        yield Found(*match.span(), "SSN", match[0])
    for match in _NAME.finditer(text):
        yield Found(*match.span(1), "NAME", " ".join(match[1].split()))


def _places(text: str, words: Collection[str]) -> list[tuple[int, int]]:
    return [
        match.span()
        for word in words
        if word
        for match in re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", text)
    ]


def _four(number: int) -> str:
    """Four digits, of which the first is none that a number is dialled with."""
    return str(1000 + number % 9000)


_SHAPES: Final[dict[str, Callable[[int], str]]] = {
    # Reserved for nobody: RFC 2606 and 3849; country codes XX and 999 are not assigned;
    # no card begins with 0, no social security number with 000.
    "KEY": lambda n: f"key-{n % 16**8:08x}",
    "EMAIL": lambda n: f"person-{n % 16**8:08x}@mail.example",
    "IBAN": lambda n: f"XX00 {_four(n)} {_four(n // 9000)} 0000",
    "CARD": lambda n: f"0000 0000 {_four(n)} {_four(n // 9000)}",
    "SSN": lambda n: f"000-{n % 100:02d}-{n // 100 % 10**4:04d}",
    "IP": lambda n: f"2001:db8::{n % 16**4:x}:{n // 16**4 % 16**4:x}",
    "PHONE": lambda n: f"+999 {_four(n)} {_four(n // 9000)}",
    "NAME": lambda n: f"Person-{n % 16**6:06X}",
}
