"""What an instance weighs for a validator: its values, its numbers, its text.

Numbers are compared exactly, which takes a hundred times as long for `1e-300` or an
integer of three hundred digits as for 17. So they are counted by what they take.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple, cast

DEEPEST: Final = 200
"""Deepest instance there is: the parser's limit."""

_FLOAT: Final = 3
_FAR: Final = 32
"""A float that is very large or very small, and not zero."""

_LARGE: Final = 1e22
_SMALL: Final = 1e-15
_WORD: Final = 1 << 63
_DIGITS: Final = 4
"""Digits of an integer beyond 63 bits that count as one more."""


class Load(NamedTuple):
    """An instance's weight."""

    values: int
    """All of them, the root included."""

    numbers: int
    """Its numbers: a small integer counts as one, any other as several."""

    digits: int
    """Those of its integers beyond 63 bits: comparing them all is quadratic."""

    depth: int
    """Containers around its deepest value."""

    text: int
    """Bytes of its strings and keys."""

    @staticmethod
    def most(size: int) -> "Load":
        """At least what a JSON text of `size` bytes weighs, whatever it is."""
        # the lightest value is `1,`; the heaviest number for its length `1e22,`
        return Load(size // 2 + 1, 7 * size, size, min(DEEPEST, size), size)


def load(value: object) -> Load:
    """Weigh a parsed value."""
    values = numbers = digits = text = 0
    depth = -1
    level: list[object] = [value]
    while level:
        depth += 1
        below: list[object] = []
        values += len(level)
        for each in level:
            if isinstance(each, str):
                text += _bytes(each)
            elif isinstance(each, dict):
                members = cast("dict[str, object]", each)
                text += sum(map(_bytes, members))
                below.extend(members.values())
            elif isinstance(each, list):
                below.extend(cast("Iterable[object]", each))
            elif isinstance(each, int | float) and not isinstance(each, bool):
                numbers += heavy(each)
                digits += _digits(each) if isinstance(each, int) else 0
        level = below
    return Load(values, numbers, digits, depth, text)


def heavy(number: float) -> int:
    """As how many small integers a number counts."""
    if isinstance(number, int):
        digits = _digits(number)
        return _FLOAT + digits // _DIGITS if digits else 1
    far = number and not _SMALL < abs(number) < _LARGE
    return _FAR if far else _FLOAT


def _digits(number: int) -> int:
    """The digits of an integer beyond 63 bits; of any other, 0."""
    return 0 if -_WORD <= number < _WORD else number.bit_length() * 3 // 10 + 1


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
