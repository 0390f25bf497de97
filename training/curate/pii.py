"""Personal data in texts: what is found by form and checksum becomes a pseudonym.

Numbers that have a checksum are only taken for what they look like if it is right, so
that order numbers stay what they are. Names are found after a title; a bare name has no
form, and `docs/curation.md` says what that costs in recall.

A pseudonym depends on the value and a key alone: the same person is the same one in the
passages, the request and the answer, so an answer that was supported by its context is
so afterwards. Nobody without the key can go back by trying values. Pseudonyms are from
ranges that are reserved for nobody, so scrubbing twice is scrubbing once.
"""

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Callable, Collection, Iterator
from typing import Final, Literal

import msgspec

Kind = Literal["email", "iban", "card", "ssn", "ip", "phone", "name"]


class Found(msgspec.Struct, frozen=True, order=True):
    """One piece of personal data in a text."""

    start: int
    end: int
    kind: Kind
    value: str
    """In one spelling, however it was written."""


class Scrubbed(msgspec.Struct, frozen=True):
    """A text without them."""

    text: str
    found: tuple[Found, ...]


_EMAIL: Final = re.compile(r"[\w.%+-]+@(?:[\w-]+\.)+[^\W\d_]{2,}")
_IBAN: Final = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}")
_CARD: Final = re.compile(r"(?<![\w.+-])[2-6]\d{3}(?:[ -]?\d){9,15}(?![\w-]|\.\d)")
_SSN: Final = re.compile(
    r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])"
)
_IP: Final = re.compile(
    r"(?<![\w.:])(?:(?:\d{1,3}\.){3}\d{1,3}|(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4})"
    r"(?![\w:]|\.\d)"
)
_PHONE: Final = re.compile(
    r"(?<![\w.+-])(?<!\d )(?:"
    r"\+(?!999)\d{1,3}(?:[ ./-]?\(?\d{1,4}\)?){2,6}"  # +49 30 901820
    r"|\(\d{3}\) ?\d{3}-\d{4}"  # (415) 555-2671
    r"|\d{3}-\d{3}-\d{4}"
    r"|\(?0\d{1,4}\)?(?: ?[/-] ?| )\d{3,8}(?:[ -]\d{2,6}){0,3}"  # 030 / 901820, 020 7946 0958
    r"|0\d(?:[ .]\d{2}){4}"  # 01 42 68 53 00
    r")(?![\w-]|\.\d)"
)
_CUED: Final = re.compile(
    r"(?i:\b(?:phone|tel|telephone|mobile|cell|call|fax|telefon|handy|téléphone|teléfono)"
    r"\b(?: (?:number|nummer|me|us|at|on|is|under)){0,3}[.:]? ?)(\d[\d ./-]{5,16}\d)"
)
_WORD: Final = r"[A-ZÀ-ÖØ-Þ][\w'\u2019-]+"
_TITLE: Final = re.compile(
    r"\b(?:Mr|Mrs|Ms|Dr|Prof|Herr|Frau|Mme|Monsieur|Madame|Señora?|Signora?|Sra?\.)\.? "
    rf"({_WORD}(?: (?:(?:von|van|de|der|da|del|la|le) )?{_WORD}){{0,2}})"
)

_IBAN_LENGTHS: Final = {
    "AD": 24, "AE": 23, "AT": 20, "BE": 16, "BG": 22, "CH": 21, "CY": 28, "CZ": 24,
    "DE": 22, "DK": 18, "EE": 20, "ES": 24, "FI": 18, "FR": 27, "GB": 22, "GR": 27,
    "HR": 21, "HU": 28, "IE": 22, "IS": 26, "IT": 27, "LI": 21, "LT": 20, "LU": 20,
    "LV": 21, "MC": 27, "MT": 31, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24,
    "RS": 22, "SA": 24, "SE": 24, "SI": 19, "SK": 24, "TR": 26, "UA": 29,
}  # fmt: skip
"""Characters by country (the SWIFT IBAN registry)."""

_CARD_LENGTHS: Final = {
    "2": (16,),
    "3": (14, 15),
    "4": (16, 19),
    "5": (16,),
    "6": (16, 19),
}
"""Digits by the first one (ISO/IEC 7812): so an EAN with 13 of them is no card."""

_MOST_DIGITS: Final = 15
_LEAST_DIGITS: Final = 7
"""Of a telephone number: E.164, and the shortest that is written with a prefix."""
_RESERVED: Final = (
    ipaddress.ip_network("192.0.2.0/24"),
    ipaddress.ip_network("2001:db8::/32"),
)
"""For documentation (RFC 5737, RFC 3849): nobody's, and what pseudonyms are of."""


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

    def pseudonym(self, kind: Kind, value: str) -> str:
        """What stands for a value, always the same."""
        mac = hmac.digest(self._key, f"{kind}\0{value}".encode(), hashlib.sha256)
        return _SHAPES[kind](int.from_bytes(mac[:8]))


