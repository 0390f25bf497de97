"""What one subschema costs by itself, for a value that it is applied to.

The units are ten nanoseconds of the validator's time: each keyword was measured with the
values that take it longest, and rounded up (docs/structured.md has how well that fits).
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, cast

from structured.load import heavy

MOST: Final = 2_500_000
"""Most units for one instance, 25 ms; more is as good as endless."""

COPIED: Final = 60
"""A value with its key, copied into an error."""

RAISED: Final = 60
"""A value of the error that is told, on top: it is made an object of Python's again."""

COPIED_NUMBER: Final = 5
"""More for a number there, as `structured.load` counts them."""

_EVALUATED: Final = 2
_KEYWORD: Final = 1
_NAME: Final = 2
"""A name to look up, as those of `required`."""

_PART: Final = 15
"""A value inside an object or array of `enum` or `const`."""


class Cost(NamedTuple):
    """Units for one value of an instance, at most."""

    each: int = 0
    numeric: int = 0
    """More for each number, small integers being one each (`structured.load`)."""

    nested: int = 0
    """More for each array that the value is in (`uniqueItems`)."""

    scans: int = 0
    """Regular expressions that one of its bytes may meet."""

    branched: int = 0
    """Of `each` and `numeric`, what is below `anyOf` or `oneOf`: there every error is
    collected, with copies of what it is about."""

    def plus(self, other: "Cost") -> "Cost":
        """Both."""
        return Cost(
            self.each + other.each,
            self.numeric + other.numeric,
            self.nested + other.nested,
            self.scans + other.scans,
            self.branched + other.branched,
        )

    def or_(self, other: "Cost") -> "Cost":
        """Whichever is more, in each respect."""
        return Cost(
            max(self.each, other.each),
            max(self.numeric, other.numeric),
            max(self.nested, other.nested),
            max(self.scans, other.scans),
            max(self.branched, other.branched),
        )

    def collected(self) -> "Cost":
        """The same below `anyOf` or `oneOf`."""
        return self._replace(branched=self.each + self.numeric)

    def times(self, number: int) -> "Cost":
        """So many times as much; no more than `MOST` of anything."""
        return Cost(*(min(MOST, each * number) for each in self))


def own(members: Mapping[str, object]) -> Cost:
    """What a subschema costs for each value, but for the subschemas in it."""
    total = Cost(_EVALUATED)
    for keyword, value in members.items():
        total = total.plus(_COSTS.get(keyword, _plain)(value))
    return total


def _plain(value: object) -> Cost:
    del value
    return Cost(_KEYWORD)


def _enum(value: object) -> Cost:
    total = Cost(_KEYWORD)
    for each in cast("list[object]", value) if isinstance(value, list) else []:
        total = total.plus(_const(each))
    return total


def _const(value: object) -> Cost:
    if isinstance(value, dict | list):
        whole = cast("dict[str, object] | list[object]", value)
        inner = map(_const, whole.values() if isinstance(whole, dict) else whole)
        # its numbers are compared within it, so that they count for every value
        return Cost(_PART + sum(_PART + each.each + each.numeric for each in inner))
    return _number(value, small=40, other=105)


def _bound(value: object) -> Cost:
    return _number(value, small=8, other=26)


def _multiple(value: object) -> Cost:
    return _number(value, small=20, other=130)


def _number(value: object, *, small: int, other: int) -> Cost:
    """A comparison with a number, by whether it is a small integer."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Cost(_KEYWORD)
    weight = heavy(value)
    return Cost(_KEYWORD, numeric=small if weight == 1 else other * weight)


def _required(value: object) -> Cost:
    return Cost(_KEYWORD + _NAME * _length(value))


def _dependent(value: object) -> Cost:
    named = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    return Cost(_KEYWORD + _NAME * sum(1 + _length(each) for each in named.values()))


def _patterns(value: object) -> Cost:
    return Cost(_KEYWORD, scans=_length(value))


def _length(value: object) -> int:
    # costs are asked for before the validator has said whether a schema is one
    return len(cast("list[object]", value)) if isinstance(value, list | dict) else 0


_COSTS: Final[Mapping[str, Callable[[object], Cost]]] = {
    "properties": lambda _: Cost(3),
    "required": _required,
    "dependentRequired": _dependent,
    "patternProperties": _patterns,
    "pattern": lambda _: Cost(4, scans=1),
    "uniqueItems": lambda _: Cost(10, nested=4),
    "enum": _enum,
    "const": _const,
    **dict.fromkeys(
        ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _bound
    ),
    "multipleOf": _multiple,
}
