"""The one place where an error becomes HTTP: OpenAI's shape, on both planes."""

import logging
import secrets
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from gateway.errors import BadRequest, Defect, GatewayError, InvalidKey, Overloaded

_ENCODER: Final = msgspec.json.Encoder()
_LOG: Final = logging.getLogger("wastegate")

_FRAMEWORK: Final = {
    404: (
        "not_found",
        "there is no such path; the README and /docs list what there is",
    ),
    405: ("method_not_allowed", "this path takes another method"),
}
"""What the web framework refuses by itself, before any code of ours runs."""


def error_body(error: GatewayError, request_id: str) -> bytes:
    """`{"error": {"type", "code", "message", "param", "request_id", …}}`."""
    fields = _fields(error.type, error.code, error.message, request_id)
    return _ENCODER.encode({"error": fields | {"param": error.param, **error.detail}})


def error_headers(error: GatewayError) -> tuple[tuple[bytes, bytes], ...]:
    """What goes with the body beside its type."""
    if isinstance(error, Overloaded):
        return ((b"retry-after", b"1"),)
    if isinstance(error, InvalidKey):
        return ((b"www-authenticate", b"Bearer"),)
    return ()


def unforeseen(error: Exception, request_id: str) -> Defect:
    """What a client is told of an error that nobody foresaw; the log gets the rest."""
    _LOG.error("unforeseen error %s", request_id, exc_info=error)
    return Defect("this is a defect of the gateway; its log has the request's id")


def _fields(kind: str, code: str, message: str, request_id: str) -> dict[str, Any]:
    return {
        "type": kind,
        "code": code,
        "message": message,
        "param": None,
        "request_id": request_id,
    }


def _request_id() -> str:
    return f"req_{secrets.token_hex(12)}"


def _gateway_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, GatewayError):
        raise error
    headers = {key.decode(): value.decode() for key, value in error_headers(error)}
    return _response(error.status, error_body(error, _request_id()), headers)


def _invalid(request: Request, error: Exception) -> Response:
    """FastAPI's own handler repeats the input and fails on NaN and lone surrogates."""
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    where = where.encode("ascii", "backslashreplace").decode()
    refusal = BadRequest(f"{where or 'body'}: {first['msg']}", param=where or None)
    return _gateway_error(request, refusal)


def _framework(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code, message = _FRAMEWORK.get(error.status_code, ("invalid_request", error.detail))
    fields = _fields("invalid_request_error", code, message, _request_id())
    return _response(
        error.status_code, _ENCODER.encode({"error": fields}), error.headers or {}
    )


def _unforeseen(request: Request, error: Exception) -> Response:
    request_id = _request_id()
    defect = unforeseen(error, request_id)
    return _response(defect.status, error_body(defect, request_id), {})


def _response(status: int, body: bytes, headers: Any) -> Response:
    return Response(body, status, dict(headers), media_type="application/json")


def install(app: FastAPI) -> None:
    """Let an application answer every error in the one shape."""
    app.add_exception_handler(GatewayError, _gateway_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _framework)
    app.add_exception_handler(Exception, _unforeseen)
