"""The frame of a picture: an SVG that reads by its text alone, too."""

from collections.abc import Iterable
from html import escape


def framed(
    parts: Iterable[str], *, size: tuple[int, int], title: str, said: str, style: str
) -> str:
    """Put the parts of a picture together.

    Args:
        parts: elements, escaped.
        size: width and height.
        title: on top of it.
        said: what the picture shows, for whoever does not see it.
        style: its CSS.
    """
    width, height = size
    box = f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(said)}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {box}>',
            f"<style>{style}</style>",
            f'<text class="t" x="12" y="30">{escape(title)}</text>',
            *parts,
            "</svg>",
            "",
        ]
    )
