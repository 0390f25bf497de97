"""What the gateway needs of one vLLM server, and nothing else.

`gateway.engine.vllm` is the real client; `gateway.engine.fake` is a server with
vLLM's manners that fails on demand. The same contract tests run against both.
Implementations raise only `gateway.errors`: `UpstreamError`, `UpstreamTimeout`,
`BadRequest` (the engine refused the prompt) and `AdapterUnavailable` (the engine
does not know the model's name).
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import msgspec


class Timeouts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long the engine may take; all in seconds."""

    connect: float = 1.0
    """TCP connect: the replica is on a private network, so a second is an outage."""
    first_token: float = 30.0
    """Request sent to first streamed event: prefill, and the engine's own queue."""
    between_chunks: float = 15.0
    """Silence inside a stream: a stuck engine, not a slow one."""
    total: float = 300.0
    """The whole exchange, whatever else happens."""


class Observed(msgspec.Struct, frozen=True):
    """What one look at a replica showed."""

    alive: bool
    boot_epoch: float
    """`process_start_time_seconds`: another value means that it forgot its adapters."""
    models: frozenset[str]
    """Names in the engine's registry; says nothing about residency."""
    late: bool = False
    """It is not alive as far as it has not answered in time: busy, or stuck."""


class Replica(Protocol):
    """One vLLM server."""

    @property
    def url(self) -> str:
        """Its base address, also its name in metrics and tables."""
        ...

    async def complete(self, body: bytes) -> bytes:
        """POST a chat completion that does not stream; the answer's bytes."""
        ...

    def stream(self, body: bytes) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """POST a chat completion that streams.

        Yields each event's data without its `data: ` prefix, `[DONE]` left out.
        Leaving the context early closes the connection, which makes vLLM abort.
        A stream that ends without `[DONE]` raises `UpstreamError`.
        """
        ...

    async def observe(self) -> Observed:
        """Look: health, boot epoch, names. Never raises for a replica that is down."""
        ...

    async def load(self, name: str, path: Path) -> None:
        """Load an adapter under a name from an absolute, staged path."""
        ...

    async def unload(self, name: str) -> None:
        """Take a name away; in-flight requests finish. An unknown name is no error."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...
