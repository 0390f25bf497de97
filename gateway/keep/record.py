"""From what a request has left behind to the value that may be kept of it."""

import secrets
from datetime import UTC, datetime

from gateway.pipeline.call import Call
from gateway.pipeline.trace import Attempt as Tried, Trace
from structured.kept import Attempt, Output
from structured.outcome import Accepted, Rejected


def new_id(kind: str) -> str:
    """An id that no other line has."""
    return f"{kind}_{secrets.token_hex(12)}"


def stamp(at: float) -> str:
    """Seconds since the epoch as RFC 3339 in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def is_flawed(trace: Trace) -> bool:
    """Whether an output was refused or repaired on the way, whatever came after it."""
    return any(
        isinstance(each.outcome, Rejected) or bool(each.outcome.repairs)
        for each in trace.attempts
    )


def output_of(trace: Trace, call: Call, at: float) -> Output | None:
    """The value, not yet scrubbed; None where no output was judged."""
    if call.schema is None or trace.verdict is None or not trace.attempts:
        return None
    last = trace.attempts[-1].outcome
    accepted = last if isinstance(last, Accepted) else None
    return Output(
        id=new_id("out"),
        at=stamp(at),
        request_id=trace.request_id,
        tenant=trace.tenant,
        surface=trace.surface,
        generator=trace.generator,
        model=trace.model,
        mode=call.mode,
        schema=call.schema.digest,
        verdict=trace.verdict,
        raw=trace.attempts[0].said.decode("utf-8", "replace"),
        repaired=None if accepted is None else accepted.value,
        refused=accepted is None,
        repairs=trace.repairs,
        attempts=tuple(_attempt(each) for each in trace.attempts),
        input=call.given,
        messages=call.messages if call.given is None else None,
    )


def _attempt(tried: Tried) -> Attempt:
    outcome = tried.outcome
    if isinstance(outcome, Accepted):
        return Attempt(tried.kind)
    return Attempt(tried.kind, outcome.stage, outcome.code, outcome.path)
