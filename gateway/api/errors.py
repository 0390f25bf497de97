"""The one place where an error becomes HTTP: OpenAI's shape, on both planes."""

from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.errors import GatewayError, InvalidKey, Overloaded

_RETRY_AFTER: Final = (b"retry-after", b"1")
_CHALLENGE: Final = (b"www-authenticate", b"Bearer")
_ENCODER: Final = msgspec.json.Encoder()


def error_body(error: GatewayError, request_id: str) -> bytes:
    """`{"error": {"type", "code", "message", "param", "request_id", …}}`."""
    fields: dict[str, object] = {
        "type": error.type,
        "code": error.code,
        "message": error.message,
        "param": error.param,
        "request_id": request_id,
    }
    return _ENCODER.encode({"error": fields | dict(error.detail)})


def error_headers(error: GatewayError) -> tuple[tuple[bytes, bytes], ...]:
    """What goes with the body beside its type."""
    if isinstance(error, Overloaded):
        return (_RETRY_AFTER,)
    if isinstance(error, InvalidKey):
        return (_CHALLENGE,)
    return ()


STATUS_WORDS: Final[Mapping[int, tuple[str, str]]] = {
    404: ("not_found", "no such path; GET /v1/models and /docs list what there is"),
    405: ("method_not_allowed", "this path takes another method"),
}
"""For what the web framework refuses by itself, before any of our code runs."""
