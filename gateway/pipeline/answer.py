"""From a question to an output that fits its schema, or to a typed refusal.

The way goes down once: first answer, second question, last resort. What each of them
may do is in `settle`; every output is checked alike and remembered in the trace.
"""

import asyncio
import re
import time
from collections.abc import Iterator
from typing import Final, Literal, cast

import msgspec

from gateway.errors import (
    BadRequest,
    GatewayError,
    OutputInvalid,
    OutputTruncated,
    UpstreamError,
    UpstreamTimeout,
)
from gateway.member import Lease
from gateway.pipeline.call import (
    Call,
    ChatMessage,
    JsonSchemaFormat,
    ResponseFormat,
)
from gateway.pipeline.generate import Output, Question, generate
from gateway.pipeline.route import ELSEWHERE, Router
from gateway.pipeline.trace import Attempt, AttemptKind, Trace
from structured.aliases import Aliases
from structured.check import check
from structured.decode import decode_schema
from structured.outcome import Accepted, Rejected
from structured.parse import MAX_BYTES
from structured.prompt import render
from structured.schema import Schema

INLINE_BYTES: Final = 4 * 1024
"""Longest output that is checked on the event loop, where a usual one takes less than
handing it to a thread. A longer one, which may take up to 100 ms, leaves the loop."""

_STATUS: Final = re.compile(
    rb"""["']?status["']?\s{0,8}+:\s{0,8}+["'](refused|uncertain)["']""", re.IGNORECASE
)
_RANK: Final = {"refused": 0, "uncertain": 1, "ok": 2}
"""`ok` > `uncertain` > `refused`: what an answer claims must never rise."""


class Answer(msgspec.Struct, frozen=True):
    """An output that fits, and how it came to."""

    content: bytes
    """JSON text; the engine's own bytes unless `repairs` says otherwise."""
    verdict: str
    repairs: tuple[str, ...]


async def answer(router: Router, call: Call, trace: Trace) -> Answer:
    """Generate and check: valid, repaired, re-asked, constrained, or an error.

    Raises:
        OutputTruncated: the output was cut; it is never closed into a success.
        OutputInvalid: with the stage, the path and what had been repaired.
        UpstreamTimeout: the request's own time is over before a first answer.
        GatewayError: whatever routing and the engine raise.
    """
    try:
        return await _leased(router, call, trace)
    except ELSEWHERE:
        if trace.upstream == 0.0:
            raise
        # The engine had forgotten the adapter, or is gone. Once more: another replica
        # may answer, and the tenant's policy may allow the base.
        trace.again()
        return await _leased(router, call, trace)


async def _leased(router: Router, call: Call, trace: Trace) -> Answer:
    with router.lease(call, trace) as lease:
        asked = first_question(call)
        output = await _in_time(lease, call, trace, asked)
        first = await checked(call, trace, "first", output)
        return await settle(lease, call, trace, asked, first)


async def settle(
    lease: Lease, call: Call, trace: Trace, asked: Question, first: Attempt
) -> Answer:
    """Go on from a first output: as it is, asked again, as a last resort, or not.

    Raises:
        OutputTruncated: the first output was cut.
        OutputInvalid: nothing more may be tried, or nothing helped.
        AdapterUnavailable: the engine has forgotten the adapter in between.
    """
    latest = first
    for kind in _further(call):
        if isinstance(latest.outcome, Accepted) or latest.outcome.stage == "gate":
            break
        asked = (
            last_question(call)
            if kind == "constrained"
            else _asked_again(asked, latest.said, latest.outcome)
        )
        try:
            output = await _in_time(lease, call, trace, asked)
        except (UpstreamError, UpstreamTimeout, BadRequest) as error:
            # What is known stands: the first output, and why it was refused.
            trace.failed = (kind, error.code)
            break
        latest = await checked(call, trace, kind, output)
    if isinstance(latest.outcome, Accepted):
        return accepted(call, trace, latest.kind, latest.outcome)
    raise refusal(call, trace, first)


def _further(call: Call) -> Iterator[AttemptKind]:
    """What may follow a first output that does not fit."""
    for _ in range(call.surface.reask):
        yield "reask"
    if call.mode == "free" and call.surface.last_resort == "constrained":
        yield "constrained"


def first_question(call: Call) -> Question:
    """The call's own chat; under the grammar if that is the surface's mode."""
    return last_question(call) if call.constrained else Question(call.messages)


def last_question(call: Call) -> Question:
    """The call's chat with decoding bound to its schema."""
    schema, given = _schema(call), call.given
    aliases = None if given is None else Aliases(tuple(c.id for c in given.context))
    count = None if aliases is None else len(aliases.ids)
    source = msgspec.Raw(decode_schema(schema, aliases=count))
    chat = call.messages
    if given is not None and aliases is not None:
        chat = render(aliases.alias(given))
    return Question(
        chat, ResponseFormat(JsonSchemaFormat(schema.name, source)), aliases
    )


