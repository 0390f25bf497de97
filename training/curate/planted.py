"""How much personal data is found: planted in sentences, beside decoys.

Values are made by their own rules, checksums included, and written in the spellings that
people use, in five languages. A decoy looks like personal data and is none: an order
number, a version, a part number, a sum. Names without a title are planted as a kind of
their own, since they have no form to be found by.
"""

from collections.abc import Callable
from random import Random  # noqa: TID251 - plants values; nobody is bucketed by it
from typing import Final

import msgspec

from structured.personal import luhn
from training.bounds import exact_bounds
from training.curate.pii import find

SEED: Final = 2026
EACH: Final = 200
BARE: Final = "NAME, no title"
DECOY: Final = "decoy"


class Recall(msgspec.Struct, frozen=True):
    """What was found of one kind; of decoys, what was wrongly taken for anything."""

    kind: str
    planted: int
    found: int
    low: float
    """Exact two-sided 95 % bounds of found / planted."""
    high: float


def measure(each: int = EACH, seed: int = SEED) -> tuple[Recall, ...]:
    """Plant `each` values of every kind, and look for them.

    A value counts as found when exactly its extent is; anything beside it in its
    sentence is a decoy that was taken.
    """
    draw = Random(seed)  # noqa: S311 - no secret
    rows: list[Recall] = []
    wrong = 0
    for kind, make in _MAKERS.items():
        hits = 0
        for _ in range(each):
            value, frame = make(draw), draw.choice(_FRAMES)
            title = f"{draw.choice(_TITLES)} " if kind == "NAME" else ""
            start = frame.index("{v}") + len(title)
            extent = (start, start + len(value))
            places = _places(frame.replace("{v}", title + value))
            hits += extent in places
            wrong += any(end <= start or begin >= extent[1] for begin, end in places)
        rows.append(_recall(kind, each, hits))
    taken = sum(bool(_places(_decoy(draw))) for _ in range(each * len(_MAKERS)))
    rows.append(_recall(DECOY, each * len(_MAKERS), taken + wrong))
    return tuple(rows)


def _places(text: str) -> list[tuple[int, int]]:
    return [(found.start, found.end) for found in find(text)]


def _recall(kind: str, planted: int, found: int) -> Recall:
    return Recall(kind, planted, found, *exact_bounds(found, planted))


_FRAMES: Final = (
    "Please write to {v} before Friday.",
    "The record of 12 March names {v}; order 58122 is open.",
    "Reached under {v}, he said that version 2.4.1.7 works.",
    "Bitte an {v} senden, Rechnung 2024-00731 liegt bei.",
    "Der Eintrag lautet {v}.",
    "Merci de noter {v} dans le dossier 7781.",
    "Hay que apuntar {v} antes del lunes.",
    "Si prega di usare {v} per la pratica 90412.",
)
_FIRST: Final = ("Anna", "José", "Marie-Claire", "Ömer", "Thomas", "Chiara", "Liam")
_LAST: Final = ("Müller", "García", "O'Neill", "Dubois", "Rossi", "van Dijk", "Smith-Jones")  # fmt: skip
_TITLES: Final = ("Mr", "Mrs.", "Ms", "Dr.", "Frau", "Herr", "Mme", "Señora", "Signor")
_HOSTS: Final = ("web.de", "mail.acme.com", "orange.fr", "correo.es", "uni-pisa.it")
_BANKS: Final = {"DE": "d18", "GB": "a4d14", "FR": "d10a11d2", "ES": "d20", "NL": "a4d10"}  # fmt: skip
_CARDS: Final = (("4", 16), ("51", 16), ("55", 16), ("34", 15), ("37", 15), ("6011", 16))  # fmt: skip
_PHONES: Final = (
    *("+49 30 ######", "+44 20 7946 0###", "+33 1 42 ## ## ##", "+34 91# ### ###"),
    *("+1 415-555-2###", "(415) 555-2###", "415-555-2###", "030 / 90####"),
    *("020 7946 0###", "01 42 ## ## ##", "+39 06 698 #####", "+4915112######"),
)


def _digits(draw: Random, count: int) -> str:
    return "".join(draw.choice("0123456789") for _ in range(count))


