"""Control plane: adapters and replicas."""

import asyncio
import contextlib
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from adapters.card import verdict_section
from adapters.errors import AdapterError, ManifestError, PlanError
from adapters.lifecycle import State
from adapters.manifest import CARD
from adapters.plan import check_fits
from adapters.refs import AdapterRef
from adapters.registry import Registered
from gateway.api.control_flags import AtDesk, Desk, Name, Why
from gateway.api.operators import Changer, Reader
from gateway.control.changes import Who
from gateway.control.reconcile import Reconciler
from gateway.control.unmount import unmount
from gateway.errors import NotFound, StateConflict, StoreUnavailable, UpstreamTimeout
from routing.rollout import RUNNING

Wait = Annotated[float, Field(ge=0, le=600)]
_HOPELESS: Final = frozenset({State.FAILED, State.QUARANTINED})


class MountBody(BaseModel):
    """An adapter that is to answer; waits until it does."""

    model_config = ConfigDict(extra="forbid", strict=True)
    ref: Name
    why: Why = ""
    wait_seconds: Wait = 60.0


def reconciler(request: Request) -> Reconciler:
    """The loop that makes the replicas as they should be."""
    return request.app.state.reconciler


AtWork = Annotated[Reconciler, Depends(reconciler)]
router = APIRouter(prefix="/admin/v1", tags=["adapters"])


@router.get("/adapters")
async def get_adapters(desk: AtDesk, operator: Reader) -> dict[str, Any]:
    """Every registered adapter, its verdict, where it should be and where it is."""
    registered = await asyncio.to_thread(desk.registry.list)
    digests: dict[str, str | None] = {str(each.ref): each.digest for each in registered}
    # One that is wanted and not registered is the first thing that ops look for.
    wanted = dict.fromkeys(sorted(desk.live.present.mounted))
    words = await desk.verdicts.words(each.digest for each in registered)
    return {
        "adapters": [
            _adapter(desk, ref, digest) | {"verdict": words.get(digest or "")}
            for ref, digest in (wanted | digests).items()
        ]
    }


@router.post("/adapters")
async def mount_adapter(
    body: MountBody, desk: AtDesk, operator: Changer, work: AtWork
) -> dict[str, Any]:
    """Mount an adapter on every replica; 200 once it is proven to have an effect."""
    registered = registered_as(desk, body.ref)
    ref = str(registered.ref)
    _refuse_unfitting(desk, ref)
    work.forgive(ref)
    await desk.changes.mount(ref, Who(operator.name, body.why))
    work.wake()

    def settled() -> bool:
        slots = desk.fleet.states(ref).values()
        decided = [s for s in slots if s.state is State.READY or s.state in _HOPELESS]
        return len(decided) == len(desk.fleet.may_hold(ref)) and desk.fleet.settled()

    in_time = await work.until(settled, within=body.wait_seconds)
    _refuse_unready(desk, ref, in_time=in_time, waited=body.wait_seconds)
    words = await desk.verdicts.words((registered.digest,))
    shown = _adapter(desk, ref, registered.digest)
    return shown | {"verdict": words.get(registered.digest)}


def _refuse_unfitting(desk: Desk, ref: str) -> None:
    """Refuse an adapter that some replica has no slot for, before anything changes."""
    where = desk.fleet.may_hold(ref)
    if not where:
        regions = ", ".join(sorted(desk.fleet.isolation.of(ref).regions))
        raise StateConflict(f"{ref} stays in {regions}: no replica is there")
    wanted = desk.live.present.mounted | {ref}
    for member in where:
        there = (each for each in wanted if member in desk.fleet.may_hold(each))
        try:
            check_fits({AdapterRef(each): "mounted" for each in there}, desk.max_loras)
        except PlanError as error:
            url = member.replica.url
            raise StateConflict(f"{url}: {error}", param="ref") from error


def _refuse_unready(desk: Desk, ref: str, *, in_time: bool, waited: float) -> None:
    slots = desk.fleet.states(ref).items()
    bad = [
        f"{url}: {s.state.value}, {s.reason}"
        for url, s in slots
        if s.state in _HOPELESS
    ]
    if bad:
        raise StateConflict(f"{ref} is not ready: {'; '.join(bad)}", param="ref")
    if not in_time:
        raise UpstreamTimeout(
            f"{ref} is not ready everywhere after {waited:g} s; it goes on, and"
            " GET /admin/v1/adapters shows how far it is"
        )


