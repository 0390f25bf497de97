"""The beginning of the page: the verdicts in words, and how they were come by."""

from typing import Final

from evals.figures import TEXT_MARK
from evals.reports import rows
from evals.reports.plots import SIGN
from evals.reports.sections.gates import place
from evals.reports.tables import link, table, verdict
from evals.reports.tags import Html, join, tag
from evals.result import Judged, SuiteResult

SECTIONS: Final = (
    ("made", "How it was made"),
    ("gates", "Gates"),
    ("measures", "Measures"),
    ("drift", "Where success drifts"),
    ("diffs", "Differences between generators"),
    ("worst", "Worst samples"),
    ("limits", "Notes and limits"),
    ("lists", "What speaks against each number"),
    ("samples", "Samples"),
)
"""Anchors and titles of the page's sections, in their order."""


def top(result: SuiteResult) -> Html:
    """The title, a card for each verdict, and the way to the sections."""
    cards = [_card(i, judged) for i, judged in enumerate(result.judged)]
    return tag(
        "header",
        tag("p", "Wastegate evals: may this tune ship?", class_="eyebrow"),
        tag("h1", f"Verdict: {rows.headline(result)}"),
        tag("div", *cards, class_="cards") if cards else "",
        tag(
            "nav",
            tag("ul", *(tag("li", link(*section)) for section in SECTIONS)),
            aria_label="Sections",
        ),
    )


def made(result: SuiteResult) -> Html:
    """Command, machine and digests; who answered, and how long it took."""
    pairs = [
        join((tag("dt", name), tag("dd", _code(name, text))))
        for name, text in rows.made(result)
    ]
    arms = [
        (
            column.label,
            tag("code", column.arm.subject.model),
            tag("code", column.arm.subject.digest[:TEXT_MARK] or "its ref names it"),
            column.arm.mode,
            str(len(column.arm.answers)),
            column.arm.took,
        )
        for column in rows.columns(result)
    ]
    head = ("generator", "model", "digest", "decoding", "answers", "asked for")
    return join(
        (
            tag("dl", *pairs, class_="made"),
            table("Who answered. Answers from the journal take no time.", head, arms),
        )
    )


def _code(name: str, text: str) -> str:
    plain = name in ("Date", "Engine", "Machine", "Asked", "Confidence")
    return text if plain else tag("code", text)


def _card(number: int, judged: Judged) -> Html:
    names = [
        link(place(number, i), f"{finding.name} ({finding.verdict})")
        for i, finding in enumerate(judged.findings)
        if finding.verdict != "pass"
    ]
    return tag(
        "section",
        tag("h2", tag("code", judged.generator), " ", _badge(judged)),
        tag("p", rows.tally(judged), "."),
        tag("p", "Not passed: ", join(names, ", "), ".") if names else "",
        class_=f"card {judged.verdict}",
    )


def _badge(judged: Judged) -> Html:
    return verdict(judged.verdict, SIGN[judged.verdict])
