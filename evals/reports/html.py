"""The page: one file that needs no script, no network and no other file.

Its policy allows a style sheet with this digest and nothing else, so that even markup
that slipped through could neither run nor load anything.
"""

import base64
import hashlib
from importlib.resources import files

from evals.reports import rows
from evals.reports.evidence import gather
from evals.reports.sections import behind, diffs, drift, gates, measures, top, worst
from evals.reports.tags import Html, tag
from evals.result import SuiteResult


def page(result: SuiteResult) -> str:
    """A run of the suite as HTML."""
    evidence = gather(result)
    parts = {
        "made": top.made(result),
        "gates": gates.gates(result, evidence),
        "measures": measures.measures(result, evidence),
        "drift": drift.drift(result, evidence),
        "diffs": diffs.diffs(result, evidence),
        "worst": worst.worst(result, evidence),
        "limits": _limits(result),
        "lists": behind.lists(evidence),
        "samples": behind.samples(result, evidence),
    }
    sections = [
        tag("section", tag("h2", title, id=anchor), parts[anchor])
        for anchor, title in top.SECTIONS
    ]
    body = tag(
        "body",
        tag("a", "To the gates", href="#gates", class_="skip"),
        tag("div", top.top(result), tag("main", *sections), class_="page"),
    )
    root = tag("html", _head(result), body, lang="en")
    return f"<!doctype html>\n{root}\n"


def _head(result: SuiteResult) -> Html:
    style = (files("evals.reports") / "style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'"
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"Evals: {rows.headline(result)}"),
        tag("style", Html(style)),
    )


def _limits(result: SuiteResult) -> Html:
    return tag("ul", *(tag("li", text) for text in (*result.notes, *rows.LIMITS)))
