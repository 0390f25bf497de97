"""A performance run as a table for a terminal, as Markdown and as JSON."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from evals.figures import grid
from evals.performance import MS, QUANTILES, TIMINGS, Level, Performance, Timing
from evals.result import Origin
from evals.statistics import Interval

NOTHING: Final = "-"
HUNDRED: Final = 100
"""From here on a tenth more or less says nothing."""

NO_MEASURE: Final = "NOT a measure of the gateway"

LIMITS: Final = (
    (
        "An open loop: requests leave by a Poisson process, answered or not. Times count"
        " from the moment at which a request was to leave, so that a server that stalls"
        " cannot thin out the load that would show it."
    ),
    (
        "Bounds are two-sided 95 %, from order statistics; `-` in place of one: too few"
        " requests. They take requests as independent of each other, which in a queue they"
        " are not: near saturation the truth is further away than they say. Gaps (ITL)"
        " hang together within a request, so they have none."
    ),
    (
        "ITL is each gap between two pieces of text; TPOT is (last - first) / (n - 1) for"
        " one request, n by usage. guidellm and aiperf call the latter ITL."
    ),
    (
        "Requests that failed are in no time and no token; they are counted by code, and"
        " the rates and the cost are of answered ones alone."
    ),
)


def terminal(run: Performance) -> str:
    """One small table a level; not wider than 80 columns."""
    lines: list[str] = []
    for level in run.levels:
        lines += [
            f"{level.subject.generator} ({level.subject.model}), {_head(level)}",
            *grid(_rows(level)),
            *_warnings(run, level),
            "",
        ]
    return "\n".join([*lines, *_notes(run)]).rstrip()


def markdown(run: Performance, origin: Origin) -> str:
    """The whole of `docs/performance.md`."""
    capped = f", at most {run.in_flight} in flight" if run.in_flight else ""
    lines = [
        "# Performance under an open load",
        "",
        (
            f"Made on {origin.date} by `{origin.command}`: streamed"
            f" `/v1/chat/completions`, at most {run.max_tokens} tokens,"
            f" {run.inputs} different prompts, {run.warm_up} warm-up requests at each rate"
            f" that are not counted, arrivals drawn with seed {run.seed}{capped}."
        ),
        f"Engine: {origin.engine}. Machine: {origin.machine}.",
        "",
        *grid(_overview(run)),
        "",
    ]
    for level in run.levels:
        lines += [
            f"## {level.subject.generator} at {level.rate:g} requests/s",
            "",
            f"`{level.subject.model}`: {_head(level)}.",
            "",
            *grid(_rows(level)),
            "",
            *(f"- {line}" for line in _warnings(run, level)),
            "",
        ]
    lines += ["## What to keep in mind", "", *(f"- {line}" for line in LIMITS)]
    lines += [f"- {line}" for line in _notes(run)]
    return "\n".join(lines) + "\n"


def as_json(run: Performance, origin: Origin) -> bytes:
    """Everything, each request included, for programs."""
    report = {
        "origin": origin,
        "is_measure": run.is_measure,
        "warnings": [line for level in run.levels for line in _warnings(run, level)],
        "performance": run,
    }
    return msgspec.json.encode(report) + b"\n"


def _head(level: Level) -> str:
    failed = ", ".join(f"{n} {code}" for code, n in level.failed.items())
    return (
        f"{level.rate:g}/s offered: {level.answered} of {level.sent} answered"
        f"{f' ({failed})' if failed else ''},\n"
        f"{level.requests_per_second:.3g} requests/s and"
        f" {level.output_tokens_per_second:.3g} output tokens/s over"
        f" {level.seconds:.0f} s"
    )


def _rows(level: Level) -> Sequence[Sequence[str]]:
    names = [f"p{q * HUNDRED:g}" for q in QUANTILES]
    rows = [["", *names, "n"]]
    for timing in TIMINGS:
        found = level.timings.get(timing.name)
        if found is None:
            rows.append([_title(timing), *[NOTHING] * len(names), "0"])
        else:
            rows.append([_title(timing), *map(_cell, found), str(found[0].n)])
    return rows


def _title(timing: Timing) -> str:
    return f"{timing.title}, ms" if timing.unit == "ms" else timing.title


def _overview(run: Performance) -> Sequence[Sequence[str]]:
    rows = [
        [
            "generator",
            "offered/s",
            "answered",
            "tokens/s",
            "TTFT p50, ms",
            "TTFT p95, ms",
            "TPOT p50, ms",
            "cost of 1000 requests",
        ]
    ]
    for level in run.levels:
        ttft, tpot = level.timings.get("ttft"), level.timings.get("tpot")
        cost = level.cost
        rows.append(
            [
                level.subject.generator,
                f"{level.rate:g}{'' if level.kept_schedule else ' (late)'}",
                f"{level.answered} of {level.sent}",
                f"{level.output_tokens_per_second:.3g}",
                _cell(ttft[0]) if ttft else NOTHING,
                _cell(ttft[1]) if ttft else NOTHING,
                _cell(tpot[0]) if tpot else NOTHING,
                f"{cost.per_request * MS:.3g} {cost.currency}" if cost else NOTHING,
            ]
        )
    return rows


def _cell(interval: Interval) -> str:
    point = _number(interval.point)
    if interval.low is None and interval.high is None:
        return point
    low, high = (
        NOTHING if bound is None else _number(bound)
        for bound in (interval.low, interval.high)
    )
    return f"{point} [{low}, {high}]"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= HUNDRED or value.is_integer() else f"{value:.1f}"


def _warnings(run: Performance, level: Level) -> Iterable[str]:
    if not level.kept_schedule:
        why = (
            f", or the limit of {run.in_flight} in flight held requests back"
            if run.in_flight
            else ""
        )
        yield (
            f"{NO_MEASURE}: p99 of the lag is {level.lag * MS:.0f} ms,"
            f" over {run.max_lag * MS:g}; the sender was too slow{why}."
        )
    if not level.answered:
        yield f"{NO_MEASURE}: nothing was answered, so there is nothing to time."
    if level.cost is not None:
        cost = level.cost
        yield (
            f"cost of a request: {cost.per_request:.3g} {cost.currency} = {cost.how};"
            f" price: {cost.source}"
        )


def _notes(run: Performance) -> Iterable[str]:
    for model in run.unpriced:
        yield f"no price for {model}, so no cost: name it in evals/prices.toml"
    most = max((level.sent + run.warm_up for level in run.levels), default=0)
    if most > run.inputs:
        yield (
            f"{run.inputs} prompts for up to {most} requests a level: those that come"
            " again may find their prefix in the engine's cache"
        )
