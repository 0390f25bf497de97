"""What every data-plane request goes through: id, key, body, answer or error, record."""

import contextlib
import os
import string
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

import msgspec

from gateway.api.access import Keys
from gateway.api.asgi import (
    JSON,
    ClientGone,
    EventStream,
    Headers,
    Receive,
    Scope,
    Send,
    header,
    read_body,
    send_whole,
    unless_gone,
)
from gateway.api.errors import error_body, error_headers, unforeseen
from gateway.api.limits import Limits
from gateway.errors import BadRequest, Defect, GatewayError, NotAllowed
from gateway.keep.keeper import Keeper
from gateway.pipeline.call import Surface, Tenant
from gateway.pipeline.route import Router
from gateway.pipeline.shadow import Shadow
from gateway.pipeline.trace import Trace
from gateway.telemetry.record import CLIENT_CLOSED, OK, RequestFinished, Sink
from routing.decision import Membership
from routing.tallies import unit_digest
from structured.schema import Schema

_ID_CHARACTERS: Final = frozenset(string.ascii_letters + string.digits + "._-")
_ID_LENGTH: Final = 64


Tally = Callable[[Membership, bytes, RequestFinished], None]
"""Told of each request that is part of a rollout, with its unit's digest."""


class Compile(Protocol):
    """Compiles a schema's bytes; raises SchemaError."""

    def __call__(self, source: bytes, *, name: str) -> Schema: ...


class Plane(msgspec.Struct, frozen=True):
    """What the endpoints share."""

    keys: Keys[Tenant]
    surfaces: Mapping[str, Surface]
    """By name; `auto`, the surface of those that name none, is among them."""
    compile: Compile
    """For the schemas that requests bring."""
    router: Router
    limits: Limits
    sink: Sink
    now: Callable[[], float]
    """Wall clock in seconds since the epoch, for OpenAI's `created`."""
    tally: Tally = lambda _member, _unit, _record: None
    """Counts a request that is part of a rollout; neither blocks nor raises."""
    shadow: Shadow | None = None
    """None where no surface allows its requests to be mirrored."""
    keep: Keeper | None = None
    """None where no tenant has opted in."""

    def surface(self, tenant: Tenant, name: str) -> Surface:
        """A surface that a tenant may use.

        Raises:
            NotAllowed: it is not the tenant's; whether it exists is not said.
        """
        surface = self.surfaces.get(name)
        if surface is None or name not in tenant.surfaces:
            open_to = ", ".join(sorted(tenant.surfaces)) or "none"
            raise NotAllowed(
                f"no surface {name[:64]!r} for this key; it opens: {open_to}",
                param="surface",
            )
        return surface


class Exchange:
    """One request and its answer, as the handler sees them."""

    __slots__ = (
        *("body", "created", "plane", "scope", "send", "stream", "tenant", "trace"),
    )

    def __init__(self, plane: Plane, scope: Scope, send: Send, trace: Trace) -> None:
        self.plane = plane
        self.scope = scope
        self.send = send
        self.trace = trace
        self.stream: EventStream | None = None
        self.body = b""
        self.created = int(plane.now())
        """For OpenAI's `created`: the same in each chunk of an answer."""
        self.tenant: Tenant

    def header(self, name: bytes) -> str | None:
        """A request header."""
        return header(self.scope, name)

    def headers(self) -> Headers:
        """What is known of the answer by now."""
        trace = self.trace
        headers: Headers = [(b"x-request-id", trace.request_id.encode())]
        if trace.generator:
            headers += (
                (b"x-wastegate-generator", trace.generator.encode()),
                (b"x-wastegate-model", trace.model.encode()),
                (b"x-wastegate-reason", trace.reason.encode()),
            )
        if trace.verdict is not None:
            headers.append((b"x-wastegate-verdict", trace.verdict.encode()))
        if trace.repairs:
            kinds = ", ".join(dict.fromkeys(trace.repairs))
            headers.append((b"x-wastegate-repairs", kinds.encode()))
        return headers

    def events(self) -> EventStream:
        """Answer with a stream; its headers say what is known now."""
        self.stream = EventStream(
            self.send, self.headers(), stall=self.plane.limits.write_seconds
        )
        return self.stream

    async def answer(self, body: bytes) -> None:
        """Answer with a whole body, and with what it took in `Server-Timing`."""
        headers = self.headers()
        headers += (JSON, (b"server-timing", self.trace.timing()))
        await send_whole(self.send, 200, body, headers)

    async def refuse(self, error: GatewayError) -> None:
        """Answer with an error: a status if nothing was sent yet, else an event."""
        body = error_body(error, self.trace.request_id)
        if self.stream is not None and self.stream.begun:
            # No [DONE] and no finish_reason: a client must not take it for an end.
            with contextlib.suppress(ClientGone):
                await self.stream.event(body)
                await self.stream.end()
            return
        timing = (b"server-timing", self.trace.timing())
        headers = [*self.headers(), JSON, timing, *error_headers(error)]
        await send_whole(self.send, error.status, body, headers)


