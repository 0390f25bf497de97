"""The table as Markdown that also reads well in a terminal, and as JSON."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from evals.figures import NOTHING, TEXT_MARK, cell, counts, grid, plain
from evals.measures import MEASURES
from evals.table import BY_INTENT, Column, Table

LIMITS: Final = (
    (
        "Bounds are two-sided 95 %, exact: Clopper-Pearson for rates, order statistics for"
        " medians and p95. `-` in place of a bound: too few values for one. They speak for"
        " samples drawn like these, one row at a time: with this many cells, one in twenty"
        " true values lies outside its bounds. Nothing here is a gate."
    ),
    (
        "Samples that share a document or a template are not independent, so the true"
        " uncertainty is larger than the bounds say."
    ),
    (
        "The samples come from the generator of data that also made the training set, with"
        " templates, entities and documents that training never saw. A real user writes"
        " otherwise; the numbers are an upper estimate of what he gets."
    ),
    (
        "The decoder is free unless the surface says otherwise: nothing forces the schema"
        " on the model. Temperature is 0; another temperature gives other numbers."
    ),
)


class Origin(msgspec.Struct, frozen=True):
    """How a table was made, as its first lines say."""

    command: str
    date: str
    engine: str
    machine: str


def markdown(table: Table, origin: Origin) -> str:
    """The whole of `docs/results.md`."""
    return "\n".join(
        (
            "# Results: base, lora and lora_pref on held-out samples",
            "",
            *_origin(table, origin),
            "",
            *grid(_main_rows(table)),
            "",
            "`[low, high]` are 95 % bounds, `n` is what a row counts; * means n < 30.",
            "",
            "## By intent",
            "",
            *grid(_intent_rows(table)),
            "",
            (
                f"Each cell is {' · '.join(_titles(BY_INTENT))}, as counts;"
                f" {NOTHING} where the intent has no such samples."
            ),
            "",
            *_lost(table),
            "## What each row means, and what it does not say",
            "",
            *(f"- **{m.title.lstrip('· ')}**: {m.says}" for m in MEASURES),
            "",
            "## What to keep in mind",
            "",
            *(f"- {line}" for line in LIMITS),
            "",
        )
    )


def terminal(table: Table) -> str:
    """The main table alone."""
    return "\n".join(grid(_main_rows(table)))


def as_json(table: Table, origin: Origin) -> bytes:
    """Everything, digests in full, for programs."""
    return msgspec.json.format(msgspec.json.encode({"origin": origin, "table": table}))


def _origin(table: Table, origin: Origin) -> Iterable[str]:
    yield (
        f"Made on {origin.date} by `{origin.command}`: {table.n} samples"
        f" (digest `{table.samples_digest[:TEXT_MARK]}`), the same for each generator,"
        f" {table.concurrency} at a time, non-streamed `/v1/assist` on surface"
        f" `{table.params.surface}`, temperature {table.params.temperature:g},"
        f" at most {table.params.max_tokens} tokens. Run `{table.run}`."
    )
    yield f"Engine: {origin.engine}. Machine: {origin.machine}."
    yield ""
    for column in table.columns:
        digest = column.subject.digest[:TEXT_MARK]
        shown = f" (digest `{digest}`)" if digest else ""
        yield f"- `{column.subject.generator}` is `{column.subject.model}`{shown}"


def _main_rows(table: Table) -> Sequence[Sequence[str]]:
    names = [column.subject.generator for column in table.columns]
    rows: list[list[str]] = [["", *names, "n"]]
    for measure in MEASURES:
        found = [column.measures[measure.name] for column in table.columns]
        if measure.name == "reasked" and not any(i and i.point for i in found):
            continue
        cells = [cell(interval, measure.unit) for interval in found]
        rows.append([measure.title, *cells, counts(found)])
    return rows


def _intent_rows(table: Table) -> Sequence[Sequence[str]]:
    names = [column.subject.generator for column in table.columns]
    rows: list[list[str]] = [["intent", "n", *names]]
    for intent, n in table.intents.items():
        cells = [_intent_cell(column, intent) for column in table.columns]
        rows.append([intent, str(n), *cells])
    return rows


def _intent_cell(column: Column, intent: str) -> str:
    found = [column.by_intent[intent][name] for name in BY_INTENT]
    return " · ".join(
        NOTHING if i is None else f"{round(i.point * i.n)}/{i.n}" for i in found
    )


def _titles(names: Iterable[str]) -> Iterable[str]:
    return [m.title for m in MEASURES if m.name in names]


def _lost(table: Table) -> Iterable[str]:
    if not any(column.lost for column in table.columns):
        return
    yield "## Why outputs were lost"
    yield ""
    for column in table.columns:
        ranked = sorted(column.lost.items(), key=lambda item: -item[1])
        for reason, count in ranked[:3]:
            yield f"- `{column.subject.generator}`, {count} times: {plain(reason)}"
    yield ""
