"""Differences between generators: the same question, two answers, one of them right."""

from evals.answers import Answer
from evals.reports.evidence import PAIR, Difference, Evidence
from evals.reports.rows import SUCCESS, many
from evals.reports.sections import texts
from evals.reports.tables import link, stacked
from evals.reports.tags import Html, clip, escape, join, tag
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
        f"{right} fails on {many(pair.lost, 'sample')} that {left} does well, and does"
        f" {pair.won} well that {left} fails on."
    )
    shown = f" The first {PAIR}, the lost ones first." if both > PAIR else ""
    caption = f"{left} beside {right}; words that the other has not are marked."
    rows = [_row(pair, samples[name], evidence) for name in pair.ids]
    head = ("sample", "success", left, right)
    folded = tag(
        "details",
        tag("summary", f"{many(len(rows), 'sample')} side by side"),
        stacked(caption, head, rows),
        open="open" if pair.lost else None,
    )
    return join((title, tag("p", told + shown), folded))


def _row(pair: Difference, sample: Sample, evidence: Evidence) -> tuple[str, ...]:
    scores = [side.arm.scores[SUCCESS][sample.id] for side in (pair.left, pair.right)]
    better = pair.left if scores[0] > scores[1] else pair.right
    question = texts.spoken(sample, sample.input.user, texts.PASSAGE)
    name = link(evidence.entries[sample.id], texts.name(sample.id))
    return (
        join((name, tag("span", question, class_="question"))),
        better.label,
        *_sides(*(side.arm.answers.get(sample.id) for side in (pair.left, pair.right))),
    )


def _sides(left: Answer | None, right: Answer | None) -> tuple[Html, Html]:
    """Both answers; words are marked where both have some."""
    a, b = _whole(left), _whole(right)
    plain = _plain(left, a), _plain(right, b)
    marked = texts.differing(a, b) if a and b else plain
    first, second = (tag("span", side, dir="auto", class_="text") for side in marked)
    return first, second


def _plain(answer: Answer | None, whole: str) -> Html:
    if whole:
        return escape(clip(whole, texts.ANSWER))
    lost = "not asked" if answer is None else f"nothing was delivered: {answer.verdict}"
    return tag("em", lost)


def _whole(answer: Answer | None) -> str:
    """All of an answer that is compared, as one text; empty if nothing came."""
    if answer is None or answer.text is None:
        return ""
    cited = ", ".join(answer.citations) or "nothing"
    return f"{answer.status}, cites {cited}: {answer.text}"
