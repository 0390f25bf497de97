"""Put the suite to each generator of a running gateway, and judge by the gates.

Answers are kept as they come, so a run that was interrupted goes on where it stopped,
and a changed sample alone is asked again. Reports are written to var/evals/RUN.
"""

import argparse
import asyncio
import datetime as dt
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from adapters import verdict as verdicts
from adapters.verdict import EvalVerdict
from evals import filing, gates, opinions, samples, suite
from evals.answers import Params
from evals.environment import access
from evals.errors import SetupError
from evals.gates import GateFile
from evals.machine import machine
from evals.opinions import Judge
from evals.options import positive, share
from evals.progress import shown
from evals.reports import render
from evals.reports.as_json import encode
from evals.reports.markdown import markdown, terminal
from evals.result import Origin, SuiteResult
from evals.suite import GENERATORS, Budget, Plan
from evals.target import connect

HOME: Final = Path("var/evals")
EXITS: Final = {"pass": 0, "fail": 1, "inconclusive": 3}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what it can be told."""
    add = parser.add_argument
    add("--samples", type=Path, metavar="FILE", help="JSON lines [made, see `data`]")
    add("--scale", type=share, default=1.0, help="of the made samples [%(default)s]")
    add("--gates", type=Path, default=gates.GATES, metavar="FILE", help="[gates.toml]")
    add(
        "--suites", nargs="+", metavar="NAME", help="only these suites' gates and tasks"
    )
    add("--generators", nargs="+", choices=GENERATORS, default=list(GENERATORS))
    add("--tenant", default="acme", help="whom the key belongs to [%(default)s]")
    add("--surface", default="assist", help="[%(default)s]")
    add("--schema", type=Path, default=Path("schemas/assist.json"), metavar="FILE",
        help="of the surface, for the constrained baseline [%(default)s]")  # fmt: skip
    add("--max-tokens", type=positive, default=96, help="[%(default)s]")
    add("--concurrency", type=positive, default=16, help="[%(default)s]")
    add("--minutes", type=float, help="ask no longer than this")
    add("--tokens", type=positive, help="ask no more than this, prompts included")
    add("--fresh", action="store_true", help="ask again what is recorded")
    add("--results", type=Path, metavar="FILE", help="the summary, as docs/results.md")
    add("--file", action="store_true", help="file the verdicts with the gateway")
    add("--why", default="", help="for the audit log, with --file")
    add("--judge", metavar="URL", help="an OpenAI-compatible judge, whose agreement with"
        " the rules is measured; key: JUDGE_KEY")  # fmt: skip
    add("--judge-model", default="judge", metavar="NAME", help="[%(default)s]")
    add("--judged", type=positive, default=100, help="answers it sees [%(default)s]")
    add("--json", action="store_true", help="print the result as JSON")
    add("--engine", default="vLLM", help="what stands behind, for the report")
    add("--date", help="for the report [now]")


def run(options: argparse.Namespace, console: Console) -> int:
    """Ask, judge, write; the exit code is the worst verdict's."""
    made = _moment(options.date)
    plan = _plan(options)
    origin = Origin(
        shlex.join(("python", "-m", "evals", *sys.argv[1:])),
        made.date().isoformat(),
        options.engine,
        machine(),
    )
    schema = _schema(options.schema)
    result = asyncio.run(_ask(plan, origin, schema, console))
    if options.judge:
        result = asyncio.run(_opinions(result, options))
    home = HOME / result.run
    render(result, home)
    filed = _verdicts(result, made, home)
    if options.results:
        options.results.parent.mkdir(parents=True, exist_ok=True)
        options.results.write_text(markdown(result), encoding="utf-8")
    if options.file:
        asyncio.run(_file(filed, options.why or f"evals run {result.run}"))
    text = encode(result).decode() if options.json else terminal(result)
    sys.stdout.write(f"{text}\n")
    console.print(f"reports: {home / 'report.html'}", markup=False, highlight=False)
    return _exit(result)


