"""What one request left behind: the single record that every sink reads.

The pipeline writes it once, in `finally`, so a request that failed, was refused or
lost its client is counted like one that went well. It holds no prompt, no output and
no key: a sink cannot leak what it never gets.
"""

from collections.abc import Collection
from typing import Final, Literal, NamedTuple, Protocol

import msgspec

Mode = Literal["free", "constrained", "none"]
"""How the output was decoded; `none` when the request asked for no schema."""

OK: Final = "ok"
CLIENT_CLOSED: Final = "client_closed"
OTHER: Final = "other"
"""The label of everything that is not in a closed set."""
AUTO: Final = "auto"
"""The surface of a request that named none."""

OUTCOMES: Final = frozenset(
    {
        OK,
        CLIENT_CLOSED,
        "invalid_request",
        "invalid_key",
        "not_allowed",
        "unknown_model",
        "not_found",
        "too_large",
        "overloaded",
        "upstream_error",
        "output_invalid",
        "output_truncated",
        "adapter_unavailable",
        "upstream_timeout",
        "internal_error",
    }
)
GENERATORS: Final = ("base", "lora", "lora_pref")
VERDICTS: Final = frozenset(
    {"valid", "repaired", "reasked", "constrained", "invalid", "truncated"}
)
MODES: Final = frozenset({"free", "constrained", "none"})


ATTEMPTS: Final = frozenset({"first", "reask", "constrained"})
STAGES: Final = frozenset(
    {"gate", "strict", "envelope", "syntax", "coerce", "live", "reask"}
)


def known(value: str, closed: Collection[str]) -> str:
    """A label's value: itself if it is in its closed set."""
    return value if value in closed else OTHER


class Rejection(NamedTuple):
    """An output that was not passed on: which attempt, refused where, and why."""

    attempt: str
    stage: str
    code: str


class RequestFinished(msgspec.Struct, frozen=True, gc=False):
    """One request, from its first byte in to its last byte out.

    What a refused request never learned (a tenant before its key was checked, a
    generator before the flag was resolved) is the empty string.
    """

    request_id: str
    tenant: str
    surface: str
    """The surface's name, or `AUTO`."""
    generator: str
    model: str
    """The immutable ref that answered, such as `acme-behav-lora@v1`."""
    reason: str
    """The decision as in `X-Wastegate-Reason`."""
    outcome: str
    """One of `OUTCOMES`: `ok`, an error's code, or `client_closed`."""
    verdict: str | None
    """What the check of the output said; None where nothing was checked."""
    mode: Mode
    stream: bool
    prompt_tokens: int
    completion_tokens: int
    ttft: float | None
    """Seconds to the first token upstream; None if there was none."""
    duration: float
    """Seconds, all of it."""
    upstream: float
    """Seconds of `duration` spent waiting for the engine; 0 if it was never asked."""
    repairs: tuple[str, ...]
    """The kinds of the repairs made, one entry each."""
    rejections: tuple[Rejection, ...] = ()
    """The outputs that were refused on the way, whatever came after them."""


class Sink(Protocol):
    """Where records go. A sink neither blocks nor raises on any record."""

    def __call__(self, record: RequestFinished, /) -> None: ...


def fan_out(*sinks: Sink) -> Sink:
    """One sink that hands each record to all of `sinks`, in their order."""

    def emit(record: RequestFinished, /) -> None:
        for sink in sinks:
            sink(record)

    return emit
