"""Behind the numbers: a list for each of them, and an entry for each sample."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from evals.answers import Answer
from evals.reports import rows
from evals.reports.evidence import Evidence, Listing
from evals.reports.sections import texts
from evals.reports.tables import link, stacked
from evals.reports.tags import Html, clip, join, tag
from evals.result import SuiteResult
from evals.samples import Sample


def lists(evidence: Evidence) -> Html:
    """Every list; an empty one is left out, since no number links to it."""
    parts = [
        _listing(each, evidence) for each in evidence.listings if each.ids or each.more
    ]
    return tag("div", *parts, class_="lists")


def samples(result: SuiteResult, evidence: Evidence) -> Html:
    """Every sample that a list or a table names, with each arm's answer."""
    against = _gates_of(result)
    parts = [
        _entry(sample, result, against.get(sample.id, ()), evidence)
        for sample in result.samples
        if sample.id in evidence.entries
    ]
    hidden = len(result.samples) - len(parts)
    said = f"{rows.many(len(parts), 'sample')} that something above names."
    more = f" The other {hidden} are in the JSON." if hidden else ""
    return join((tag("p", said + more), *parts))


def _listing(listing: Listing, evidence: Evidence) -> Html:
    names = [link(evidence.entries[n], texts.name(n)) for n in listing.ids]
    more = ""
    if listing.more:
        more = f"{', and ' if names else ''}{listing.more} more, in the JSON"
    return tag(
        "section",
        tag("h3", listing.title),
        tag("p", join(names, ", "), more),
        id=listing.anchor,
    )


def _gates_of(result: SuiteResult) -> Mapping[str, Sequence[tuple[str, str]]]:
    """By sample, the generators and gates that it speaks against."""
    found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for judged in result.judged:
        for finding in judged.findings:
            for name in finding.failed:
                found[name].append((judged.generator, finding.name))
    return found


def _entry(
    sample: Sample,
    result: SuiteResult,
    against: Sequence[tuple[str, str]],
    evidence: Evidence,
) -> Html:
    about = [
        f"{name} {value}"
        for name, value in (
            ("task", sample.task),
            ("locale", sample.locale),
            ("variant", sample.variant),
            ("document", sample.document),
            ("from", sample.provenance.source),
            ("licence", sample.provenance.licence),
        )
        if value
    ]
    answers = [
        _answer(column.label, sample, column.arm.answers.get(sample.id))
        for column in rows.columns(result)
    ]
    head = ("generator", "answered", "verdict", "tokens")
    return tag(
        "article",
        tag("h3", texts.name(sample.id)),
        tag("p", clip(", ".join(about), texts.QUESTION), class_="why"),
        tag("p", texts.spoken(sample, sample.input.user, texts.QUESTION)),
        _context(sample),
        tag("p", tag("b", "Expected: "), texts.expected(sample)),
        stacked("Answers", head, answers),
        _speaks(against, evidence),
        id=evidence.entries[sample.id],
    )


def _answer(label: str, sample: Sample, answer: Answer | None) -> tuple[str, ...]:
    tokens = answer.completion_tokens if answer else None
    return (
        label,
        texts.given(sample, answer),
        texts.verdict(answer),
        "–" if tokens is None else str(tokens),  # noqa: RUF001 -- an empty cell
    )


def _context(sample: Sample) -> Html:
    passages = sample.input.context
    if not passages:
        return tag("p", "No context.", class_="why")
    items = [
        tag(
            "li",
            tag("code", texts.name(item.id)),
            " ",
            texts.spoken(sample, item.text, texts.PASSAGE),
        )
        for item in passages[: texts.PASSAGES]
    ]
    more = len(passages) - len(items)
    if more:
        items.append(tag("li", f"and {more} more, in the JSON"))
    summary = f"Context: {rows.many(len(passages), 'passage')}"
    return tag("details", tag("summary", summary), tag("ul", *items))


def _speaks(against: Sequence[tuple[str, str]], evidence: Evidence) -> Html:
    if not against:
        return Html()
    links = [link(evidence.gates[key].anchor, f"{key[0]}: {key[1]}") for key in against]
    return tag("p", "Speaks against ", join(links, ", "), ".")
