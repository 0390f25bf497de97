"""The drift heat map: where success holds, and where it does not."""

import bisect
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

import msgspec

from evals.figures import FEW
from evals.reports import rows
from evals.reports.evidence import FIELDS, Evidence, groups
from evals.reports.tables import link, scrolling
from evals.reports.tags import Html, join, tag
from evals.result import SuiteResult
from evals.samples import Sample

CUTS: Final = (0.5, 0.8, 0.9, 0.95)
"""Where one shade ends and the next begins; closer where the demands of gates are."""


class Cell(msgspec.Struct, frozen=True):
    """The share of success, documents weighing alike."""

    share: float
    n: int
    """Documents."""


def drift(result: SuiteResult, evidence: Evidence) -> Html:
    """A table of cells, rows by task, locale and variant, columns by generator."""
    shown = rows.columns(result)
    if not any(rows.SUCCESS in column.arm.scores for column in shown):
        return tag("p", "This run has no measure of success, so no drift of it.")
    caption = (
        "Success by task, locale and variant: the share of documents, each weighing"
        f" alike, and n. Hatched cells have fewer than {FEW} documents and prove little."
    )
    head = tag(
        "thead",
        tag(
            "tr",
            tag("th", "samples", scope="col"),
            *(tag("th", column.label, scope="col") for column in shown),
        ),
    )
    bodies = [_body(field, result, evidence) for field in FIELDS]
    return join((_key(), scrolling(caption, join((head, *bodies)), class_="heat")))


def measure(samples: Iterable[Sample], scores: dict[str, float]) -> Cell | None:
    """The cell of these samples; None when none of them counts."""
    units: defaultdict[str, list[float]] = defaultdict(list)
    for sample in samples:
        if sample.id in scores:
            units[sample.unit].append(scores[sample.id])
    if not units:
        return None
    shares = [sum(found) / len(found) for found in units.values()]
    return Cell(sum(shares) / len(shares), len(shares))


def _body(field: str, result: SuiteResult, evidence: Evidence) -> Html:
    found = groups(result.samples, field)
    if not found:
        return Html()
    width = len(rows.columns(result)) + 1
    title = tag("tr", tag("th", field, scope="rowgroup", colspan=width, class_="group"))
    lines = [
        _line(field, value, group, result, evidence) for value, group in found.items()
    ]
    return tag("tbody", title, *lines)


def _line(
    field: str,
    value: str,
    group: tuple[Sample, ...],
    result: SuiteResult,
    evidence: Evidence,
) -> Html:
    cells: list[Html] = []
    for column in rows.columns(result):
        cell = measure(group, column.arm.scores.get(rows.SUCCESS, {}))
        if cell is None:
            cells.append(tag("td", "–"))  # noqa: RUF001 -- an empty cell
            continue
        listing = evidence.cells[field, value, column.label]
        figure = f"{cell.share * 100:.0f} %"
        named = bool(listing.ids or listing.more)
        few = cell.n < FEW
        cells.append(
            tag(
                "td",
                link(listing.anchor, figure) if named else figure,
                tag("span", f" n {cell.n}", class_="n"),
                tag("span", " few", class_="sr") if few else "",
                class_=f"h{_step(round(cell.share, 2))}{' few' if few else ''}",
            )
        )
    return tag("tr", tag("th", value, scope="row"), *cells)


def _step(share: float) -> int:
    return bisect.bisect_right(CUTS, share)


def _key() -> Html:
    middle = [f"{a * 100:g} to {b * 100:g} %" for a, b in pairwise(CUTS)]
    names = (f"under {CUTS[0] * 100:g} %", *middle, f"{CUTS[-1] * 100:g} % and more")
    shades = [tag("li", name, class_=f"h{i}") for i, name in enumerate(names)]
    few = tag("li", f"n < {FEW}", class_="few h2")
    return tag("ul", *shades, few, class_="shades", aria_label="What the shades mean")
