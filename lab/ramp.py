"""A rollout as a picture: the candidate's share over time, and what moved it."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

import msgspec

from routing.bucketing import BUCKETS
from routing.rollout import Rollout
from training.frame import framed

WIDTH: Final = 860
HEIGHT: Final = 220
LEFT: Final = 56
RIGHT: Final = 24
TOP: Final = 76
STYLE: Final = (
    (
        "path{fill:none}.g{stroke:#d0d7de}.w{stroke:#2f6f9f;stroke-width:3}"
        ".e{stroke:#c2571a;stroke-dasharray:4 3}"
    ),
    ".g{stroke:#30363d}.w{stroke:#6cb2e4}.e{stroke:#e8874c}",
)


class Moment(msgspec.Struct, frozen=True):
    """What happened, and the share from then on."""

    after: float
    """Seconds since the rollout began."""
    event: str
    weight: int
    """Basis points of the candidate."""


def moments(records: Sequence[Mapping[str, Any]], begun: float) -> tuple[Moment, ...]:
    """Those looks of a rollout at which something happened.

    Args:
        records: as the gateway gives them, the oldest first.
        begun: seconds since 1970.
    """
    return tuple(
        Moment(
            each["sight"]["now"] - begun,
            each["event"],
            msgspec.convert(each["after"], Rollout).weight,
        )
        for each in records
        if each["event"]
    )


def svg(seen: Sequence[Moment], seconds: float, title: str) -> str:
    """Draw the share as steps, with a line for each event.

    Args:
        seen: what happened, the oldest first.
        seconds: how long all of it took.
        title: of the picture.
    """
    wide, last = WIDTH - LEFT - RIGHT, max(seconds, 1.0)

    def x(after: float) -> float:
        return LEFT + wide * min(after, last) / last

    def y(share: float) -> float:
        return TOP + HEIGHT * (1 - share / BUCKETS)

    parts = [_line(y(share), share) for share in (0, 2_500, 5_000, 7_500, BUCKETS)]
    path = f"M{LEFT} {y(0):.1f}"
    for number, each in enumerate(seen):
        path += f"H{x(each.after):.1f}V{y(each.weight):.1f}"
        parts.append(_event(each, x(each.after), 12 + 15 * (number % 2)))
    parts.append(f'<path class="w" d="{path}H{LEFT + wide}"/>')
    base = TOP + HEIGHT + 20
    parts.append(f'<text class="n" x="{LEFT}" y="{base}" font-size="11">0 s</text>')
    parts.append(
        f'<text class="n" x="{LEFT + wide}" y="{base}" text-anchor="end"'
        f' font-size="11">{seconds:.0f} s</text>'
    )
    said = "; ".join(
        f"{each.event} after {each.after:.0f} s, then {each.weight / 100:g} %"
        for each in seen
    )
    size = (WIDTH, TOP + HEIGHT + 36)
    return framed(parts, size=size, title=title, said=said or "nothing", style=STYLE)


def _line(y: float, share: int) -> str:
    return (
        f'<path class="g" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        f'<text class="n" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end"'
        f' font-size="11">{share / 100:g} %</text>'
    )


def _event(moment: Moment, x: float, raised: int) -> str:
    anchor = "end" if x > WIDTH - 120 else "start"
    return (
        f'<path class="e" d="M{x:.1f} {TOP - raised + 4}V{TOP + HEIGHT}"/>'
        f'<text x="{x + (-4 if anchor == "end" else 4):.1f}" y="{TOP - raised + 10}"'
        f' text-anchor="{anchor}" font-size="12">'
        f"{escape(moment.event)}, {moment.after:.0f} s</text>"
    )