@router.delete("/adapters/{ref}")
async def unmount_adapter(
    ref: str,
    desk: AtDesk,
    operator: Changer,
    work: AtWork,
    why: Why = "",
    wait_seconds: Wait = 90.0,
) -> dict[str, Any]:
    """Unmount an adapter: routing first, then drain, unload, verify."""
    registered = registered_as(desk, ref)
    done = await unmount(
        str(registered.ref),
        Who(operator.name, why),
        changes=desk.changes,
        fleet=desk.fleet,
        worker=work,
        within=wait_seconds,
    )
    told: dict[str, Any] = msgspec.to_builtins(done)
    desk.event("unmounted", who=operator.name, why=why, **told)
    return told


@router.post("/adapters/{ref}/collect")
async def collect_adapter(ref: str, desk: AtDesk, operator: Changer) -> dict[str, Any]:
    """Delete the files of an adapter that nobody uses and no replica may read."""
    found = AdapterRef.parse(ref) if ref in desk.registry.refs() else None
    if found is None:
        raise NotFound(f"there are no files of {ref[:96]!r} here", param="ref")
    if uses := _uses(desk, ref):
        raise StateConflict(f"{ref} is in use: {'; '.join(uses)}", param="ref")
    running = {
        member.replica.url: member.observed.boot_epoch
        for member in desk.fleet.members
        if member.alive and ref not in member.observed.models
    }
    try:
        size = await asyncio.to_thread(desk.registry.collect, found, running)
    except AdapterError as error:
        raise StateConflict(str(error), param="ref") from error
    return {"ref": ref, "bytes": size}


def _uses(desk: Desk, ref: str) -> list[str]:
    present = desk.live.present
    said = [
        f"bound to {name}" for name, bound in present.bindings.items() if bound == ref
    ]
    if ref in present.mounted:
        said.append(f"mounted: wastegate adapter unmount {ref}")
    said += [
        f"part of rollout {each.id}"
        for each in present.rollouts.values()
        if each.phase in RUNNING
        and ref in (each.plan.candidate.model, each.plan.control.model)
    ]
    return said


@router.get("/adapters/{ref}/card")
async def get_card(ref: str, desk: AtDesk, operator: Reader) -> Response:
    """The adapter's model card, and below it what the evals say, if that is known."""
    registered = registered_as(desk, ref)
    card = registered.path / CARD
    if not card.is_file():
        raise NotFound(f"{ref} was registered without a card", param="ref")
    body = card.read_bytes()
    # The card itself needs no store.
    with contextlib.suppress(StoreUnavailable, ManifestError):
        if verdict := await desk.verdicts.of(registered.digest):
            body = body.rstrip() + f"\n\n{verdict_section(verdict)}".encode()
    return Response(body, media_type="text/markdown; charset=utf-8")


@router.get("/replicas")
async def get_replicas(desk: AtDesk, operator: Reader) -> dict[str, Any]:
    """Every vLLM server, as it was last seen."""
    replicas = [
        {
            "url": member.replica.url,
            "alive": member.alive,
            "base_ready": member.alive
            and desk.fleet.base_name in member.observed.models,
            "boot_epoch": member.observed.boot_epoch,
            "in_flight": member.busy,
            "models": sorted(member.observed.models),
        }
        for member in desk.fleet.members
    ]
    return {"replicas": replicas}


def registered_as(desk: Desk, text: str) -> Registered:
    """An adapter that is named in a request. Raises NotFound."""
    try:
        return desk.registry.get(AdapterRef.parse(text))
    except AdapterError as error:
        raise NotFound(str(error), param="ref") from error


def _adapter(desk: Desk, ref: str, digest: str | None) -> dict[str, Any]:
    present = desk.live.present
    slots = desk.fleet.states(ref)
    alive = {m.replica.url for m in desk.fleet.members if m.alive}
    return {
        "ref": ref,
        "digest": digest,
        "desired": "mounted" if ref in present.mounted else "absent",
        "bound_to": [name for name, bound in present.bindings.items() if bound == ref],
        "replicas": [
            {
                "url": url,
                "alive": url in alive,
                "state": slot.state.value,
                "reason": slot.reason,
                "in_flight": slot.busy,
            }
            for url, slot in slots.items()
        ],
    }
