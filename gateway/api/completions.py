"""`POST /v1/chat/completions`: OpenAI's, checked where a schema is asked for."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final, cast

import msgspec

from gateway.api.asgi import EventStream
from gateway.api.held import held
from gateway.api.live import parts
from gateway.api.plane import Exchange, Plane, capped_tokens, unit_of
from gateway.api.wire import (
    ENCODER,
    ChatAnswer,
    ChatRequest,
    ChoiceOut,
    ChunkChoiceOut,
    ChunkOut,
    DeltaOut,
    MessageOut,
    RequestedFormat,
    decode_chat,
    usage_of,
    wastegate_of,
)
from gateway.errors import BadRequest, UnknownModel
from gateway.pipeline.answer import Answer, answer
from gateway.pipeline.call import Call, Sampling, Surface
from gateway.pipeline.hold_back import may_go_live
from gateway.pipeline.relay import Event, complete, relay
from gateway.telemetry.record import AUTO
from structured.errors import SchemaError
from structured.schema import Schema

_ANY_OBJECT: Final = b'{"type":"object"}'


async def completions(exchange: Exchange) -> None:
    """Serve one request."""
    call = understand(exchange, decode_chat(exchange.body))
    router, trace = exchange.plane.router, exchange.trace
    if call.schema is None:
        if not call.stream:
            await exchange.answer(await complete(router, call, trace))
            return
        async with aclosing(relay(router, call, trace)) as events:
            await _pass_on(exchange, call, events)
        return
    if not call.stream:
        await exchange.answer(_whole(exchange, await answer(router, call, trace)))
        return
    if may_go_live(call):
        await _live(exchange, call)
        return
    result = await held(exchange, answer(router, call, trace))
    await _say(exchange, result.content.decode(), first=True)
    await _finish(exchange, call)


def understand(exchange: Exchange, request: ChatRequest) -> Call:
    """The call that a request means; the trace learns of it.

    Raises:
        UnknownModel: `model` is neither `auto` nor a surface of this tenant.
        BadRequest: a field is over its limit, or the schema does not compile.
    """
    plane, trace = exchange.plane, exchange.trace
    surface = _surface(exchange, request.model)
    trace.surface = surface.name
    trace.stream = bool(request.stream)
    if len(request.messages) > plane.limits.messages:
        raise BadRequest(
            f"{len(request.messages)} messages; at most {plane.limits.messages}",
            param="messages",
        )
    schema = _format(plane, surface, request.response_format)
    own = schema is not surface.schema
    call = Call(
        request_id=trace.request_id,
        tenant=exchange.tenant,
        surface=surface,
        messages=request.messages,
        sampling=_sampling(exchange, request, checked=schema is not None),
        unit=unit_of(surface, exchange, _conversation(exchange, request)),
        schema=schema,
        # Who sends a schema of their own asks the engine for it, as with OpenAI.
        constrained=own or surface.mode == "constrained",
        seconds=plane.limits.request_seconds,
        stream=trace.stream,
        include_usage=bool(
            request.stream_options and request.stream_options.include_usage
        ),
    )
    trace.call = call
    return call


def _surface(exchange: Exchange, model: str) -> Surface:
    if model == AUTO or model in exchange.tenant.surfaces:
        return exchange.plane.surfaces[model]
    known = ", ".join([AUTO, *sorted(exchange.tenant.surfaces)])
    raise UnknownModel(
        f"no model {model[:64]!r}; `model` is one of: {known}", param="model"
    )


def _conversation(exchange: Exchange, request: ChatRequest) -> str | None:
    named = exchange.header(b"x-conversation-id")
    if named:
        return named[:256]
    if request.metadata is not None and request.metadata.conversation_id:
        return request.metadata.conversation_id
    return request.user


def _sampling(exchange: Exchange, request: ChatRequest, *, checked: bool) -> Sampling:
    limits = exchange.plane.limits
    n = request.n or 1
    most = 1 if checked else limits.completions
    if n > most:
        why = " for a checked answer" if checked else ""
        raise BadRequest(f"n is {n}; at most {most}{why}", param="n")
    newer = request.max_completion_tokens
    name = "max_tokens" if newer is None else "max_completion_tokens"
    return Sampling(
        max_tokens=capped_tokens(newer or request.max_tokens, limits, name),
        temperature=request.temperature,
        top_p=request.top_p,
        n=n,
        stop=request.stop,
        seed=request.seed,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        logprobs=bool(request.logprobs),
        top_logprobs=request.top_logprobs,
    )


def _format(
    plane: Plane, surface: Surface, asked: RequestedFormat | None
) -> Schema | None:
    """What to check against; the request's own schema wins."""
    if asked is None or asked.type == "text":
        return surface.schema
    if asked.type == "json_object":
        return _compiled(plane, _ANY_OBJECT, "json_object")
    spec = asked.json_schema
    if spec is None:
        raise BadRequest(
            "response_format of type json_schema needs `json_schema`",
            param="response_format.json_schema",
        )
    return _compiled(plane, bytes(spec.schema), spec.name)


