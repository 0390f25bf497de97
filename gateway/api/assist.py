"""`POST /v1/assist`: a question with its context in, a checked object out."""

from contextlib import aclosing

import msgspec

from gateway.api.held import held
from gateway.api.live import parts
from gateway.api.plane import Exchange, capped_tokens, unit_of
from gateway.api.wire import (
    ENCODER,
    AssistAnswer,
    AssistDelta,
    AssistRequest,
    decode_assist,
    usage_of,
)
from gateway.errors import BadRequest
from gateway.pipeline.answer import Answer, answer
from gateway.pipeline.call import Call, Sampling
from gateway.pipeline.hold_back import may_go_live
from gateway.pipeline.trace import Trace
from structured.prompt import render

DEFAULT_SURFACE = "assist"


async def assist(exchange: Exchange) -> None:
    """Serve one request."""
    call = understand(exchange, decode_assist(exchange.body))
    router = exchange.plane.router
    if not call.stream:
        result = await answer(router, call, exchange.trace)
        await exchange.answer(_body(exchange.trace, result))
        return
    if may_go_live(call):
        result = await _live(exchange, call)
    else:
        result = await held(exchange, answer(router, call, exchange.trace))
    stream = exchange.stream or exchange.events()
    await stream.event(_body(exchange.trace, result))
    await stream.event(b"[DONE]")
    await stream.end()


async def _live(exchange: Exchange, call: Call) -> Answer:
    """Send the answer's text as it is written; the answer, once it has passed."""
    async with aclosing(parts(exchange, call)) as coming:
        async for part in coming:
            if isinstance(part, Answer):
                return part
            stream = exchange.stream or exchange.events()
            delta = AssistDelta(exchange.trace.request_id, part)
            await stream.event(ENCODER.encode(delta))
    raise AssertionError("the last part is the answer")


def understand(exchange: Exchange, request: AssistRequest) -> Call:
    """The call that a request means; the trace learns of it.

    Raises:
        NotAllowed: the surface is not this tenant's.
        BadRequest: the surface has no schema, or the context is not usable.
    """
    plane, trace = exchange.plane, exchange.trace
    surface = plane.surface(exchange.tenant, request.surface or DEFAULT_SURFACE)
    trace.surface = surface.name
    trace.stream = request.stream
    if surface.schema is None:
        raise BadRequest(
            f"surface {surface.name!r} has no schema; use /v1/chat/completions",
            param="surface",
        )
    given = request.input
    _check_context(given.context, [item.id for item in given.context], exchange)
    call = Call(
        request_id=trace.request_id,
        tenant=exchange.tenant,
        surface=surface,
        messages=render(given),
        sampling=Sampling(
            max_tokens=capped_tokens(request.max_tokens, plane.limits, "max_tokens"),
            temperature=request.temperature,
        ),
        unit=unit_of(surface, exchange, request.conversation),
        schema=surface.schema,
        constrained=surface.mode == "constrained",
        given=given,
        seconds=plane.limits.request_seconds,
        stream=request.stream,
    )
    trace.call = call
    return call


def _check_context(
    items: tuple[object, ...], ids: list[str], exchange: Exchange
) -> None:
    most = exchange.plane.limits.context_items
    if len(items) > most:
        raise BadRequest(
            f"{len(items)} context items; at most {most}", param="input.context"
        )
    if len(set(ids)) != len(ids):
        raise BadRequest(
            "two context items have the same id; a citation of it would mean nothing",
            param="input.context",
        )


def _body(trace: Trace, result: Answer) -> bytes:
    return ENCODER.encode(
        AssistAnswer(
            id=trace.request_id,
            output=msgspec.Raw(result.content),
            generator=trace.generator,
            model=trace.model,
            reason=trace.reason,
            verdict=result.verdict,
            repairs=result.repairs,
            usage=usage_of(trace),
        )
    )
