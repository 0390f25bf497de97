"""Foreign errors end here: what the HTTP client raised, what the engine refused.

Messages go out to clients, so they hold no address of a replica and, for the
engine's own faults, nothing of the engine's text; the cause is chained for the log.
"""

from typing import Final

import aiohttp
import msgspec
from aiohttp import http_exceptions

from gateway.engine.connection import BrokenError
from gateway.errors import (
    AdapterUnavailable,
    BadRequest,
    GatewayError,
    Overloaded,
    UpstreamError,
    UpstreamLost,
    UpstreamTimeout,
)

FOREIGN: Final = (aiohttp.ClientError, http_exceptions.HttpProcessingError, OSError)
"""All that an exchange may raise besides cancellation (`TimeoutError` is an `OSError`)."""

MAX_MESSAGE: Final = 500
"""Characters of the engine's message that are passed on: it may quote the prompt."""

_MAY_QUOTE: Final = frozenset({400, 422})
_CLIENTS: Final = range(400, 500)
_UNKNOWN_NAME: Final = "NotFoundError"


class Limit(msgspec.Struct, frozen=True):
    """One deadline: its name as in the settings, and seconds."""

    name: str
    seconds: float

    def passed(self) -> UpstreamTimeout:
        """Make the error of an exchange that passed this limit."""
        return UpstreamTimeout(
            f"the engine did not answer within the {self.name} limit"
            f" of {self.seconds:g} s"
        )


class EngineRefusal(msgspec.Struct, frozen=True):
    """The `error` object of vLLM's error bodies, as far as it is used."""

    message: str = ""
    type: str = ""
    code: int | str | None = None
    """In an event, where there is no other, the HTTP status."""


class _Refused(msgspec.Struct, frozen=True):
    error: EngineRefusal


class _MaybeError(msgspec.Struct, frozen=True):
    error: msgspec.Raw = msgspec.Raw(b"null")


_refused: Final = msgspec.json.Decoder(_Refused)
_maybe_error: Final = msgspec.json.Decoder(_MaybeError)


def said(raw: bytes) -> EngineRefusal:
    """Read an error body; an empty refusal when it is not of vLLM's shape."""
    try:
        refusal = _refused.decode(raw).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return EngineRefusal()
    return msgspec.structs.replace(refusal, message=_tame(refusal.message))


def is_error_event(data: bytes) -> bool:
    """Tell whether a streamed event is `{"error": …}` rather than a chunk.

    The search comes first because it is free: inside a JSON string a quote is
    escaped, so only a key or a token that is exactly `error` gets to the decoder.
    """
    if b'"error"' not in data:
        return False
    try:
        return bytes(_maybe_error.decode(data).error) != b"null"
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def refused(status: int, raw: bytes) -> GatewayError:
    """Translate a completion's answer with a status other than 200."""
    refusal = said(raw)
    if status in _MAY_QUOTE:
        return BadRequest(
            f"the engine refused the request: {refusal.message or 'no reason given'}"
        )
    if status == 404 and refusal.type == _UNKNOWN_NAME:  # noqa: PLR2004 -- HTTP
        return AdapterUnavailable(
            "the engine does not know this model (any more); it has to be mounted first"
        )
    if status == 429:  # noqa: PLR2004 -- HTTP
        return Overloaded("the engine takes no more requests now; try again later")
    return UpstreamError(
        f"the engine answered with status {status} instead of a completion"
    )


def failed(data: bytes) -> GatewayError:
    """Translate an error event: vLLM looks at a grammar once the head has gone."""
    refusal = said(data)
    if isinstance(refusal.code, int) and refusal.code in _CLIENTS:
        return refused(refusal.code, data)
    error = UpstreamError("the engine failed within its stream")
    error.add_note(refusal.message)
    return error


def translated(error: BaseException, limit: Limit | None = None) -> GatewayError:
    """Translate what the HTTP client raised; `limit` is the deadline if it passed."""
    if limit is not None:
        return limit.passed()
    if isinstance(error, BrokenError):
        return UpstreamLost(str(error))
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return UpstreamLost("the engine cannot be reached; is it running?")
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionError):
        return UpstreamLost("the engine closed the connection before its answer ended")
    if isinstance(error, aiohttp.ClientPayloadError):
        return UpstreamError("the engine's answer broke off before its end")
    return UpstreamError(
        f"the engine's answer is not HTTP as it should be ({type(error).__name__})"
    )


def _tame(text: str) -> str:
    """Bound a foreign text and take control characters out of it."""
    return "".join(c if c.isprintable() else " " for c in text[:MAX_MESSAGE])