def _compiled(plane: Plane, source: bytes, name: str) -> Schema:
    try:
        return plane.compile(source, name=name)
    except SchemaError as error:
        raise BadRequest(str(error), param="response_format.json_schema") from error


def _whole(exchange: Exchange, result: Answer) -> bytes:
    trace = exchange.trace
    return ENCODER.encode(
        ChatAnswer(
            id=trace.request_id,
            created=exchange.created,
            model=trace.model,
            choices=(ChoiceOut(MessageOut(result.content.decode())),),
            usage=usage_of(trace),
            wastegate=wastegate_of(trace),
        )
    )


async def _live(exchange: Exchange, call: Call) -> None:
    """Stream an answer as it is written; its end only when the whole has passed."""
    first = True
    async with aclosing(parts(exchange, call)) as coming:
        async for part in coming:
            text = part if isinstance(part, str) else part.content.decode()
            # the answer itself is sent where nothing has gone out before it
            if isinstance(part, str) or first:
                await _say(exchange, text, first=first)
            first = False
    await _finish(exchange, call)


def _chunk(exchange: Exchange, *choices: ChunkChoiceOut) -> ChunkOut:
    trace = exchange.trace
    return ChunkOut(trace.request_id, exchange.created, trace.model, choices)


async def _say(exchange: Exchange, text: str, *, first: bool) -> None:
    """Send a piece of a checked answer."""
    stream = exchange.stream or exchange.events()
    delta = DeltaOut("assistant" if first else None, text)
    await stream.event(ENCODER.encode(_chunk(exchange, ChunkChoiceOut(delta))))


async def _finish(exchange: Exchange, call: Call) -> None:
    """End the stream of a checked answer."""
    stream = exchange.stream or exchange.events()
    last = _chunk(exchange, ChunkChoiceOut(DeltaOut(), "stop"))
    if call.include_usage:
        await stream.event(ENCODER.encode(last))
        last = msgspec.structs.replace(_chunk(exchange), usage=usage_of(exchange.trace))
    last = msgspec.structs.replace(last, wastegate=wastegate_of(exchange.trace))
    await stream.event(ENCODER.encode(last))
    await stream.event(b"[DONE]")
    await stream.end()


async def _pass_on(
    exchange: Exchange, call: Call, events: AsyncIterator[Event]
) -> None:
    """Send a stream on as it comes; only its last chunk is touched."""
    unfinished = call.sampling.n
    stream: EventStream | None = None
    async for event in events:
        stream = stream or exchange.events()
        unfinished -= event.finishes
        if event.usage:
            # Asked for on our own account; the client's only if it asked as well.
            if call.include_usage:
                await stream.event(_labelled(exchange, event.data))
        elif event.finishes and not unfinished and not call.include_usage:
            await stream.event(_labelled(exchange, event.data))
        else:
            await stream.event(event.data)
    stream = stream or exchange.events()
    await stream.event(b"[DONE]")
    await stream.end()


def _labelled(exchange: Exchange, data: bytes) -> bytes:
    chunk = cast("dict[str, object]", msgspec.json.decode(data))
    return ENCODER.encode(chunk | {"wastegate": wastegate_of(exchange.trace)})
