import inspect

import aiohttp
import msgspec
import pytest
from aiohttp import client_exceptions, http_exceptions

from gateway.engine.refusal import (
    FOREIGN,
    MAX_MESSAGE,
    Limit,
    failed,
    is_error_event,
    refused,
    translated,
)
from gateway.errors import (
    AdapterUnavailable,
    BadRequest,
    GatewayError,
    Overloaded,
    UpstreamError,
    UpstreamTimeout,
)

foreign = [
    cls
    for module in (client_exceptions, http_exceptions)
    for _, cls in inspect.getmembers(module, inspect.isclass)
    if issubclass(cls, Exception) and cls.__module__ == module.__name__
    # raised by `ws.receive_str` alone, and we open no web socket
    if cls is not client_exceptions.WSMessageTypeError
]


def body(message: str, kind: str) -> bytes:
    return msgspec.json.encode({"error": {"message": message, "type": kind}})


def test_the_reflection_finds_the_http_client_s_errors() -> None:
    assert {aiohttp.ClientError, aiohttp.ServerTimeoutError} <= set(foreign)
    assert len(foreign) > 30


@pytest.mark.parametrize("cls", [*foreign, TimeoutError, ConnectionResetError, OSError])
def test_every_error_of_the_http_client_becomes_one_of_ours(
    cls: type[Exception],
) -> None:
    error = cls.__new__(cls)

    assert issubclass(cls, FOREIGN)
    assert isinstance(translated(error), UpstreamError)
    assert isinstance(translated(error, Limit("total", 3.0)), UpstreamTimeout)


def test_a_time_out_names_its_limit_and_its_seconds() -> None:
    assert "first_token limit of 2.5 s" in Limit("first_token", 2.5).passed().message


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (400, "BadRequestError", BadRequest),
        (422, "UnprocessableEntityError", BadRequest),
        (404, "NotFoundError", AdapterUnavailable),
        (404, "Not Found", UpstreamError),
        (429, "", Overloaded),
        (301, "", UpstreamError),
        (401, "", UpstreamError),
        (500, "InternalServerError", UpstreamError),
        (503, "ServiceUnavailableError", UpstreamError),
    ],
)
def test_a_status_becomes_the_error_that_fits(
    status: int, kind: str, expected: type[GatewayError]
) -> None:
    assert type(refused(status, body("why", kind))) is expected


def test_the_engine_s_reason_is_passed_on_bounded_and_tame() -> None:
    error = refused(400, body("bad \x1b[31m\r\n" + "x" * 9_000, "BadRequestError"))

    assert "bad" in error.message
    assert error.message.isprintable()
    assert len(error.message) < MAX_MESSAGE + 100


def test_the_engine_s_own_faults_are_not_quoted_to_clients() -> None:
    assert "/srv" not in refused(500, body("/srv/secret.py", "x")).message


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (400, BadRequest),
        (404, AdapterUnavailable),
        (429, Overloaded),
        (500, UpstreamError),
        (None, UpstreamError),
        ("400", UpstreamError),
    ],
)
def test_an_error_event_tells_its_status_itself(
    code: object, expected: type[GatewayError]
) -> None:
    error = {"message": "why", "type": "NotFoundError", "code": code}

    assert type(failed(msgspec.json.encode({"error": error}))) is expected


@pytest.mark.parametrize("raw", [b"", b"<html>", b"\xff", b"[]", b'{"error": "no"}'])
def test_a_body_that_is_no_error_object_still_gives_an_error(raw: bytes) -> None:
    assert isinstance(refused(400, raw), BadRequest)
    assert isinstance(refused(404, raw), UpstreamError)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"error": {"message": "m"}}', True),
        (b' {"id":"1","error":"text"}', True),
        (b'{"error":null,"choices":[]}', False),
        (b'{"choices":[{"delta":{"content":"error"}}]}', False),
        (b'{"choices":[{"delta":{"content":"{\\"error\\": 1}"}}]}', False),
        (b'"error"', False),
        (b'{"error"', False),
    ],
)
def test_an_error_event_is_told_from_a_token_that_says_error(
    data: bytes,
    expected: bool,  # noqa: FBT001 -- a column of the table
) -> None:
    assert is_error_event(data) is expected