def _grouped(text: str, sizes: tuple[int, ...], between: str) -> str:
    parts: list[str] = []
    at = 0
    for size in sizes:
        parts.append(text[at : at + size])
        at += size
    return between.join(part for part in parts if part)


def _email(draw: Random) -> str:
    first, last = draw.choice(_FIRST).lower(), draw.choice(_LAST).lower()
    user = draw.choice((f"{first}.{last}", f"{first[0]}{last}", f"{last}+shop"))
    ascii_only = user.encode("ascii", "ignore").decode().replace("'", "").replace(" ", "")  # fmt: skip
    written = f"{ascii_only}{_digits(draw, draw.randrange(3))}@{draw.choice(_HOSTS)}"
    return written.upper() if draw.random() < 0.1 else written  # noqa: PLR2004 - a share


def _iban(draw: Random) -> str:
    country = draw.choice(sorted(_BANKS))
    account = ""
    for letter, count in _parts(_BANKS[country]):
        letters = "0123456789" if letter == "d" else "ABCDEFGHKLMNPRSTUW"
        account += "".join(draw.choice(letters) for _ in range(count))
    turned = "".join(str(int(char, 36)) for char in f"{account}{country}00")
    # ISO 13616: the check digits that leave a remainder of 1.
    whole = f"{country}{98 - int(turned) % 97:02d}{account}"
    return _grouped(whole, (4,) * 9, draw.choice((" ", "")))


def _parts(shape: str) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for char in shape:
        if char.isalpha():
            found.append((char, 0))
        else:
            letter, count = found[-1]
            found[-1] = (letter, count * 10 + int(char))
    return found


def _card(draw: Random) -> str:
    prefix, length = draw.choice(_CARDS)
    body = prefix + _digits(draw, length - len(prefix) - 1)
    whole = next(body + check for check in "0123456789" if luhn(body + check))
    american = (4, 6, 5)
    sizes = american if length == sum(american) else (4,) * 4
    return _grouped(whole, sizes, draw.choice((" ", "-", "")))


def _ssn(draw: Random) -> str:
    return f"{draw.randrange(1, 650):03d}-{draw.randrange(1, 99):02d}-{draw.randrange(1, 9999):04d}"  # fmt: skip


def _ip(draw: Random) -> str:
    if draw.random() < 0.3:  # noqa: PLR2004 - a share
        return f"2a02:{draw.randrange(4096):x}::{draw.randrange(1, 65_000):x}"
    return f"{draw.choice((81, 93, 145, 203))}.{draw.randrange(256)}.{draw.randrange(256)}.{draw.randrange(1, 255)}"  # fmt: skip


def _phone(draw: Random) -> str:
    return "".join(draw.choice("0123456789") if c == "#" else c for c in draw.choice(_PHONES))  # fmt: skip


def _bare(draw: Random) -> str:
    return f"{draw.choice(_FIRST)} {draw.choice(_LAST)}"


def _decoy(draw: Random) -> str:
    text = draw.choice(_DECOYS)
    return "".join(draw.choice("123456789") if c == "#" else c for c in text)


_DECOYS: Final = (
    "Order ########## was shipped in ## boxes.",
    "Invoice 2024-0#### of 1#.0#.2024 is over 1,2##,4##.## EUR.",
    "Firmware 4.1#.2.# and version 10.#.#.1# are out.",
    "Part no. 4##1-1111-1111-11## fits the Cobalt kettle.",
    "The ISBN is 978-3-16-1484#0-#, the EAN 40#####9#####.",
    "[T-#1#4] The Cinder charger lasts 1# hours, [D-##] says.",
    "Between 10:3#:4# and 11:0#:1# it drew 23# W at 50 Hz.",
    "Bolts M8x1## and the boxes of 120x3#x45 cm are in hall #.",
    "The doctor is in hall #; Mr is a title, Ms too.",
    "Serial DE##ABCDEFG and batch GB#2-XYZ-##### are recalled.",
    "Set the timer to 00##, then to 12##, the code is ####.",
)
"""A # is any digit but 0."""

_MAKERS: Final[dict[str, Callable[[Random], str]]] = {
    "EMAIL": _email,
    "IBAN": _iban,
    "CARD": _card,
    "SSN": _ssn,
    "IP": _ip,
    "PHONE": _phone,
    "NAME": _bare,
    BARE: _bare,
}