class Handler(Protocol):
    """What an endpoint does once the key is known and the body is read."""

    def __call__(self, exchange: Exchange, /) -> Awaitable[None]: ...


class Endpoint:
    """A raw ASGI application around a handler; the record is written in `finally`."""

    def __init__(self, plane: Plane, handler: Handler) -> None:
        self._plane = plane
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        trace = Trace(request_id(scope))
        exchange = Exchange(self._plane, scope, send, trace)
        outcome = Defect.code  # of a task that is cancelled by whoever runs it
        try:
            await self._served(exchange, receive)
            outcome = OK
        except GatewayError as error:
            outcome = error.code
            await exchange.refuse(error)
        except ClientGone:
            outcome = CLIENT_CLOSED
        except Exception as error:  # noqa: BLE001 -- the last who can still answer
            defect = unforeseen(error, trace.request_id)
            outcome = defect.code
            await exchange.refuse(defect)
        finally:
            plane, record = self._plane, trace.finish(outcome)
            plane.sink(record)
            call = trace.call
            if trace.member is not None and call is not None and call.unit is not None:
                unit = unit_digest(record.tenant, call.unit)
                plane.tally(trace.member, unit, record)
                if plane.shadow is not None:
                    plane.shadow.offer(trace, record, unit)
            if plane.keep is not None:
                plane.keep.finished(trace, len(exchange.body))

    async def _served(self, exchange: Exchange, receive: Receive) -> None:
        plane, trace = self._plane, exchange.trace
        exchange.tenant = plane.keys.holder(exchange.scope)
        trace.tenant = exchange.tenant.name
        limits = plane.limits
        exchange.body = await read_body(
            exchange.scope, receive, most=limits.body_bytes, within=limits.body_seconds
        )
        await unless_gone(receive, self._handler(exchange))


def request_id(scope: Scope) -> str:
    """The client's `X-Request-Id` if it is harmless, else one of ours."""
    given = header(scope, b"x-request-id")
    if given and len(given) <= _ID_LENGTH and _ID_CHARACTERS.issuperset(given):
        return given
    return f"req_{os.urandom(12).hex()}"


def unit_of(
    surface: Surface, exchange: Exchange, conversation: str | None
) -> str | None:
    """What the canary sticks to; none where a conversation is expected and missing."""
    if surface.unit == "tenant":
        return exchange.tenant.name
    if surface.unit == "request":
        return exchange.trace.request_id
    return conversation or None


def capped_tokens(asked: int | None, limits: Limits, param: str) -> int:
    """`max_tokens` of a request.

    Raises:
        BadRequest: more than the limit; clamping it would cut answers unseen.
    """
    if asked is None:
        return limits.default_max_tokens
    if asked > limits.max_tokens:
        raise BadRequest(
            f"{param} is {asked}; at most {limits.max_tokens}", param=param
        )
    return asked
