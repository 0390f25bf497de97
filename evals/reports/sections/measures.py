"""Measures: every generator beside the others, with bounds."""

from evals import figures
from evals.reports import rows
from evals.reports.evidence import Evidence
from evals.reports.tables import link, table
from evals.reports.tags import Html, join, prose, tag
from evals.result import SuiteResult

CAPTION = (
    "Measures over all samples that count. [low, high] are bounds, * means n < 30. A figure"
    " links to the samples that speak against it; of tokens and times, to the largest."
)


def measures(result: SuiteResult, evidence: Evidence) -> Html:
    """The table, and what each row means."""
    shown = rows.columns(result)
    head = ("measure", *(column.label for column in shown), "n")
    body = [_row(row, result, evidence) for row in rows.rows(result)]
    meanings = [
        join((tag("dt", row.title.lstrip("· ")), tag("dd", prose(row.says))))
        for row in rows.rows(result)
        if row.says
    ]
    return join(
        (
            table(CAPTION, head, body),
            tag(
                "details",
                tag("summary", "What each row means, and what it does not say"),
                tag("dl", *meanings),
            ),
        )
    )


def _row(row: rows.Row, result: SuiteResult, evidence: Evidence) -> tuple[str, ...]:
    cells: list[str] = []
    for column, interval in zip(rows.columns(result), row.found, strict=True):
        listing = evidence.measures[column.label, row.name]
        text = figures.cell(interval, row.unit)
        named = bool(listing.ids or listing.more)
        cells.append(link(listing.anchor, text) if named else text)
    return (row.title, *cells, figures.counts(row.found))
