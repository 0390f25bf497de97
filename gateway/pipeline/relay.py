"""Passing an answer through that asked for no schema: untouched and unbuffered."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import msgspec

from gateway.errors import UpstreamError
from gateway.pipeline.call import Call, upstream_body
from gateway.pipeline.generate import Chunk, Usage, decode_chunk
from gateway.pipeline.route import ELSEWHERE, Router
from gateway.pipeline.trace import Trace


class _Completion(msgspec.Struct, frozen=True, gc=False):
    """What is read of a whole completion; its bytes go on as they are."""

    model: str
    usage: Usage | None = None


_COMPLETIONS: Final = msgspec.json.Decoder(_Completion)


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event of a stream on its way through."""

    data: bytes
    """The engine's bytes, without `data: ` and line ends."""
    finishes: bool
    """Whether a choice ends here."""
    usage: bool
    """Whether it is the usage chunk that follows the choices."""


async def complete(router: Router, call: Call, trace: Trace) -> bytes:
    """One completion, not streamed; the engine's bytes.

    Raises:
        GatewayError: whatever routing and the engine raise.
    """
    try:
        return await _complete(router, call, trace)
    except ELSEWHERE:
        if trace.upstream == 0.0:
            raise
        trace.again()
        return await _complete(router, call, trace)


async def _complete(router: Router, call: Call, trace: Trace) -> bytes:
    with router.lease(call, trace) as lease:
        body = upstream_body(call, lease.model, stream=False)
        asked = time.perf_counter()
        try:
            raw = await lease.member.replica.complete(body)
        finally:
            trace.upstream += time.perf_counter() - asked
        try:
            seen = _COMPLETIONS.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UpstreamError(f"the engine sent no completion: {error}") from error
        if seen.model != lease.model:
            raise UpstreamError(
                f"asked {lease.model}, but {seen.model!r} answered;"
                " nothing was passed on"
            )
        if seen.usage is not None:
            trace.used(seen.usage.prompt_tokens, seen.usage.completion_tokens)
        return raw


async def relay(router: Router, call: Call, trace: Trace) -> AsyncGenerator[Event]:
    """One streamed completion, event by event.

    The first event comes only when the engine has sent it, so that whatever fails
    before is an HTTP error and not a broken stream.

    Raises:
        GatewayError: before the first event or in the middle.
    """
    begun, tries = False, 2
    while tries:
        tries -= 1
        try:
            async with aclosing(_relay(router, call, trace)) as events:
                async for event in events:
                    begun = True
                    yield event
        except ELSEWHERE:
            # Once more, if it was the engine that did not know the adapter or is gone.
            if begun or not tries or trace.upstream == 0.0:
                raise
            trace.again()
        else:
            return


async def _relay(router: Router, call: Call, trace: Trace) -> AsyncGenerator[Event]:
    with router.lease(call, trace) as lease:
        body = upstream_body(call, lease.model, stream=True)
        waiting: float | None = time.perf_counter()
        try:
            async with lease.member.replica.stream(body) as events:
                async for data in events:
                    trace.upstream += time.perf_counter() - waiting
                    # While the client reads, the clock of the engine stands still.
                    waiting = None
                    yield _seen(decode_chunk(data, lease.model), data, trace)
                    waiting = time.perf_counter()
        finally:
            if waiting is not None:
                trace.upstream += time.perf_counter() - waiting


def _seen(chunk: Chunk, data: bytes, trace: Trace) -> Event:
    if chunk.usage is not None:
        trace.used(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
    finishes = False
    for choice in chunk.choices:
        if choice.delta.content:
            trace.first_token()
        finishes = finishes or choice.finish_reason is not None
    return Event(data, finishes, usage=chunk.usage is not None and not chunk.choices)
