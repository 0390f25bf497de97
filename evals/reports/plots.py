"""The gates of a generator as pictures: bounds as bars, the demand as a mark.

Shares are drawn on an axis that is stretched towards 100 %, x = -log10(1 - p): there
97, 99 and 99.9 % are as far apart as 70, 90 and 99 %. What should be small is drawn as
what is left, so to the right is better in each row. Ratios have a straight axis.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from evals.gates import Finding
from evals.reports.rows import seen
from evals.reports.tags import Html, join, tag

SIGN: Final = {"pass": "✓", "fail": "✗", "inconclusive": "?"}
TOP: Final = 8
FOOT: Final = 30
LEAST: Final = 0.0005
"""What is left of 100 % where the axis of shares ends: .05 %."""

SHARES: Final = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)
SHARES_FEW: Final = (0.0, 0.7, 0.9, 0.99, 0.999)
RATIOS: Final = (0.4, 1.2)
"""What the axis of ratios shows at least: it grows until every bound is on it."""

STEP: Final = 0.2
MOST_TICKS: Final = 6


class Frame(msgspec.Struct, frozen=True):
    """Where things are in a picture, in its own units."""

    name: str
    width: int
    left: int
    """Where bars begin; names stand before, or above where there is no room."""
    right: int
    row: int
    label: int
    """The baseline of a row's name, from the row's top."""
    bar: int
    """The middle of a row's bar, from the row's top."""


WIDE: Final = Frame("wide", 760, 150, 640, 30, 19, 15)
NARROW: Final = Frame("narrow", 340, 10, 330, 46, 14, 31)


class Axis(msgspec.Struct, frozen=True):
    """From a value to its place between nought and one, and what is written below."""

    place: Callable[[float], float]
    ticks: tuple[tuple[float, str], ...]


def shares(findings: Sequence[Finding], name: str) -> Html:
    """The gates on shares; `name` is unique on the page."""
    found = [finding for finding in findings if not finding.gate.ratio]
    marks = [(_share_axis(SHARES), WIDE), (_share_axis(SHARES_FEW), NARROW)]
    return join(_picture(found, axis, frame, name) for axis, frame in marks if found)


def ratios(findings: Sequence[Finding], name: str) -> Html:
    """The gates on ratios to the baseline."""
    found = [finding for finding in findings if finding.gate.ratio]
    values = ratio_ticks(found)
    low, high = values[0], values[-1]
    ticks = tuple((value, f"{value:g}") for value in values)
    axis = Axis(lambda x: (x - low) / (high - low), ticks)
    return join(_picture(found, axis, f, name) for f in (WIDE, NARROW) if found)


def ratio_ticks(findings: Iterable[Finding]) -> Sequence[float]:
    """Ticks at even distances, from below the least bound to above the largest."""
    drawn = [*RATIOS]
    for each in findings:
        bounds = (each.value, each.low, each.high, *(each.gate.ratio or ()))
        drawn += [bound for bound in bounds if bound is not None]
    low, high = math.floor(min(drawn) / STEP), math.ceil(max(drawn) / STEP)
    apart = math.ceil((high - low) / MOST_TICKS)
    count = math.ceil((high - low) / apart) + 1
    return [round((low + i * apart) * STEP, 1) for i in range(count)]


def _share_axis(values: Sequence[float]) -> Axis:
    whole = -math.log10(LEAST)
    ticks = tuple((value, f"{value * 100:g} %") for value in values)
    return Axis(lambda p: -math.log10(max(1 - p, LEAST)) / whole, ticks)


def _picture(findings: Sequence[Finding], axis: Axis, frame: Frame, name: str) -> Html:
    ident = f"{name}-{frame.name}"
    bottom = TOP + len(findings) * frame.row
    said = "; ".join(
        f"{f.name}: asked {f.gate.asked}, seen {seen(f)}, {f.verdict}" for f in findings
    )
    return tag(
        "svg",
        tag("title", "Gates with bounds", id=f"{ident}-t"),
        tag("desc", said, id=f"{ident}-d"),
        _ticks(axis, frame, bottom),
        *(
            _row(finding, axis, frame, TOP + i * frame.row)
            for i, finding in enumerate(findings)
        ),
        class_=f"plot {frame.name}",
        viewBox=f"0 0 {frame.width} {bottom + FOOT}",
        role="img",
        aria_labelledby=f"{ident}-t {ident}-d",
    )


def _ticks(axis: Axis, frame: Frame, bottom: int) -> Html:
    marks: list[Html] = []
    for value, text in axis.ticks:
        x = _x(axis, frame, value)
        marks.append(tag("line", x1=x, x2=x, y1=TOP, y2=bottom, class_="tick"))
        anchor = "start" if x < frame.left + 1 else "middle"
        place = {"x": x, "y": bottom + 18, "text_anchor": anchor}
        marks.append(tag("text", text, class_="axis", **place))
    return join(marks)


def _row(finding: Finding, axis: Axis, frame: Frame, top: int) -> Html:
    middle, text = top + frame.bar, top + frame.label
    name = f"{finding.name} (what is left)" if _flipped(finding) else finding.name
    short = finding.name if frame is WIDE else name
    word = f"{SIGN[finding.verdict]} {finding.verdict}"
    end = {"x": frame.width - 4, "y": text, "text_anchor": "end"}
    return join(
        (
            _bounds(finding, axis, frame, middle),
            tag("text", short, x=4, y=text, class_="label"),
            tag("text", word, class_=f"word {finding.verdict}", **end),
        )
    )


def _bounds(finding: Finding, axis: Axis, frame: Frame, middle: int) -> Html:
    """Demand, bar and point; nothing but the demand where nothing was seen."""
    demanded = [_x(axis, frame, each) for each in _demand(finding)]
    marks = [
        tag("line", x1=x, x2=x, y1=middle - 11, y2=middle + 11, class_="demand")
        for x in demanded
    ]
    if finding.value is None:
        return join(marks)
    ends = [_oriented(finding, end) for end in (finding.low, finding.high)]
    if _flipped(finding):
        ends.reverse()
    first = frame.left if ends[0] is None else _x(axis, frame, ends[0])
    last = frame.right if ends[1] is None else _x(axis, frame, ends[1])
    bar = {"x": first, "y": middle - 5, "width": max(2, round(last - first, 1))}
    marks.append(tag("rect", height=10, rx=2, class_=f"bar {finding.verdict}", **bar))
    point = _x(axis, frame, _oriented(finding, finding.value) or 0.0)
    marks.append(tag("circle", cx=point, cy=middle, r=4, class_="point"))
    return join(marks)


def _flipped(finding: Finding) -> bool:
    return finding.gate.at_most is not None


def _oriented(finding: Finding, value: float | None) -> float | None:
    """A share so that more is better."""
    return 1 - value if value is not None and _flipped(finding) else value


def _demand(finding: Finding) -> Sequence[float]:
    gate = finding.gate
    if gate.ratio:
        return gate.ratio
    if gate.at_most is not None:
        return (1 - gate.at_most,)
    return (gate.at_least or 0.0,)


def _x(axis: Axis, frame: Frame, value: float) -> float:
    place = min(1.0, max(0.0, axis.place(value)))
    return round(frame.left + place * (frame.right - frame.left), 1)