def _plan(options: argparse.Namespace) -> Plan:
    gate_file = _chosen(gates.load(options.gates), options.suites)
    asked = _samples(options)
    tasks = {task for gate in gate_file.gates.values() for task in gate.tasks}
    if options.suites:
        asked = tuple(sample for sample in asked if sample.task in tasks)
    if not asked:
        named = ", ".join(sorted(tasks))
        raise SetupError(f"no sample is left; the suites' tasks are {named}")
    return Plan(
        samples=asked,
        gates=gate_file,
        tenant=options.tenant,
        params=Params(options.surface, options.max_tokens),
        generators=tuple(options.generators),
        concurrency=options.concurrency,
        budget=Budget(options.minutes, options.tokens),
        fresh=options.fresh,
    )


def _samples(options: argparse.Namespace) -> tuple[samples.Sample, ...]:
    if options.samples:
        return samples.load(options.samples)
    from evals.data.generate import generate  # noqa: PLC0415 -- slow, and not needed with a file

    return generate(scale=options.scale)


def _chosen(given: GateFile, suites: list[str] | None) -> GateFile:
    if not suites:
        return given
    known = sorted({gate.suite for gate in given.gates.values()})
    if strangers := sorted(set(suites) - set(known)):
        raise SetupError(
            f"--suites: no {', '.join(strangers)}; there are {', '.join(known)}"
        )
    chosen = {n: gate for n, gate in given.gates.items() if gate.suite in suites}
    return msgspec.structs.replace(given, gates=chosen)


async def _ask(
    plan: Plan, origin: Origin, schema: bytes, console: Console
) -> SuiteResult:
    running = asyncio.current_task()
    if running:
        # A plain SIGTERM would leave the tenant on the generator under test.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    with shown(console) as watch:
        async with connect(access(os.environ), plan.concurrency, schema) as gateway:
            return await suite.run(plan, gateway, HOME, origin, watch)


async def _opinions(result: SuiteResult, options: argparse.Namespace) -> SuiteResult:
    key = os.environ.get("JUDGE_KEY", "")
    judge = Judge(options.judge, options.judge_model, key)
    notes = [
        opinions.told(
            judge,
            arm.subject.generator,
            await opinions.compared(judge, arm, result.samples, options.judged),
        )
        for arm in result.arms
    ]
    return msgspec.structs.replace(result, notes=(*result.notes, *notes))


def _verdicts(result: SuiteResult, made: dt.datetime, home: Path) -> list[EvalVerdict]:
    """Write the verdicts of a run that has asked the base too; without it, none."""
    if not any(arm.subject.generator == suite.REFERENCE for arm in result.arms):
        return []
    filed = [
        filing.verdict(result, judged, made, f"var/evals/{result.run}/report.html")
        for judged in result.judged
    ]
    for each in filed:
        path = home / f"verdict-{each.ref}.json"
        path.write_bytes(verdicts.encode(each))
    return filed


async def _file(filed: list[EvalVerdict], why: str) -> None:
    async with connect(access(os.environ), 1) as gateway:
        for each in filed:
            await gateway.put_verdict(each, why)


def _schema(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        msgspec.json.decode(raw)
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}; name it with --schema") from error
    except msgspec.DecodeError as error:
        raise SetupError(f"{path}: not JSON: {error}") from error
    return raw


def _moment(given: str | None) -> dt.datetime:
    if given is None:
        return dt.datetime.now(tz=dt.UTC)  # noqa: TID251 -- the program's edge, where the wall clock comes in
    try:
        return dt.datetime.fromisoformat(given).replace(tzinfo=dt.UTC)
    except ValueError as error:
        raise SetupError(f"--date: {error}; 2026-11-28 is right") from error


def _exit(result: SuiteResult) -> int:
    words = {judged.verdict for judged in result.judged}
    for word in ("fail", "inconclusive"):
        if word in words:
            return EXITS[word]
    return 0
