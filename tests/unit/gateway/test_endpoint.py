"""What every raw endpoint does, whatever its handler: one answer, one record."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from gateway.api.access import Keys
from gateway.api.asgi import Message, Scope
from gateway.api.front import DataPlane
from gateway.api.limits import Limits
from gateway.api.plane import Endpoint, Exchange, Plane
from gateway.pipeline.call import Tenant
from gateway.pipeline.route import Router
from gateway.telemetry.record import RequestFinished
from structured.schema import compile_schema
from tests.stack import KEY

WHO = Tenant("acme", frozenset(), "none", "salt")
Handler = Callable[[Exchange], Awaitable[None]]


async def served(handler: Handler) -> tuple[list[Message], list[RequestFinished]]:
    """What a client gets from a handler, and the records it leaves."""
    sent: list[Message] = []
    records: list[RequestFinished] = []
    plane = Plane(
        keys=Keys({hashlib.sha256(KEY.encode()).hexdigest(): WHO}),
        surfaces={},
        compile=compile_schema,
        router=cast("Router", None),
        limits=Limits(),
        sink=records.append,
        now=lambda: 0.0,
    )
    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": "/here",
        "headers": [
            (b"authorization", f"Bearer {KEY}".encode()),
            (b"x-request-id", b"mine"),
        ],
    }
    body: Message = {"type": "http.request", "body": b"{}"}
    coming = iter([body])

    async def receive() -> Message:
        for message in coming:
            return message
        return await asyncio.Event().wait() and {}

    async def send(message: Message) -> None:
        sent.append(message)

    app = DataPlane({("POST", "/here"): Endpoint(plane, handler)})
    await app(scope, receive, send)
    return sent, records


async def broken(exchange: Exchange) -> None:
    """A handler with a defect."""
    raise KeyError("secret")


async def broken_later(exchange: Exchange) -> None:
    """A handler with a defect that shows in the middle of a stream."""
    await exchange.events().event(b"{}")
    raise KeyError("secret")


async def test_a_defect_is_a_typed_500_under_the_requests_own_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent, records = await served(broken)
    assert sent[0]["status"] == 500
    error: dict[str, Any] = json.loads(sent[1]["body"])["error"]
    assert (error["code"], error["request_id"]) == ("internal_error", "mine")
    assert [record.outcome for record in records] == ["internal_error"]
    assert "secret" not in error["message"]
    assert "mine" in caplog.text
    assert "secret" in caplog.text


async def test_a_defect_in_a_stream_is_an_event_and_no_success(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent, records = await served(broken_later)
    assert sent[0]["status"] == 200
    assert b'"internal_error"' in sent[-2]["body"]
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert b"[DONE]" not in b"".join(m.get("body", b"") for m in sent)
    assert [record.outcome for record in records] == ["internal_error"]
