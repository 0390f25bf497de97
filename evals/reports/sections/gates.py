"""Gates: what was asked, what was seen, and the picture of both."""

from evals.gates import Finding
from evals.reports import plots, rows
from evals.reports.evidence import Evidence, Listing
from evals.reports.tables import link, stacked, verdict
from evals.reports.tags import Html, join, prose, tag
from evals.result import Judged, SuiteResult


def gates(result: SuiteResult, evidence: Evidence) -> Html:
    """For each judged generator a picture and a table."""
    if not result.judged:
        return tag("p", "Nothing was judged: there was no adapter among those asked.")
    key = tag(
        "p",
        "A bar reaches from the lower to the upper bound, the dot is what was seen, the"
        " upright mark is what is asked. The axis is stretched towards 100 %. To the"
        " right is better: of a gate that asks for little, what is left is drawn.",
        class_="key",
    )
    parts = [
        _generator(i, judged, result.confidence, evidence)
        for i, judged in enumerate(result.judged)
    ]
    return join((key, *parts))


def _generator(
    number: int, judged: Judged, confidence: float, evidence: Evidence
) -> Html:
    name = judged.generator
    caption = (
        f"Gates of {name}. Bounds are one-sided, at {confidence * 100:g} % each; n counts"
        f" documents; {rows.POWER}. A figure links to the samples that speak against it."
    )
    found = [
        _row(finding, place(number, i), evidence.gates[name, finding.name])
        for i, finding in enumerate(judged.findings)
    ]
    straight = plots.ratios(judged.findings, f"ratio-{number}")
    return tag(
        "section",
        tag(
            "h3",
            tag("code", name),
            " ",
            verdict(judged.verdict, plots.SIGN[judged.verdict]),
        ),
        tag("div", plots.shares(judged.findings, f"shares-{number}"), class_="plots"),
        tag("p", "Ratios to the baseline, between the two marks:", class_="key")
        if straight
        else "",
        tag("div", straight, class_="plots") if straight else "",
        stacked(
            caption, ("gate", "verdict", "asked", "seen", "n", "power", "says"), found
        ),
    )


def place(generator: int, gate: int) -> str:
    """The anchor of a gate's row; both are counted from nought."""
    return f"gate-{generator}-{gate}"


def _row(finding: Finding, anchor: str, listing: Listing) -> tuple[str, ...]:
    figure = rows.seen(finding)
    about = prose(f"{finding.gate.suite}. {finding.gate.why}")
    named = tag("span", finding.name, id=anchor)
    return (
        join((named, tag("span", about, class_="why"))),
        verdict(finding.verdict, plots.SIGN[finding.verdict]),
        finding.gate.asked,
        link(listing.anchor, figure) if listing.ids or listing.more else figure,
        str(finding.n),
        rows.chance(finding),
        finding.says or "–",  # noqa: RUF001 -- an empty cell
    )
