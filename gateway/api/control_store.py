"""Control plane: whether the store holds what is in force, and writing it back."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from gateway.api.control_flags import AtDesk, Body
from gateway.api.operators import Changer, Reader
from gateway.control.changes import Who
from gateway.control.documents import Refresher
from gateway.live import Live


def refresher(request: Request) -> Refresher:
    """The loop that reads the store."""
    return request.app.state.refresher


Reading = Annotated[Refresher, Depends(refresher)]
router = APIRouter(prefix="/admin/v1/store", tags=["store"])


@router.get("")
async def get_store(desk: AtDesk, reading: Reading, operator: Reader) -> dict[str, Any]:
    """Whether the store answers and holds what is in force here."""
    return _state(desk.live, reading)


@router.post("/restore")
async def restore(
    body: Body, desk: AtDesk, reading: Reading, operator: Changer
) -> dict[str, Any]:
    """Write what is in force here over a store that was emptied or is an old copy."""
    await desk.changes.restore(Who(operator.name, body.why))
    return _state(desk.live, reading)


def _state(live: Live, reading: Refresher) -> dict[str, Any]:
    stored = live.stored
    unheard = live.unheard
    return {
        "up": reading.up,
        "behind": reading.behind,
        "stale": live.stale,
        "id": stored.identity.id,
        "epoch": stored.identity.epoch,
        "versions": {
            "flags": stored.flags_version,
            "bindings": stored.bindings_version,
            "adapters": stored.mounted_version,
        },
        "only_here": {
            "kills": [f"{kill.scope} {kill.name}".strip() for kill in unheard.kills],
            "unmounted": sorted(unheard.unmounted),
            "rolled_back": sorted(unheard.rolled_back.keys()),
        },
    }
