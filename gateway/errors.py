"""The one error tree; `gateway.api.errors` is the one place that makes HTTP of it.

    GatewayError
    ├── BadRequest             400 invalid_request
    ├── InvalidKey             401 invalid_key
    ├── NotAllowed             403 not_allowed
    ├── UnknownModel           404 unknown_model
    ├── NotFound               404 not_found
    ├── StateConflict          409 conflict           (control plane)
    ├── TooLarge               413 too_large
    ├── PreconditionRequired   428 precondition_required (control plane)
    ├── Overloaded             429 overloaded         (with Retry-After)
    ├── Defect                 500 internal_error     (ours; the log has its cause)
    ├── UpstreamError          502 upstream_error
    ├── OutputInvalid          502 output_invalid     (stage, path, repairs)
    ├── OutputTruncated        502 output_truncated
    ├── AdapterUnavailable     503 adapter_unavailable
    ├── StoreUnavailable       503 store_unavailable  (control plane)
    └── UpstreamTimeout        504 upstream_timeout

`SettingsError` stands apart: it ends the program at start and never meets HTTP.
"""

from collections.abc import Mapping
from typing import ClassVar


class GatewayError(Exception):
    """What a client is told: what is wrong, and what would be right."""

    status: ClassVar[int]
    code: ClassVar[str]
    type: ClassVar[str]

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        detail: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.detail: Mapping[str, object] = detail or {}


class BadRequest(GatewayError):
    """The request cannot be understood as it is."""

    status, code, type = 400, "invalid_request", "invalid_request_error"


class InvalidKey(GatewayError):
    """No key, or one that nobody holds."""

    status, code, type = 401, "invalid_key", "authentication_error"


class NotAllowed(GatewayError):
    """The key is good, but not for this."""

    status, code, type = 403, "not_allowed", "permission_error"


class UnknownModel(GatewayError):
    """`model` names neither a surface of the tenant nor `auto`."""

    status, code, type = 404, "unknown_model", "invalid_request_error"


class NotFound(GatewayError):
    """No such thing on the control plane, or no such request to give feedback on."""

    status, code, type = 404, "not_found", "invalid_request_error"


class StateConflict(GatewayError):
    """The state has moved on since the caller read it, or forbids the change."""

    status, code, type = 409, "conflict", "invalid_request_error"


class TooLarge(GatewayError):
    """The body is over its limit."""

    status, code, type = 413, "too_large", "invalid_request_error"


class PreconditionRequired(GatewayError):
    """A write came without the version that it was made from."""

    status, code, type = 428, "precondition_required", "invalid_request_error"


class Overloaded(GatewayError):
    """Every replica that could answer is full."""

    status, code, type = 429, "overloaded", "overloaded_error"


class Defect(GatewayError):
    """Something of ours broke; the client is owed an answer all the same."""

    status, code, type = 500, "internal_error", "internal_error"


class UpstreamError(GatewayError):
    """The engine is down, or answered with something that is no answer."""

    status, code, type = 502, "upstream_error", "upstream_error"


class UpstreamLost(UpstreamError):
    """The replica cannot be reached, or has broken off; another one may answer."""


class OutputInvalid(GatewayError):
    """The output does not fit its schema and cannot be repaired honestly."""

    status, code, type = 502, "output_invalid", "schema_invalid"


class OutputTruncated(GatewayError):
    """The output ended before it was complete."""

    status, code, type = 502, "output_truncated", "output_error"


class AdapterUnavailable(GatewayError):
    """The chosen adapter is ready on no replica, and no fallback is allowed."""

    status, code, type = 503, "adapter_unavailable", "unavailable_error"


class StoreUnavailable(GatewayError):
    """The store did not take the change; nothing was written."""

    status, code, type = 503, "store_unavailable", "unavailable_error"


class UpstreamTimeout(GatewayError):
    """The engine did not answer in time."""

    status, code, type = 504, "upstream_timeout", "upstream_error"


class SettingsError(Exception):
    """A configuration that cannot be used: the key's path, and what would be right."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message
