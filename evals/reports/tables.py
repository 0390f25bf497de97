"""Tables that a keyboard and a screen reader can use, and that fit a telephone.

A wide table scrolls in a region of its own, which can be focused. A stacked one falls
apart into blocks on a narrow screen; since that takes its meaning from the elements,
their roles are written out.
"""

from collections.abc import Iterable, Sequence

from evals.reports.tags import Html, escape, join, tag

Cells = Sequence[str]


def table(caption: str, head: Cells, rows: Iterable[Cells]) -> Html:
    """A table whose first column names the rows."""
    body = tag("tbody", *(_row(row) for row in rows))
    return scrolling(caption, join((_head(head), body)))


def scrolling(caption: str, content: str, **attributes: str) -> Html:
    """A table's content under its caption, in a region that scrolls."""
    title = tag("caption", tag("span", caption))
    inner = tag("table", title, content, **attributes)
    return tag(
        "div", inner, class_="scroll", role="region", aria_label=caption, tabindex=0
    )


def stacked(caption: str, head: Cells, rows: Iterable[Cells]) -> Html:
    """The same, in blocks where the screen is narrow."""
    titles = tag(
        "tr",
        *(tag("th", t, scope="col", role="columnheader") for t in head),
        role="row",
    )
    body = [_stacked_row(row, head) for row in rows]
    return tag(
        "table",
        tag("caption", caption),
        tag("thead", titles, role="rowgroup"),
        tag("tbody", *body, role="rowgroup"),
        class_="stacked",
        role="table",
    )


def verdict(word: str, sign: str) -> Html:
    """A verdict as a badge, in words too."""
    return tag(
        "span", tag("span", sign, aria_hidden="true"), " ", word, class_=f"badge {word}"
    )


def link(anchor: str, text: str) -> Html:
    """A link within the page."""
    return tag("a", text, href=f"#{anchor}")


def _head(head: Cells) -> Html:
    return tag("thead", tag("tr", *(tag("th", t, scope="col") for t in head)))


def _row(row: Cells) -> Html:
    return tag("tr", tag("th", row[0], scope="row"), *(tag("td", c) for c in row[1:]))


def _stacked_row(row: Cells, head: Cells) -> Html:
    first = tag("th", row[0], scope="row", role="rowheader")
    rest = [
        tag("td", tag("span", cell), role="cell", data_label=escape(title))
        for title, cell in zip(head[1:], row[1:], strict=True)
    ]
    return tag("tr", first, *rest, role="row")
