"""The funnel as a picture: how many examples each step let go on, and why not all."""

from collections.abc import Sequence
from html import escape
from typing import Final

from training.curate.funnel import Step
from training.frame import framed

WIDTH: Final = 860
LEFT: Final = 190
BAR: Final = 420
ROW: Final = 44
TOP: Final = 56
SAID: Final = 2
"""Reasons that are written out beside a bar."""
STYLE: Final = (
    ".on{fill:#2f6f9f}.off{fill:#d9a441}",
    ".on{fill:#58a6d6}",
)


def svg(steps: Sequence[Step], title: str) -> str:
    """Draw it; it reads on light and dark pages, and by its text alone."""
    most = max((step.came for step in steps), default=0) or 1
    rows = [_row(step, TOP + ROW * i, most) for i, step in enumerate(steps)]
    height = TOP + ROW * len(steps) + 12
    first, last = (steps[0].came, steps[-1].left) if steps else (0, 0)
    said = f"{title}: {first} examples came, {last} are left after the last step"
    return framed(rows, size=(WIDTH, height), title=title, said=said, style=STYLE)


def _row(step: Step, top: int, most: int) -> str:
    on, off = (BAR * n / most for n in (step.left, step.came - step.left))
    reasons = [f"{count} {why}" for why, count in list(step.reasons.items())[:SAID]]
    if more := len(step.reasons) - SAID:
        reasons += [f"{more} more reasons"] if more > 0 else []
    if step.changed:
        reasons.append(f"{step.changed} changed")
    told = f"{step.left} of {step.came}"
    return (
        f'<text x="{LEFT - 10}" y="{top + 15}" text-anchor="end">{escape(step.name)}</text>'
        f'<rect class="on" x="{LEFT}" y="{top}" width="{on:.1f}" height="20"/>'
        f'<rect class="off" x="{LEFT + on:.1f}" y="{top}" width="{off:.1f}" height="20"/>'
        f'<text x="{LEFT + on + off + 8:.1f}" y="{top + 15}">{told}</text>'
        f'<text class="n" x="{LEFT}" y="{top + 35}" font-size="11">'
        f"{escape(', '.join(reasons))}</text>"
    )
