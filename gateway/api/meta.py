"""`/v1/models`, `/healthz` and `/readyz`: what there is, and whether it can be asked."""

from collections.abc import Callable
from typing import Final

import msgspec

from gateway.api.asgi import JSON, Receive, Scope, Send, send_whole
from gateway.api.plane import Exchange
from gateway.api.wire import ENCODER
from gateway.telemetry.record import AUTO


class ModelOut(msgspec.Struct, frozen=True):
    """One name that `model` may have."""

    id: str
    created: int
    object: str = "model"
    owned_by: str = "wastegate"


async def models(exchange: Exchange) -> None:
    """The tenant's surfaces and `auto`; engine names are not the client's business."""
    names = (AUTO, *sorted(exchange.tenant.surfaces))
    listed = [ModelOut(name, created=0) for name in names]
    await exchange.answer(ENCODER.encode({"object": "list", "data": listed}))


class Readiness(msgspec.Struct, frozen=True):
    """Whether to send traffic here, and what is missing if not."""

    ready: bool
    missing: tuple[str, ...] = ()
    """Without these nothing can be answered."""
    degraded: tuple[str, ...] = ()
    """Without these the base still answers."""


class Probe:
    """A raw endpoint without a key: says little, costs nothing, touches no store."""

    def __init__(self, look: Callable[[], Readiness]) -> None:
        self._look = look

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        seen = self._look()
        await send_whole(
            send, 200 if seen.ready else 503, ENCODER.encode(seen), (JSON,)
        )


ALIVE: Final = Readiness(ready=True)
