"""The frame of a picture: an SVG that reads by its text alone, too."""

from collections.abc import Iterable
from html import escape
from typing import Final

BASE: Final = (
    "svg{font:13px system-ui,sans-serif;background:#fff;color:#1f2328}"
    "text{fill:currentColor}.t{font-size:17px;font-weight:600}.n{fill:#57606a}"
)
DARK: Final = "svg{background:#0d1117;color:#e6edf3}.n{fill:#9da7b1}"


def framed(
    parts: Iterable[str],
    *,
    size: tuple[int, int],
    title: str,
    said: str,
    style: tuple[str, str],
) -> str:
    """Put the parts of a picture together.

    Args:
        parts: elements, escaped.
        size: width and height.
        title: on top of it.
        said: what the picture shows, for whoever does not see it.
        style: its CSS beside that of every picture: on a light page, what differs on
            a dark one.
    """
    width, height = size
    light, dark = style
    css = f"{BASE}{light}@media(prefers-color-scheme:dark){{{DARK}{dark}}}"
    box = f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(said)}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {box}>',
            f"<style>{css}</style>",
            f'<text class="t" x="12" y="30">{escape(title)}</text>',
            *parts,
            "</svg>",
            "",
        ]
    )
