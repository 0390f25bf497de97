"""What in a text identifies somebody or opens something: kinds, patterns, checks.

Checksums decide where there are any. What has none (a telephone number) has to look
like one in its punctuation, since a bare run of digits is an order id more often.
Names, addresses and dates of birth have no shape and are not found here.

Each search is linear in the text: what may begin at any place is of bounded length,
and what is not bounded gives nothing back.
"""

import re
import socket
from collections.abc import Callable, Iterator
from typing import Final, Literal

import msgspec

Name = Literal["KEY", "EMAIL", "IBAN", "CARD", "IP", "PHONE"]

_FLAGS: Final = re.VERBOSE | re.ASCII | re.IGNORECASE

_KEY: Final = re.compile(
    r"""
    (?<![A-Za-z0-9_-])
    (?: wg-[A-Za-z0-9_-]{43}                          # ours
      | sk-[A-Za-z0-9_-]{20,}+                        # OpenAI and its kin
      | gh[pousr]_[A-Za-z0-9]{36,}+ | hf_[A-Za-z0-9]{30,}+ | AKIA[A-Z0-9]{16}
      | eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+   # a JWT
    )
    (?![A-Za-z0-9_-])
    """,
    re.VERBOSE | re.ASCII,
)
_BEARER: Final = re.compile(r"(?i:\bbearer)[ \t]{1,4}([A-Za-z0-9._~+/=-]{16,}+)")
_EMAIL: Final = re.compile(
    r"""
    (?<![\w.%+-]) [\w.%+-]++ (?:'[\w.%+-]++)? @ (?:\w[\w-]{0,62}\.){1,8} [^\W\d_]{2,24} (?!\w)
    """,
    re.VERBOSE,
)
_IBAN: Final = re.compile(
    r"""
    (?<![A-Z0-9]) (?= (
        [A-Z]{2}\d{2} (?: [A-Z0-9]{11,30} | (?:[ ][A-Z0-9]{4}){2,7} (?:[ ][A-Z0-9]{1,3})? )
    ) (?![A-Z0-9]) )
    """,
    _FLAGS,
)
_CARD: Final = re.compile(
    r"""
    (?<![A-Z0-9]) (?<!\d[.,]) (?=[2-6]) (?= (
        \d{14,19} | \d{4}(?:[ -]\d{4}){3}(?:[ -]\d{1,3})? | \d{4}[ -]\d{6}[ -]\d{4,5}
    ) (?![A-Z0-9]) )
    """,
    _FLAGS,
)
_ISSUED: Final = re.compile(
    r"4\d{15}(?:\d{3})?|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}"
    r"|35\d{14}|6\d{15,18}|5[06-8]\d{14}"
)
"""The numbers that card issuers give out; without it one number in ten is a card."""
_IPV4: Final = re.compile(
    r"(?<![A-Za-z0-9.]) (?= ((?:\d{1,3}\.){3}\d{1,3}) (?![A-Za-z0-9]|\.\d) )", _FLAGS
)
_IPV6: Final = re.compile(
    r"(?<![A-Z0-9:]) (?= ([0-9A-F]{1,4}(?::[0-9A-F]{0,4}){2,7}) (?![A-Z0-9:]) )", _FLAGS
)
_ABROAD: Final = re.compile(
    r"(?= (\+\d(?:[ .()/-]{0,3}\d){7,14}) (?![A-Z0-9]) )", _FLAGS
)
_AT_HOME: Final = re.compile(
    r"""
    (?<![A-Z0-9]) (?<![A-Z0-9]-) (?= (
        00[1-9]\d{0,2}[ ()/.-]{1,3}\d(?:[ ()/.-]{0,3}\d){5,12}     # 0049 30 1234567
      | (?:1[ .-])?(?:\([2-9]\d\d\)[ ]?|[2-9]\d\d[ .-])[2-9]\d\d[ .-]\d{4}
      | (?:\(0[1-9]\d{1,3}\)|0[1-9]\d{1,3})[ /-]{1,3}\d{3,8}(?:[ -]\d{2,6}){0,3}   # 030 / 123 45 67
      | 0[1-9](?:[ .-]\d\d){4}                                     # 01 23 45 67 89
    ) (?!-?[A-Z0-9]) )
    """,
    _FLAGS,
)
_ANNOUNCED: Final = re.compile(
    r"""
    \b(?:tel|telephone|phone|mobile|cell|fax|whatsapp|telefon|handy)\b [ .:=\#-]{1,3}
    (?:(?:number|no|nr|is|at)\b[ .:=\#-]{1,3}){0,2}
    (\d(?:[ ()/.-]{0,2}\d){6,14}) (?![A-Z0-9])
    """,
    _FLAGS,
)
_COUNTED: Final = re.compile(
    r"\b(?:order|invoice|ticket|case|ref|reference|id|sku|serial|tracking|parcel"
    r"|customer|article|part|version|release|firmware)\W{0,3}"
    r"(?:(?:id|no|number|nr|code|is)\W{0,3}){0,2}\Z",
    _FLAGS,
)
_COUNTED_WITHIN: Final = 32
"""Characters before a number in which a word may say that it counts something."""


