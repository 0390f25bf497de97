"""How figures are written in reports: numbers with bounds, and grids of them."""

import math
from collections.abc import Iterable, Sequence
from typing import Final

from evals.statistics import Interval

NOTHING: Final = "-"
TEXT_MARK: Final = 12
"""Hex digits of a digest that are shown; the JSON has all."""

HUNDRED: Final = 100
"""From here on a tenth more or less says nothing."""

CUT: Final = 160
"""Characters of a reason that are shown."""

FEW: Final = 30
"""A rate over fewer samples is marked: its bounds are wide, and few kinds are seen."""


def grid(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """A Markdown table whose columns line up in a terminal; the first row is its head."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]

    def line(cells: Sequence[str]) -> str:
        padded = (c.ljust(w) for c, w in zip(cells, widths, strict=True))
        return f"| {' | '.join(padded)} |"

    yield line(rows[0])
    yield f"|{'|'.join('-' * (width + 2) for width in widths)}|"
    for row in rows[1:]:
        yield line(row)


def cell(interval: Interval | None, unit: str) -> str:
    """A measure in its unit (`%`, `ms`, or one that goes without saying)."""
    if interval is None:
        return NOTHING
    scale = 100 if unit == "%" else 1
    shown = f" {unit}" if unit in ("%", "ms") else ""
    few = "*" if interval.n < FEW else ""
    point = f"{number(interval.point * scale)}{shown}{few}"
    if interval.low is None and interval.high is None:
        return point
    low, high = (
        NOTHING if bound is None else number(bound * scale)
        for bound in (interval.low, interval.high)
    )
    return f"{point} [{low}, {high}]"


def number(value: float) -> str:
    """A number with one decimal place where that says something."""
    return f"{value:.0f}" if value > HUNDRED or value.is_integer() else f"{value:.1f}"


def counts(found: Sequence[Interval | None]) -> str:
    """The n of a row: one number, or one a column where they differ."""
    each = [interval.n if interval else 0 for interval in found]
    return str(each[0]) if len(set(each)) == 1 else "/".join(str(n) for n in each)


def fine(value: float, low: float | None, high: float | None, unit: str) -> str:
    """A value in its unit with two decimal places, and bounds rounded outward.

    A lower bound of 98.996 % written as 99 % would stand beside a demand of 99 % that
    it does not meet. With `%`, the figures are shares of one.
    """
    scale, shown = (100, " %") if unit == "%" else (1, f" {unit}" if unit else "")
    point = f"{_trimmed(round(value * scale, 2))}{shown}"
    if low is None and high is None:
        return point
    # A billionth is what a double loses on the way from .99 to 99.
    below = None if low is None else math.floor(low * scale * 100 + 1e-9) / 100
    above = None if high is None else math.ceil(high * scale * 100 - 1e-9) / 100
    ends = (NOTHING if end is None else _trimmed(end) for end in (below, above))
    return f"{point} [{', '.join(ends)}]"


def one_line(text: str) -> str:
    """A text on one line without Markdown's own signs."""
    return " ".join(text.split()).replace("|", "/").replace("`", "'")


def plain(text: str) -> str:
    """The same, not longer than `CUT`."""
    line = one_line(text)
    return line if len(line) <= CUT else f"{line[: CUT - 1]}…"


def _trimmed(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
