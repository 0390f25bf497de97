"""The run as Markdown that reads well in a terminal, too."""

from collections.abc import Iterable, Sequence

from evals.figures import TEXT_MARK, cell, counts, grid
from evals.reports import rows
from evals.reports.tags import line
from evals.result import Judged, SuiteResult


def markdown(result: SuiteResult) -> str:
    """Verdicts, gates, measures, how they were come by and what they do not say."""
    lines = (
        f"# Verdict: {rows.headline(result)}",
        "",
        *_origin(result),
        "",
        *_gates(result),
        "## Measures",
        "",
        *_measures(result),
        "",
        "`[low, high]` are bounds, `n` is what a row counts; * means n < 30.",
        "",
        "## What each row means, and what it does not say",
        "",
        *_meanings(result),
        "",
        "## What to keep in mind",
        "",
        *(f"- {line(text)}" for text in (*result.notes, *rows.LIMITS)),
        "",
    )
    return "\n".join(lines)


def terminal(result: SuiteResult) -> str:
    """The gates of each generator and the verdicts, for stdout."""
    return "\n".join((*_gates(result), f"Verdict: {rows.headline(result)}."))


def _origin(result: SuiteResult) -> Iterable[str]:
    for name, text in rows.made(result):
        yield f"- {name}: {line(text)}"
    for column in rows.columns(result):
        subject = column.arm.subject
        digest = f" (digest `{subject.digest[:TEXT_MARK]}`)" if subject.digest else ""
        yield (f"- `{column.label}` is `{subject.model}`{digest}: {column.arm.took}")


def _gates(result: SuiteResult) -> Iterable[str]:
    for judged in result.judged:
        yield f"## Gates of {judged.generator}: {judged.verdict}"
        yield ""
        yield from grid(_findings(judged))
        yield ""
        yield from _says(judged)
    if result.judged:
        yield (
            f"Bounds of gates are one-sided, at {result.confidence * 100:g} % each;"
            f" n counts documents; {rows.POWER}."
        )
        yield ""


def _findings(judged: Judged) -> Sequence[Sequence[str]]:
    head = ("gate", "verdict", "asked", "seen", "n", "power")
    found = [
        (f.name, f.verdict, f.gate.asked, rows.seen(f), str(f.n), rows.chance(f))
        for f in judged.findings
    ]
    return (head, *(tuple(line(text) for text in row) for row in found))


def _says(judged: Judged) -> Iterable[str]:
    said = [f"- {f.name}: {line(f.says)}" for f in judged.findings if f.says]
    if said:
        yield from said
        yield ""


def _measures(result: SuiteResult) -> Iterable[str]:
    """The arms side by side; the baseline by itself, so that both fit a terminal."""
    count = len(result.arms)
    yield from grid(_compared(result, slice(count)))
    if len(rows.columns(result)) > count:
        yield ""
        yield "What `tokens` is compared with:"
        yield ""
        yield from grid(_compared(result, slice(count, None)))


def _compared(result: SuiteResult, which: slice) -> Sequence[Sequence[str]]:
    labels = [column.label for column in rows.columns(result)][which]
    body = [
        (row.title, *(cell(i, row.unit) for i in found), counts(found))
        for row in rows.rows(result)
        if any(found := row.found[which])
    ]
    return (("", *labels, "n"), *body)


def _meanings(result: SuiteResult) -> Iterable[str]:
    """Gates by their reasons, measures by what they say."""
    gates = {f.name: f.gate for judged in result.judged for f in judged.findings}
    for name, gate in gates.items():
        tasks = ", ".join(gate.tasks)
        yield f"- **gate {name}** ({gate.measure} on {tasks}): {gate.why}"
    for row in rows.rows(result):
        if row.says:
            yield f"- **{row.title.lstrip('· ')}**: {row.says}"
