"""Markup that is escaped by construction: a child that is no `Html` is a text.

What models, samples and people wrote may hold anything, so there is one way into a
page, and it escapes. Characters that hide or reorder what one reads (bidirectional
controls, zero-width and control characters) are shown by their code.
"""

import html
import unicodedata
from collections.abc import Iterable
from typing import Final

from evals.figures import one_line

KEPT: Final = frozenset("\n\t\u200c\u200d")
"""Line ends; and the joiners, without which Persian, Hindi and emoji are misspelt."""

HIDDEN: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))
"""Categories of characters that show nothing by themselves."""

VOID: Final = frozenset(("meta", "br", "col", "img"))


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def visible(text: str) -> str:
    """The text with characters that hide written as `⟨U+202E⟩`; fit for XML, too."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def line(text: str) -> str:
    """A text as one line of Markdown that shows what it holds and marks nothing up."""
    return one_line(visible(text)).replace("<", "&lt;")


def escape(text: str) -> Html:
    """A text as markup, in an element or an attribute; `Html` goes through."""
    if isinstance(text, Html):
        return text
    return Html(html.escape(visible(text)))


def tag(name: str, /, *children: str, **attributes: str | float | None) -> Html:
    """An element; children that are no `Html` are escaped, as attributes are.

    `class_` stands for `class`, `font_size` for `font-size`; None leaves it out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def join(parts: Iterable[str], between: str = "") -> Html:
    """Parts as one markup, each escaped unless it is `Html`."""
    return Html(escape(between).join(escape(part) for part in parts))


def prose(text: str) -> Html:
    """A text of ours, in which `…` stands for code."""
    parts = text.split("`")
    return join(tag("code", p) if i % 2 else p for i, p in enumerate(parts))


def clip(text: str, limit: int) -> str:
    """The text, or its beginning and how much was left out."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… (and {len(text) - limit} characters)"


def _shown(character: str) -> str:
    if character in KEPT or unicodedata.category(character) not in HIDDEN:
        return character
    return f"⟨U+{ord(character):04X}⟩"
