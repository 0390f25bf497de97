"""Asking the engine for an output that must fit a schema, and checking it."""

import time
from typing import Final

import msgspec

from gateway.errors import (
    AdapterUnavailable,
    OutputInvalid,
    OutputTruncated,
    UpstreamError,
)
from gateway.fleet import Lease
from gateway.pipeline.call import Call, ChatMessage, upstream_body
from gateway.pipeline.route import Router
from gateway.pipeline.trace import Trace
from structured.check import check
from structured.outcome import Accepted, Rejected
from structured.prompt import Message


class Delta(msgspec.Struct, frozen=True, gc=False):
    """A piece of an answer."""

    content: str | None = None


class Choice(msgspec.Struct, frozen=True, gc=False):
    """One choice of a streamed chunk."""

    delta: Delta = Delta()
    finish_reason: str | None = None


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens, as the engine counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """What is read of a streamed chunk; the rest is not looked at."""

    model: str
    choices: tuple[Choice, ...] = ()
    usage: Usage | None = None


_CHUNKS: Final = msgspec.json.Decoder(Chunk)


def decode_chunk(data: bytes, expected: str) -> Chunk:
    """Read one event of the engine's stream.

    Raises:
        UpstreamError: it is no chunk, or another model than the one asked for
            answers (an adapter's name that the engine resolved to something else).
    """
    try:
        chunk = _CHUNKS.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UpstreamError(f"the engine sent no chunk: {error}") from error
    if chunk.model != expected:
        raise UpstreamError(
            f"asked {expected}, but {chunk.model!r} answered; nothing was passed on"
        )
    return chunk


class Output(msgspec.Struct, frozen=True):
    """A whole output of the engine, unchecked."""

    content: bytes
    finish_reason: str


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
        GatewayError: whatever routing and the engine raise.
    """
    try:
        return await _attempts(router, call, trace)
    except AdapterUnavailable:
        if trace.upstream == 0.0:
            raise
        # The engine had forgotten the adapter. Once more: another replica may have
        # it, and the tenant's policy may allow the base.
        return await _attempts(router, call, trace)


async def _attempts(router: Router, call: Call, trace: Trace) -> Answer:
    with router.lease(call, trace) as lease:
        output = await _generate(lease, call, trace, call.messages)
        outcome = _checked(call, output)
        if isinstance(outcome, Accepted):
            return _accepted(call, trace, outcome)
        for _ in range(call.surface.reask if _may_reask(outcome) else 0):
            again = await _generate(
                lease, call, trace, _second_question(call, output, outcome)
            )
            second = _checked(call, again)
            if isinstance(second, Accepted) and not _upgrade(outcome, second):
                return _reasked(trace, second)
        raise _refusal(trace, outcome)


async def _generate(
    lease: Lease,
    call: Call,
    trace: Trace,
    messages: tuple[ChatMessage, ...] | tuple[Message, ...],
) -> Output:
    """One generation, streamed so that its first token can be timed and timed out."""
    body = upstream_body(call, lease.model, stream=True, messages=messages)
    pieces: list[str] = []
    finish_reason = ""
    asked = time.perf_counter()
    try:
        async with lease.member.replica.stream(body) as events:
            async for data in events:
                chunk = decode_chunk(data, lease.model)
                if chunk.usage is not None:
                    usage = chunk.usage
                    trace.used(usage.prompt_tokens, usage.completion_tokens)
                for choice in chunk.choices:
                    if choice.delta.content:
                        trace.first_token()
                        pieces.append(choice.delta.content)
                    finish_reason = choice.finish_reason or finish_reason
    finally:
        trace.upstream += time.perf_counter() - asked
    return Output("".join(pieces).encode("utf-8", "surrogatepass"), finish_reason)


def _checked(call: Call, output: Output) -> Accepted | Rejected:
    if call.schema is None:
        raise AssertionError("only calls with a schema are checked")
    return check(
        output.content,
        call.schema,
        context_ids=call.context_ids,
        finish_reason=output.finish_reason,
        # A constrained output that needs a repair means that the grammar did not
        # hold; hiding that would make the mode look better than it is.
        repair=call.surface.repair and call.mode == "free",
    )


def _accepted(call: Call, trace: Trace, outcome: Accepted) -> Answer:
    trace.repairs = tuple(repair.kind for repair in outcome.repairs)
    if call.mode == "constrained":
        trace.verdict = "constrained"
    else:
        trace.verdict = "repaired" if outcome.repairs else "valid"
    return Answer(outcome.raw, trace.verdict, trace.repairs)


def _may_reask(outcome: Rejected) -> bool:
    return outcome.stage != "gate"


def _second_question(
    call: Call, output: Output, outcome: Rejected
) -> tuple[ChatMessage, ...]:
    """The same chat, the answer that failed, and what was wrong with it."""
    said = tuple(ChatMessage(m.role, m.content) for m in call.messages)  # pyright: ignore[reportArgumentType] -- a rendered prompt's roles are system and user
    return (
        *said,
        ChatMessage("assistant", output.content.decode("utf-8", "replace")),
        ChatMessage(
            "user",
            f"That reply cannot be used ({outcome.path or 'all of it'}:"
            f" {outcome.message}). Send the corrected JSON object and nothing else.",
        ),
    )


def _upgrade(first: Rejected, second: Accepted) -> bool:
    """Whether a refusal or a doubt would turn into an `ok` by asking again."""
    before, after = _status(first.value), _status(second.value)
    return before in ("refused", "uncertain") and after == "ok"


def _status(value: object) -> object:
    return value.get("status") if isinstance(value, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] -- any JSON value may stand here


def _reasked(trace: Trace, second: Accepted) -> Answer:
    trace.repairs = tuple(repair.kind for repair in second.repairs)
    trace.verdict = "reasked"
    return Answer(second.raw, "reasked", trace.repairs)


def _refusal(trace: Trace, outcome: Rejected) -> OutputInvalid | OutputTruncated:
    detail = {
        "stage": outcome.stage,
        "path": outcome.path,
        "repairs": [repair.kind for repair in outcome.repairs],
    }
    if outcome.code == "truncated":
        trace.verdict = "truncated"
        return OutputTruncated(
            "the output reached max_tokens before it was complete; raise max_tokens",
            detail=detail,
        )
    trace.verdict = "invalid"
    return OutputInvalid(f"{outcome.code}: {outcome.message}", detail=detail)
