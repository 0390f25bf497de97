"""Worst samples: for each gate, those that failed it, with all that one wants to see."""

from collections.abc import Iterable
from typing import Final

from evals.answers import Answer
from evals.gates import Finding
from evals.reports.evidence import Evidence
from evals.reports.rows import many
from evals.reports.sections import texts
from evals.reports.tables import link, stacked
from evals.reports.tags import Html, join, tag
from evals.result import Judged, SuiteResult, arm

WORST: Final = 8
"""Samples that are shown for a gate; its list names more."""


def worst(result: SuiteResult, evidence: Evidence) -> Html:
    """For each judged generator and gate a table, most gates failed first."""
    parts = [
        part
        for judged in result.judged
        for part in _generator(judged, result, evidence)
    ]
    return join(parts) or tag("p", "No sample has failed a gate.")


def _generator(
    judged: Judged, result: SuiteResult, evidence: Evidence
) -> Iterable[Html]:
    found = [finding for finding in judged.findings if finding.failed]
    if found:
        yield tag("h3", tag("code", judged.generator))
    for finding in found:
        yield _gate(finding, judged, result, evidence)


def _gate(
    finding: Finding, judged: Judged, result: SuiteResult, evidence: Evidence
) -> Html:
    listing = evidence.gates[judged.generator, finding.name]
    samples = {sample.id: sample for sample in result.samples}
    ids = sorted(listing.ids, key=lambda name: -_failures(name, judged))[:WORST]
    answers = _answers(result, judged.generator)
    rows = [
        (
            link(evidence.entries[name], texts.name(name)),
            texts.spoken(samples[name], samples[name].input.user, texts.PASSAGE),
            texts.expected(samples[name]),
            texts.given(samples[name], answers.get(name)),
            texts.verdict(answers.get(name)),
        )
        for name in ids
    ]
    count = len(finding.failed)
    of = "What" if len(ids) == count else f"{len(ids)} of the {count} samples that"
    caption = f"{of} {'speaks' if of == 'What' else 'speak'} against {finding.name}."
    head = ("sample", "asked", "expected", "answered", "verdict of the output")
    opened = "open" if finding.verdict == "fail" else None
    return tag(
        "details",
        tag("summary", f"{finding.name} ({finding.verdict}): {many(count, 'sample')}"),
        stacked(caption, head, rows),
        tag("p", link(listing.anchor, f"The list of {finding.name}")),
        open=opened,
    )


def _failures(name: str, judged: Judged) -> int:
    return sum(name in finding.failed for finding in judged.findings)


def _answers(result: SuiteResult, generator: str) -> dict[str, Answer]:
    found = arm(result, generator)
    return found.answers if found else {}
