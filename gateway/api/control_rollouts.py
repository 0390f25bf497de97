"""Control plane: rollouts, what they are waiting for, and how they were judged."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from pydantic import Field

from gateway.api.control_flags import Body
from gateway.api.operators import Changer, Reader
from gateway.control.changes import Who
from gateway.control.orders import Orders, planned
from gateway.control.rollouts import decode_record
from gateway.errors import NotFound, StoreUnavailable
from routing.errors import RolloutError, StoreError
from routing.rollout import Rollout
from routing.tallies import Entry, Tallies

MOST_RECORDS = 1_000


class StartBody(Body):
    """A plan, and a reason to start although something is missing."""

    plan: dict[str, Any]
    override: Annotated[str, Field(max_length=1000)] = ""


class PromoteBody(Body):
    """A reason to promote although something is not proved."""

    override: Annotated[str, Field(max_length=1000)] = ""


def orders(request: Request) -> Orders:
    """What carries out orders."""
    return request.app.state.orders


def tallies(request: Request) -> Tallies:
    """Where records are."""
    return request.app.state.tallies


Ordering = Annotated[Orders, Depends(orders)]
Recorded = Annotated[Tallies, Depends(tallies)]
router = APIRouter(prefix="/admin/v1/rollouts", tags=["rollouts"])


@router.get("")
async def list_rollouts(ordering: Ordering, operator: Reader) -> dict[str, Any]:
    """Every rollout that runs, and the last that are over, newest first."""
    rollouts = tuple(ordering.ground.live.present.rollouts.values())
    return {"rollouts": [_shown(each) for each in rollouts[::-1]]}


@router.post("", status_code=201)
async def start(
    body: StartBody, ordering: Ordering, operator: Changer
) -> dict[str, Any]:
    """Start a rollout."""
    who = Who(operator.name, body.why)
    return _shown(await ordering.start(planned(body.plan), who, body.override))


@router.get("/{id_}")
async def get_rollout(
    id_: str, ordering: Ordering, recorded: Recorded, operator: Reader
) -> dict[str, Any]:
    """One rollout, with the newest look at it."""
    rollout = ordering.ground.live.present.rollouts.get(id_)
    if rollout is None:
        raise NotFound(f"there is no rollout {id_[:64]!r}")
    try:
        newest = await _records(recorded, id_, 1)
    except StoreUnavailable:
        newest = []  # where it is, is known without the store
    return _shown(rollout) | {"look": newest[0] if newest else None}


@router.get("/{id_}/records")
async def get_records(
    id_: str,
    recorded: Recorded,
    operator: Reader,
    limit: Annotated[int, Field(ge=1, le=MOST_RECORDS)] = 50,
) -> dict[str, Any]:
    """How it was judged, newest first: each with all that is needed to judge again."""
    return {"records": await _records(recorded, id_, limit)}


@router.post("/{id_}/pause")
async def pause(
    id_: str, body: Body, ordering: Ordering, operator: Changer
) -> dict[str, Any]:
    """Hold a rollout where it is; harm still rolls it back."""
    return _shown(await ordering.pause(id_, Who(operator.name, body.why)))


@router.post("/{id_}/resume")
async def resume(
    id_: str, body: Body, ordering: Ordering, operator: Changer
) -> dict[str, Any]:
    """Let it go on."""
    return _shown(await ordering.resume(id_, Who(operator.name, body.why)))


@router.post("/{id_}/promote")
async def promote(
    id_: str, body: PromoteBody, ordering: Ordering, operator: Changer
) -> dict[str, Any]:
    """Give the whole scope to the candidate, which has passed every gate."""
    who = Who(operator.name, body.why)
    return _shown(await ordering.promote(id_, who, body.override))


@router.post("/{id_}/rollback")
async def roll_back(
    id_: str, body: Body, ordering: Ordering, operator: Changer
) -> dict[str, Any]:
    """Give the scope back to the control: in force here when this answers.

    With the store away `persisted` is false; it is written down when the store is back.
    """
    who = Who(operator.name, body.why)
    rollout, persisted = await ordering.roll_back(id_, who)
    return _shown(rollout) | {"persisted": persisted}


def _shown(rollout: Rollout) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(rollout)
    return shown | {
        "weight": rollout.weight,
        "stage": rollout.stage,
        "left_out": rollout.plan.left_out,
    }


async def _records(recorded: Tallies, id_: str, limit: int) -> list[dict[str, Any]]:
    try:
        entries = await recorded.records(id_, limit)
    except StoreError as error:
        raise StoreUnavailable(f"the records cannot be read: {error}") from error
    return [_record(entry) for entry in entries]


def _record(entry: Entry) -> dict[str, Any]:
    try:
        record = decode_record(entry.body)
    except (msgspec.DecodeError, RolloutError) as error:
        return {"number": entry.number, "unreadable": str(error)}
    return {"number": entry.number} | msgspec.to_builtins(record)