def find(text: str) -> tuple[Found, ...]:
    """Find personal data, in the order of the text; no two overlap.

    Where two forms fit, the one that is checked more strictly wins.
    """
    taken: list[Found] = []
    for detector in _DETECTORS:
        for found in detector(text):
            if not any(found.start < t.end and t.start < found.end for t in taken):
                taken.append(found)
    return tuple(sorted(taken))


def luhn(digits: str) -> bool:
    """Whether a card number's check digit is right (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 * (value > 9)  # noqa: PLR2004 -- the sum of its two digits
    return total % 10 == 0


def mod97(iban: str) -> bool:
    """Whether an IBAN's check digits are right (ISO 13616, by ISO/IEC 7064)."""
    turned = iban[4:] + iban[:4]
    return int("".join(str(int(char, 36)) for char in turned)) % 97 == 1


def _emails(text: str) -> Iterator[Found]:
    for match in _EMAIL.finditer(text):
        value = match[0].lower()
        if not value.endswith(".example"):
            yield Found(*match.span(), "email", value)


def _ibans(text: str) -> Iterator[Found]:
    for match in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(match[0][:2], 0)
        ends = [m.end() for m in re.finditer(r"[A-Z0-9]", match[0])]
        if length and len(ends) >= length:
            end = match.start() + ends[length - 1]
            value = text[match.start() : end].replace(" ", "")
            if mod97(value) and not text[end : end + 1].isalnum():
                yield Found(match.start(), end, "iban", value)


def _cards(text: str) -> Iterator[Found]:
    for match in _CARD.finditer(text):
        value = re.sub(r"\D", "", match[0])
        if len(value) in _CARD_LENGTHS.get(value[0], ()) and luhn(value):
            yield Found(*match.span(), "card", value)


def _ssns(text: str) -> Iterator[Found]:
    for match in _SSN.finditer(text):
        yield Found(*match.span(), "ssn", match[0])


def _ips(text: str) -> Iterator[Found]:
    for match in _IP.finditer(text):
        before = text[: match.start()].rstrip().lower()
        if before.endswith(("version", "release", "firmware")):
            continue
        try:
            address = ipaddress.ip_address(match[0])
        except ValueError:
            continue
        reserved = any(address in net for net in _RESERVED)
        if not (reserved or address.is_loopback or address.is_unspecified):
            yield Found(*match.span(), "ip", str(address))


def _phones(text: str) -> Iterator[Found]:
    spans = [match.span() for match in _PHONE.finditer(text)]
    spans += [match.span(1) for match in _CUED.finditer(text)]
    for start, end in spans:
        value = re.sub(r"\D", "", text[start:end])
        if _LEAST_DIGITS <= len(value) <= _MOST_DIGITS:
            yield Found(start, end, "phone", value)


def _names(text: str) -> Iterator[Found]:
    for match in _TITLE.finditer(text):
        if not match[1].startswith("Person-"):
            yield Found(*match.span(1), "name", " ".join(match[1].split()))


def _places(text: str, words: Collection[str]) -> list[tuple[int, int]]:
    return [
        match.span()
        for word in words
        if word
        for match in re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", text)
    ]


_DETECTORS: Final[tuple[Callable[[str], Iterator[Found]], ...]] = (
    *(_emails, _ibans, _cards, _ssns, _ips, _phones, _names),
)

_SHAPES: Final[dict[Kind, Callable[[int], str]]] = {
    # Reserved for nobody: RFC 2606; country codes XX and 999 are not assigned; no card
    # begins with 0, no social security number with 000.
    "email": lambda n: f"person-{n % 16**8:08x}@mail.example",
    "iban": lambda n: f"XX00 {n % 10**4:04d} {n // 10**4 % 10**4:04d} 0000",
    "card": lambda n: f"0000 0000 {n % 10**4:04d} {n // 10**4 % 10**4:04d}",
    "ssn": lambda n: f"000-{n % 100:02d}-{n // 100 % 10**4:04d}",
    "ip": lambda n: f"2001:db8::{n % 16**4:x}:{n // 16**4 % 16**4:x}",
    "phone": lambda n: f"+999 {n % 10**4:04d} {n // 10**4 % 10**4:04d}",
    "name": lambda n: f"Person-{n % 16**6:06X}",
}
