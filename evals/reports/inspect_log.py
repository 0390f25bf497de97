"""A run in the log format of inspect, version 2: one JSON file for each arm.

An arm is one log, with the task of each sample in its metadata, so that the figures of
the log are those of the other reports; a log for each task would show other ones. The
format is that of `inspect_ai.log.EvalLog`; the library is not needed to write it, and
its own reader is put to the files in the tests.
"""

import hashlib
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from evals.answers import Answer
from evals.errors import SetupError
from evals.reports.rows import Column, Row, columns, rows
from evals.reports.tags import visible
from evals.result import SuiteResult
from evals.samples import Sample
from evals.statistics import Interval
from structured.prompt import render

_Json = dict[str, Any]

VERSION: Final = 2
STOPPED: Final = {"truncated": "max_tokens"}
"""inspect's reason for an output's end, where it is not `stop`."""


def logs(result: SuiteResult) -> dict[str, bytes]:
    """The files by name, in a form that inspect's own listing takes.

    Raises:
        SetupError: the run's date is no ISO date; a log has to have one.
    """
    begun = _moment(result.origin.date)
    stamp = begun.strftime("%Y-%m-%dT%H-%M-%S+00-00")
    shown = columns(result)
    return {
        f"{stamp}_suite-{_plain(column.label)}_{_ident(result, column)}.json": (
            msgspec.json.format(
                msgspec.json.encode(_log(i, column, result, begun.isoformat())),
                indent=1,
            )
        )
        for i, column in enumerate(shown)
    }


def _log(number: int, column: Column, result: SuiteResult, begun: str) -> _Json:
    wanted = _wanted(column, result)
    asked = [sample for sample in wanted if sample.id in column.arm.answers]
    model = _model(column)
    samples = [_sample(each, column, result) for each in asked]
    usage = _total([sample["output"]["usage"] for sample in samples])
    return {
        "version": VERSION,
        "status": "success" if len(asked) == len(wanted) else "cancelled",
        "eval": _spec(column, result, begun),
        "plan": {"steps": [{"solver": "wastegate"}]},
        "results": {
            "total_samples": len(wanted),
            "completed_samples": len(asked),
            "scores": [
                _score(row, interval, column)
                for row in rows(result)
                if (interval := row.found[number])
            ],
            "metadata": _verdict(column, result),
        },
        "stats": {
            "started_at": begun,
            "completed_at": "",
            "model_usage": {model: usage},
        },
        "samples": samples,
    }


def _wanted(column: Column, result: SuiteResult) -> tuple[Sample, ...]:
    """The samples that were to be put to an arm, asked or not.

    The baseline is for the gates on ratios, so the suite asks it their tasks alone. Where
    nothing was judged the gates are not known, and all samples count as wanted: a log
    that claims too little is no false success.
    """
    tasks = {
        task
        for judged in result.judged
        for finding in judged.findings
        if finding.gate.ratio is not None
        for task in finding.gate.tasks
    }
    if column.arm in result.arms or not tasks:
        return result.samples
    return tuple(
        sample
        for sample in result.samples
        if sample.task in tasks or sample.id in column.arm.answers
    )


def _spec(column: Column, result: SuiteResult, begun: str) -> _Json:
    ident = _ident(result, column)
    names = [row.name for row in rows(result)]
    wanted = _wanted(column, result)
    return {
        "eval_id": ident,
        "run_id": result.run,
        "created": begun,
        "task": f"wastegate-suite-{_plain(column.label)}",
        "task_id": ident,
        "task_version": result.samples_digest,
        "dataset": {
            "name": f"samples {result.samples_digest}",
            "samples": len(wanted),
            "sample_ids": [sample.id for sample in wanted],
            "shuffled": False,
        },
        "model": _model(column),
        "model_generate_config": {
            "temperature": result.params.temperature,
            "max_tokens": result.params.max_tokens,
        },
        "config": {"epochs": 1},
        "scorers": [{"name": name} for name in names],
        "metadata": {
            "generator": column.arm.subject.generator,
            "digest": column.arm.subject.digest,
            "decoding": column.arm.mode,
            "surface": result.params.surface,
            "gates_digest": result.gates_digest,
            "command": result.origin.command,
            "engine": result.origin.engine,
            "machine": result.origin.machine,
            "seconds": column.arm.seconds,
            "notes": list(result.notes),
        },
    }