def _asked_again(asked: Question, said: bytes, outcome: Rejected) -> Question:
    """The same chat, the answer that failed, and what was wrong with it."""
    chat = tuple(
        ChatMessage(cast("Literal['user']", each.role), each.content)
        for each in asked.messages
    )
    what = f"{outcome.path or 'all of it'}: {outcome.message}"
    correct = (
        f"That reply cannot be used ({what})."
        " Send the corrected JSON object and nothing else."
    )
    chat = (
        *chat,
        ChatMessage("assistant", said.decode("utf-8", "replace")),
        ChatMessage("user", correct),
    )
    return Question(chat, asked.response_format, asked.aliases)


async def _in_time(lease: Lease, call: Call, trace: Trace, asked: Question) -> Output:
    """Generate within what is left of the request's time.

    A further generation is not begun when less is left than those before it took on
    average: it would be cut, at the expense of everybody else on the replica.
    """
    left = trace.started + call.seconds - time.perf_counter()
    before = trace.upstream / len(trace.attempts) if trace.attempts else 0.0
    late = UpstreamTimeout(f"the request's time is over ({call.seconds:g} s)")
    if left <= before:
        raise late
    limit = asyncio.timeout(left)
    try:
        async with limit:
            return await generate(lease, call, trace, asked)
    except TimeoutError as error:
        if limit.expired():
            raise late from error
        raise


async def checked(
    call: Call, trace: Trace, kind: AttemptKind, output: Output, *, repair: bool = True
) -> Attempt:
    """Check an output, and remember it; long ones leave the event loop free.

    `repair` is False where the text has gone out already, so that it is what it is.
    """
    if len(output.content) > MAX_BYTES:
        outcome = Rejected("gate", "too_large", "", f"longer than {MAX_BYTES} bytes")
    elif len(output.content) > INLINE_BYTES:
        outcome = await asyncio.to_thread(_check, call, kind, output, repair=repair)
    else:
        outcome = _check(call, kind, output, repair=repair)
    if isinstance(outcome, Accepted) and _rises(trace, outcome.value):
        outcome = Rejected(
            "reask",
            "status_upgrade",
            "/status",
            "an earlier output had a lower status; asking again must not raise it",
            value=outcome.value,
        )
    attempt = Attempt(kind, output.content, outcome)
    trace.attempts.append(attempt)
    return attempt


def _check(
    call: Call, kind: AttemptKind, output: Output, *, repair: bool
) -> Accepted | Rejected:
    return check(
        output.content,
        _schema(call),
        context_ids=call.context_ids,
        finish_reason=output.finish_reason,
        # A constrained output that needs a repair means that the grammar did not
        # hold; hiding that would make the mode look better than it is.
        repair=repair
        and call.surface.repair
        and not (call.constrained or kind == "constrained"),
        drop_extra=call.surface.drop_extra,
    )


def _schema(call: Call) -> Schema:
    if call.schema is None:
        raise AssertionError("only calls with a schema are checked")
    return call.schema


def _rises(trace: Trace, value: object) -> bool:
    """Whether a status claims more than an output before it did.

    What cannot be parsed counts as well: a text that breaks off after
    `"status":"refused"` has refused.
    """
    now = _RANK.get(_status(value), -1)
    return any(now > _claimed(attempt) for attempt in trace.attempts)


def _claimed(attempt: Attempt) -> int:
    """The least that an output claims, as far as that can be told."""
    outcome = attempt.outcome
    found = [_RANK[each.decode().lower()] for each in _STATUS.findall(attempt.said)]
    if isinstance(outcome, Rejected):
        found.append(_RANK.get(_status(outcome.value).lower(), _RANK["ok"]))
    return min(found, default=_RANK["ok"])


def _status(value: object) -> str:
    if not isinstance(value, dict):
        return ""
    status = cast("dict[str, object]", value).get("status")
    return status if isinstance(status, str) else ""


def accepted(call: Call, trace: Trace, kind: AttemptKind, outcome: Accepted) -> Answer:
    """Name the verdict of an output that passed."""
    trace.repairs = tuple(repair.kind for repair in outcome.repairs)
    if kind == "reask":
        trace.verdict = "reasked"
    elif kind == "constrained" or call.constrained:
        trace.verdict = "constrained"
    else:
        trace.verdict = "repaired" if outcome.repairs else "valid"
    return Answer(outcome.raw, trace.verdict, trace.repairs)


def refusal(call: Call, trace: Trace, first: Attempt) -> GatewayError:
    """What the client is told: the first output's fault, and what was tried since."""
    outcome = cast("Rejected", first.outcome)
    detail: dict[str, object] = {
        "stage": outcome.stage,
        "path": outcome.path,
        "repairs": [repair.kind for repair in outcome.repairs],
        "attempts": trace.told(),
    }
    if call.tenant.show_raw:
        detail["raw"] = first.said.decode("utf-8", "replace")
    if outcome.code == "truncated":
        trace.verdict = "truncated"
        return OutputTruncated(
            "the output reached max_tokens before it was complete; raise max_tokens",
            detail=detail,
        )
    trace.verdict = "invalid"
    return OutputInvalid(f"{outcome.code}: {outcome.message}", detail=detail)