class Kind(msgspec.Struct, frozen=True):
    """One kind of what is looked for."""

    name: Name
    pattern: re.Pattern[str]
    """Its first group, or all of it, is the candidate."""
    sign: str
    """A text that has none of these characters has nothing of this kind."""
    length: Callable[[str], int] = len
    """How many characters of a candidate are it; 0 if it is none."""
    countable: bool = False
    """Whether a word before it, such as `order`, says that it is something else."""
    canonical: Callable[[str], str] = str
    """The same for two ways of writing one value."""

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where it stands in a text, from left to right."""
        if not any(sign in text for sign in self.sign):
            return
        end = 0
        group = self.pattern.groups
        for match in self.pattern.finditer(text):
            start = match.start(group)
            if start < end:
                continue
            length = self.length(match[group])
            if length and not (self.countable and _counted(text, start)):
                end = start + length
                yield start, end


def _counted(text: str, start: int) -> bool:
    before = text[max(0, start - _COUNTED_WITHIN) : start]
    return _COUNTED.search(before) is not None


_PUNCTUATION: Final = str.maketrans("", "", " ()/.+-")


def _bare(text: str) -> str:
    return text.translate(_PUNCTUATION).upper()


def _card(text: str) -> int:
    """A card's length: its issuer's form, and Luhn's sum. More groups may follow."""
    for length in (len(text), max(text.rfind(" "), text.rfind("-"), 0)):
        digits = _bare(text[:length])
        if _ISSUED.fullmatch(digits) and luhn(digits):
            return length
    return 0


_TWICE: Final = bytes.maketrans(b"0123456789", b"0246813579")
_ZERO: Final = ord("0")


def luhn(digits: str) -> bool:
    """Whether the last digit is Luhn's check digit of the others."""
    single, double = digits[::-2].encode(), digits[-2::-2].encode()
    total = sum(single) + sum(double.translate(_TWICE)) - _ZERO * len(digits)
    return total % 10 == 0


_IBAN_LENGTHS: Final = {
    country: int(length)
    for country, length in re.findall(
        r"([A-Z]{2})(\d\d)",
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24"
        " DE22 DK18 DO28 EE20 EG29 ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28"
        " HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20"
        " LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25"
        " QA29 RO24 RS22 SA24 SC31 SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29"
        " VA22 VG24 XK20",
    )
}
"""By country, from SWIFT's registry of IBAN formats."""


def _iban(text: str) -> int:
    """An IBAN's length: its country's, and ISO 7064's mod 97. Words may follow."""
    account = _bare(text)[: _IBAN_LENGTHS.get(text[:2].upper(), 0)]
    turned = account[4:] + account[:4]
    if not turned or int("".join(str(int(each, 36)) for each in turned)) % 97 != 1:
        return 0
    left = len(account)
    for place, each in enumerate(text, start=1):
        left -= each != " "
        if not left:
            return place if text[place : place + 1] in ("", " ") else 0
    return 0


_IPV6_GROUPS: Final = 3
_LOOPBACK: Final = 127


def _ip(text: str) -> int:
    """An address's length; loopback and `a::b` say nothing about anybody."""
    sixth = ":" in text
    if text[-1] == ":" != text[-2]:
        text = text[:-1]  # the sentence's: "from 2001:db8::1: timed out"
    try:
        # An eighth of what ipaddress takes to say the same, which the tests ask.
        packed = socket.inet_pton(socket.AF_INET6 if sixth else socket.AF_INET, text)
    except OSError:
        return 0
    if sixth:
        groups = [group for group in text.split(":") if group]
        nobodys = (
            (packed[:-1] == bytes(15) and packed[-1] <= 1)
            or len(groups) < _IPV6_GROUPS
            or not re.search(r"\d", text)
        )
    else:
        nobodys = packed[0] == _LOOPBACK or not any(packed)
    return 0 if nobodys else len(text)


def _token(text: str) -> int:
    """`Bearer` may be followed by a word; a token has digits in it."""
    return len(text) if re.search(r"\d", text) else 0


_PHONE_DIGITS: Final = range(7, 16)


def _phone(text: str) -> int:
    return len(text) if len(_bare(text)) in _PHONE_DIGITS else 0


_DIGITS: Final = "0123456789"

KINDS: Final = (
    Kind("KEY", _KEY, "-_.K"),  # the K of AKIA, which has no punctuation
    Kind("KEY", _BEARER, _DIGITS, _token),
    Kind("EMAIL", _EMAIL, "@", canonical=str.lower),
    Kind("IBAN", _IBAN, _DIGITS, _iban, canonical=_bare),
    Kind("CARD", _CARD, _DIGITS, _card, canonical=_bare),
    Kind("IP", _IPV4, ".", _ip, countable=True),
    Kind("IP", _IPV6, ":", _ip, canonical=str.lower),
    Kind("PHONE", _ABROAD, "+", _phone, canonical=_bare),
    Kind("PHONE", _AT_HOME, _DIGITS, _phone, countable=True, canonical=_bare),
    Kind("PHONE", _ANNOUNCED, _DIGITS, _phone, canonical=_bare),
)
"""In the order in which they are looked for: the surest first."""
