"""A run's curves as a picture: loss on one panel, what it can on the other."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

import msgspec

from training.frame import framed

WIDTH: Final = 860
HEIGHT: Final = 210
LEFT: Final = 56
RIGHT: Final = 150
GAP: Final = 64
MEAN: Final = 10
"""Batches whose mean is one point of the training loss."""
STYLE: Final = (
    (
        "path{fill:none;stroke-width:2}.g{stroke:#d0d7de;stroke-width:1}"
        ".c0{stroke:#2f6f9f}.c1{stroke:#c2571a}.c2{stroke:#3c7d3c}"
        ".k0{fill:#2f6f9f}.k1{fill:#c2571a}.k2{fill:#3c7d3c}"
    ),
    ".g{stroke:#30363d}",
)
Points = tuple[tuple[float, float], ...]


class Panel(msgspec.Struct, frozen=True):
    """One pair of axes: what is drawn, by the log's name, and up to where."""

    title: str
    lines: Mapping[str, str]
    """Log's name to the legend's."""
    top: float | None = None
    """Of the axis; None takes the largest value."""


PANELS: Final = (
    Panel("loss (nats a token)", {"loss": "training", "eval_loss": "validation"}),
    Panel(
        "right, of the answers looked at",
        {
            "eval_adherence": "adherence",
            "eval_status": "status",
            "eval_citations": "citations",
        },
        top=1.0,
    ),
)


def svg(log: Sequence[Mapping[str, float]], title: str) -> str:
    """Draw the panels that the log has points for.

    Args:
        log: entries with `step` and whatever was measured then.
        title: the adapter's ref.
    """
    drawn = [(panel, found) for panel in PANELS if (found := _points(panel, log))]
    parts = [
        _panel(panel, found, 70 + index * (HEIGHT + GAP))
        for index, (panel, found) in enumerate(drawn)
    ]
    height = 60 + max(1, len(drawn)) * (HEIGHT + GAP)
    said = "; ".join(
        f"{panel.lines[name]} {points[-1][1]:.3g} at step {points[-1][0]:g}"
        for panel, found in drawn
        for name, points in found.items()
    )
    nothing = ['<text class="n" x="12" y="70">nothing was logged</text>']
    return framed(
        parts or nothing, size=(WIDTH, height), title=title, said=said, style=STYLE
    )


def _points(panel: Panel, log: Sequence[Mapping[str, float]]) -> dict[str, Points]:
    found: dict[str, Points] = {}
    for name in panel.lines:
        points = [(e["step"], e[name]) for e in log if name in e and "step" in e]
        if points:
            found[name] = _smooth(points) if name == "loss" else tuple(points)
    return found


def _smooth(points: Sequence[tuple[float, float]]) -> Points:
    """Means of the last few batches: single ones jump."""
    return tuple(
        (x, sum(y for _, y in points[max(0, i - MEAN + 1) : i + 1]) / min(i + 1, MEAN))
        for i, (x, _) in enumerate(points)
    )


def _panel(panel: Panel, found: Mapping[str, Points], top: int) -> str:
    width = WIDTH - LEFT - RIGHT
    last = max(points[-1][0] for points in found.values()) or 1
    high = panel.top or max(y for points in found.values() for _, y in points) or 1
    parts = [f'<text x="12" y="{top - 14}">{escape(panel.title)}</text>']
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = top + HEIGHT * (1 - share)
        parts.append(f'<path class="g" d="M{LEFT} {y:.1f}h{width}"/>')
        parts.append(
            f'<text class="n" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end"'
            f' font-size="11">{high * share:.2g}</text>'
        )
    for index, (name, points) in enumerate(found.items()):
        path = " ".join(
            f"{LEFT + width * x / last:.1f},{top + HEIGHT * (1 - y / high):.1f}"
            for x, y in points
        )
        parts.append(f'<path class="c{index}" d="M{path}"/>')
        parts.append(
            f'<text x="{WIDTH - RIGHT + 12}"'
            f' y="{top + 14 + 20 * index}"><tspan class="k{index}">&#9632; </tspan>'
            f"{escape(panel.lines[name])} {points[-1][1]:.3g}</text>"
        )
    parts.append(
        f'<text class="n" x="{LEFT}" y="{top + HEIGHT + 18}" font-size="11">step 0</text>'
        f'<text class="n" x="{LEFT + width}" y="{top + HEIGHT + 18}" text-anchor="end"'
        f' font-size="11">{last:g}</text>'
    )
    return "\n".join(parts)
