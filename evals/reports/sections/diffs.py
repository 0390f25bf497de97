"""Differences between generators: the same question, two answers, one of them right."""

from evals.answers import Answer
from evals.reports.evidence import PAIR, Difference, Evidence
from evals.reports.rows import SUCCESS
from evals.reports.sections import texts
from evals.reports.tables import link, stacked
from evals.reports.tags import Html, join, tag
from evals.result import SuiteResult
from evals.samples import Sample


def diffs(result: SuiteResult, evidence: Evidence) -> Html:
    """A table for each pair of generators."""
    if not evidence.pairs:
        return tag("p", "One generator was asked, so there is nothing to compare.")
    samples = {sample.id: sample for sample in result.samples}
    return join(_pair(pair, samples, evidence) for pair in evidence.pairs)


def _pair(pair: Difference, samples: dict[str, Sample], evidence: Evidence) -> Html:
    left, right = pair.left.label, pair.right.label
    title = tag("h3", f"{left} and {right}")
    both = pair.lost + pair.won
    if not both:
        return join((title, tag("p", "They succeed and fail on the same samples.")))
    told = (
        f"{right} fails on {pair.lost} samples that {left} does well, and does"
        f" {pair.won} well that {left} fails on."
    )
    shown = f" The first {PAIR}, the lost ones first." if both > PAIR else ""
    caption = f"{left} beside {right}; words that the other has not are marked."
    rows = [_row(pair, samples[name], evidence) for name in pair.ids]
    head = ("sample", "success", left, right)
    return join((title, tag("p", told + shown), stacked(caption, head, rows)))


def _row(pair: Difference, sample: Sample, evidence: Evidence) -> tuple[str, ...]:
    a, b = (side.arm.answers.get(sample.id) for side in (pair.left, pair.right))
    left, right = texts.differing(_whole(a), _whole(b))
    scores = pair.left.arm.scores[SUCCESS], pair.right.arm.scores[SUCCESS]
    better = pair.left if scores[0][sample.id] > scores[1][sample.id] else pair.right
    question = texts.spoken(sample, sample.input.user, texts.PASSAGE)
    return (
        join(
            (
                link(evidence.entries[sample.id], texts.name(sample.id)),
                tag("br"),
                question,
            )
        ),
        better.label,
        tag("span", left, dir="auto", class_="text"),
        tag("span", right, dir="auto", class_="text"),
    )


def _whole(answer: Answer | None) -> str:
    """All of an answer that is compared, as one text."""
    if answer is None or answer.text is None:
        lost = "" if answer is None else f" ({answer.verdict})"
        return f"nothing was delivered{lost}"
    cited = ", ".join(answer.citations) or "nothing"
    return f"{answer.status}, cites {cited}: {answer.text}"