def _score(row: Row, interval: Interval, column: Column) -> _Json:
    figures = {
        "estimate": interval.point,
        "lower": interval.low,
        "upper": interval.high,
        "n": interval.n,
    }
    return {
        "name": row.name,
        "scorer": row.name,
        "scored_samples": len(column.arm.scores.get(row.name, {})),
        "metrics": {
            name: {"name": name, "value": value}
            for name, value in figures.items()
            if value is not None
        },
        "metadata": {"title": row.title, "unit": row.unit, "says": row.says},
    }


def _sample(sample: Sample, column: Column, result: SuiteResult) -> _Json:
    answer = column.arm.answers[sample.id]
    asked = [
        {"role": each.role, "content": each.content, "source": "input"}
        for each in render(sample.input)
    ]
    output = _output(answer, _model(column))
    return {
        "id": sample.id,
        "epoch": 1,
        "input": asked,
        "target": msgspec.json.encode(sample.expected).decode(),
        "messages": [*asked, output["choices"][0]["message"]],
        "output": output,
        "scores": {
            name: {
                "value": found[sample.id],
                "answer": answer.text,
                "explanation": _explanation(sample, answer),
            }
            for name, found in column.arm.scores.items()
            if sample.id in found
        },
        "metadata": {
            "task": sample.task,
            "document": sample.unit,
            "locale": sample.locale,
            "variant": sample.variant,
            "intent": sample.intent,
            "verdict": answer.verdict,
            "repairs": list(answer.repairs),
            "request_id": answer.request_id,
            "ttft_ms": answer.ttft_ms,
            "provenance": msgspec.to_builtins(sample.provenance),
        },
        "model_usage": {_model(column): output["usage"]},
        "total_time": output["time"],
    }


def _output(answer: Answer, model: str) -> _Json:
    """What was delivered, as the JSON that a client got; or the error in its place."""
    delivered = {
        "status": answer.status,
        "answer": answer.text,
        "citations": answer.citations,
    }
    content = "" if answer.text is None else msgspec.json.encode(delivered).decode()
    given, made = answer.prompt_tokens or 0, answer.completion_tokens or 0
    message = {"role": "assistant", "content": content, "source": "generate"}
    reason = STOPPED.get(answer.verdict, "stop")
    return {
        "model": model,
        "choices": [{"message": {**message, "model": model}, "stop_reason": reason}],
        "completion": content,
        "usage": {
            "input_tokens": given,
            "output_tokens": made,
            "total_tokens": given + made,
        },
        "time": None if answer.total_ms is None else answer.total_ms / 1000,
        "error": answer.detail or None,
    }


def _explanation(sample: Sample, answer: Answer) -> str:
    wanted = f"{sample.expected.status}, citing {_cited(sample.expected.citations)}"
    if answer.text is None:
        return f"expected {wanted}; nothing was delivered: {answer.verdict}"
    found = f"{answer.status}, citing {_cited(answer.citations)}"
    return f"expected {wanted}; answered {found}; the output was {answer.verdict}"


def _cited(citations: tuple[str, ...]) -> str:
    return ", ".join(citations) or "nothing"


def _verdict(column: Column, result: SuiteResult) -> _Json:
    """The gates of a judged arm."""
    if column.arm not in result.arms:
        return {}
    for judged in result.judged:
        if judged.generator == column.arm.subject.generator:
            gates = {finding.name: finding.verdict for finding in judged.findings}
            return {"verdict": judged.verdict, "gates": gates}
    return {}


def _total(usages: list[dict[str, int]]) -> dict[str, int]:
    names = ("input_tokens", "output_tokens", "total_tokens")
    return {name: sum(usage[name] for usage in usages) for name in names}


def _model(column: Column) -> str:
    return f"wastegate/{column.arm.subject.model}"


def _ident(result: SuiteResult, column: Column) -> str:
    """An id that is the same whenever the log of an arm is written."""
    whole = f"{result.run} {column.label} {result.samples_digest}"
    return hashlib.sha256(whole.encode()).hexdigest()[:22]


def _plain(label: str) -> str:
    """A label fit for a file's name."""
    kept = (c if c.isascii() and c.isalnum() else "-" for c in visible(label))
    return "-".join(part for part in "".join(kept).split("-") if part)


def _moment(date: str) -> datetime:
    try:
        found = datetime.fromisoformat(date)
    except ValueError as error:
        raise SetupError(
            f"the run's date is {date!r}; an ISO date such as 2031-01-02 is right"
        ) from error
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
