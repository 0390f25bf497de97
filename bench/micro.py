"""What the pieces on a request's way cost by themselves, in microseconds a call."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from bench import payloads
from bench.processes import ROOT
from gateway.telemetry.exposition import new_registry
from gateway.telemetry.prometheus import PrometheusSink
from gateway.telemetry.record import RequestFinished
from routing.bucketing import bucket
from routing.decision import Query
from routing.flags import FlagDocument
from routing.resolve import compile_flags
from structured.check import check
from structured.schema import Schema, compile_schema

TRIAL_SECONDS: Final = 0.1
"""One trial; long enough that the clock's own cost disappears."""

SMALL: Final = 300
LARGE: Final = 4096
"""Sizes of an output, in bytes."""

IDS: Final = frozenset(f"kb-{number}" for number in range(32))


class Case(msgspec.Struct, frozen=True):
    """One thing that is called over and over."""

    name: str
    call: Callable[[], object]


class Cost(msgspec.Struct, frozen=True):
    """Microseconds a call: the median of the trials, and the best."""

    name: str
    median: float
    best: float


def cases() -> tuple[Case, ...]:
    """All cases, built once, so that only the call itself is timed."""
    return (*_routing(), *_checking(), *_telemetry())


def run(repeat: int) -> list[Cost]:
    """Time every case in `repeat` trials."""
    return [_timed(case, repeat) for case in cases()]


def report(costs: Sequence[Cost]) -> str:
    """A table."""
    rows = [f"{c.name:<44}{c.median:>10.2f}{c.best:>10.2f}" for c in costs]
    return "\n".join([f"{'µs a call':<44}{'median':>10}{'best':>10}", *rows])


def _routing() -> tuple[Case, ...]:
    document = FlagDocument(lora=500, lora_pref=500, overrides={"other": "lora"})
    snapshot = compile_flags(document, 7)
    split = Query("acme", "assist", "conversation-4711")
    fixed = Query("other", "assist", "conversation-4711")
    return (
        Case("bucket", lambda: bucket("GENERATOR", "r1", "acme", "conversation-4711")),
        Case("resolve, by percentage", lambda: snapshot.resolve(split)),
        Case("resolve, by override", lambda: snapshot.resolve(fixed)),
    )


def _checking() -> tuple[Case, ...]:
    source = (ROOT / "schemas/assist.json").read_bytes()
    schema = compile_schema(source, name="assist")
    small, large = _output(SMALL), _output(LARGE)
    fenced = b"```json\n" + small + b"\n```"
    return (
        _check("check, valid, 300 B", small, schema),
        _check("check, valid, 4 KiB", large, schema),
        _check("check, repaired (fence), 300 B", fenced, schema),
        _check("check, rejected (no JSON), 300 B", b"Sorry! " * 43, schema),
    )


def _check(name: str, raw: bytes, schema: Schema) -> Case:
    return Case(
        name,
        lambda: check(raw, schema, context_ids=IDS, finish_reason="stop", repair=True),
    )


def _telemetry() -> tuple[Case, ...]:
    sink = PrometheusSink(
        new_registry(), tenants=["acme"], surfaces=["assist"], models=["behav@v1"]
    )
    record = RequestFinished(
        request_id="r-1",
        tenant="acme",
        surface="assist",
        generator="lora",
        model="behav@v1",
        reason="SPLIT; rule=percentage; bucket=312; version=7",
        outcome="ok",
        verdict="valid",
        mode="free",
        stream=False,
        prompt_tokens=120,
        completion_tokens=30,
        ttft=0.1,
        duration=0.5,
        upstream=0.4,
        repairs=(),
    )
    return (Case("telemetry, one record into Prometheus", lambda: sink(record)),)


def _output(size: int) -> bytes:
    """A valid assist answer of `size` bytes; an answer has 2,000 characters at most."""
    answer = msgspec.json.decode(payloads.ANSWER)
    short = len(msgspec.json.encode(answer))
    # A three-byte character counts once for the schema: 4 KiB fit its 2,000.
    wide, narrow = divmod(size - short, 3)
    answer["answer"] += "€" * wide + "." * narrow
    return msgspec.json.encode(answer)


def _timed(case: Case, repeat: int) -> Cost:
    loops = _calibrated(case.call)
    trials = [_trial(case.call, loops) for _ in range(repeat)]
    scale = 1e6 / loops
    return Cost(case.name, statistics.median(trials) * scale, min(trials) * scale)


def _calibrated(call: Callable[[], object]) -> int:
    loops = 1
    while (took := _trial(call, loops)) < TRIAL_SECONDS / 10:
        loops *= 10
    return max(1, int(loops * TRIAL_SECONDS / took))


def _trial(call: Callable[[], object], loops: int) -> float:
    """Seconds for so many calls, the loop's own cost included."""
    begin = time.perf_counter()
    for _ in range(loops):
        call()
    return time.perf_counter() - begin
