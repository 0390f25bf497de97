"""Control plane: flags, kills, overrides, bindings, and why a unit gets what it gets."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from adapters.errors import AdapterError
from adapters.refs import AdapterRef
from adapters.registry import Registry
from gateway.api.operators import Changer, Reader
from gateway.control.changes import Changes, Who
from gateway.control.leader import Leader
from gateway.control.presence import Presence
from gateway.control.verdicts import Verdicts
from gateway.errors import (
    BadRequest,
    NotFound,
    PreconditionRequired,
)
from gateway.fleet import Fleet
from gateway.isolation import NOWHERE
from gateway.live import Live, Present
from routing.decision import Query
from routing.errors import FlagError, PartError, StoreError
from routing.flags import FLAG, FlagDocument
from routing.rules import Generator, Kill, Scope
from routing.store import Store

Why = Annotated[str, Field(max_length=1000)]
Name = Annotated[str, Field(max_length=256)]


class Desk(msgspec.Struct, frozen=True):
    """What these endpoints work with."""

    live: Live
    changes: Changes
    store: Store
    registry: Registry
    fleet: Fleet
    verdicts: Verdicts
    presence: Presence
    leader: Leader
    base_ref: str
    max_loras: int
    """Adapters that a replica holds at once."""
    event: Callable[..., None]
    """Writes a log line: its name, and its fields as keywords."""


class Body(BaseModel):
    """A JSON body; a field that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", strict=True)
    why: Why = ""


class FlagBody(Body):
    """The whole flag document, as GET gives it."""

    key: Literal["GENERATOR"] = "GENERATOR"
    version: int | None = None
    hash: Literal["flagd-v3"] = "flagd-v3"
    salt: str = "r1"
    default: Generator = "base"
    lora: int = Field(0, description="basis points of the units")
    lora_pref: int = Field(0, description="basis points of the units")
    overrides: dict[Name, Generator] = {}
    surfaces: dict[Name, dict[str, Any]] = {}
    kills: list[dict[str, Any]] = []
    rollouts: list[dict[str, Any]] | None = Field(
        None, description="as GET gives them, or left out: they are the controller's"
    )


class KillBody(Body):
    """What to take the boost away from; a global kill has no name."""

    scope: Scope
    name: Name = ""


class OverrideBody(Body):
    """What a tenant gets whatever the percentages say."""

    variant: Generator


class BindBody(Body):
    """Which adapter a generator means."""

    ref: Name


def desk(request: Request) -> Desk:
    """What the application was put together with."""
    return request.app.state.desk


AtDesk = Annotated[Desk, Depends(desk)]
router = APIRouter(prefix="/admin/v1", tags=["flags"])


@router.get("/flags/GENERATOR")
async def get_flag(
    desk: AtDesk, operator: Reader, response: Response
) -> dict[str, Any]:
    """The flag document in force, its version as ETag."""
    return _flag(desk.live.present, response)


@router.put("/flags/GENERATOR")
async def put_flag(
    body: FlagBody,
    desk: AtDesk,
    operator: Changer,
    response: Response,
    if_match: Annotated[str | None, Header()] = None,
) -> dict[str, Any]:
    """Replace the flag document that the `If-Match` version names."""
    document = _document(body, desk.live.stored.flags)
    expect = _version(if_match)
    who = Who(operator.name, body.why)
    present = await desk.changes.set_flags(document, expect=expect, who=who)
    return _flag(present, response)


def _document(body: FlagBody, held: FlagDocument) -> FlagDocument:
    fields = body.model_dump(exclude={"key", "version", "why"}, exclude_none=True)
    try:
        document = msgspec.convert(fields, FlagDocument)
    except FlagError as error:
        raise BadRequest(error.message, param=error.path) from error
    except msgspec.ValidationError as error:
        raise BadRequest(str(error)) from error
    if body.rollouts is not None and document.rollouts != held.rollouts:
        raise BadRequest(
            "are not those in force: they are the controller's, and `wastegate rollout`"
            " changes them; leave them out to keep them as they are",
            param="rollouts",
        )
    return msgspec.structs.replace(document, rollouts=held.rollouts)


def _version(if_match: str | None) -> int:
    if if_match is None:
        raise PreconditionRequired(
            'send If-Match: "VERSION" with the version that GET gave as ETag',
            param="If-Match",
        )
    text = if_match.strip().removeprefix("W/").strip('"')
    if not text.isdecimal():
        raise BadRequest('If-Match is a version, such as "7"', param="If-Match")
    return int(text)


def _flag(present: Present, response: Response) -> dict[str, Any]:
    version = present.flags_version
    response.headers["ETag"] = f'"{version}"'
    document = msgspec.to_builtins(present.flags)
    return {"key": FLAG, "version": version} | document


@router.get("/kill")
async def get_kills(desk: AtDesk, operator: Reader) -> dict[str, Any]:
    """The kills in force, those that only this gateway knows of included."""
    return _kills(desk.live.present, persisted=not desk.live.unheard.kills)


@router.post("/kill")
async def add_kill(body: KillBody, desk: AtDesk, operator: Changer) -> dict[str, Any]:
    """Take the boost away from a scope: in force here when this answers.

    The others have a second to say that they have it too; the answer names who has.
    """
    who = Who(operator.name, body.why)
    present, persisted = await desk.changes.kill(_kill(body), who)
    shown = _kills(present, persisted=persisted)
    try:
        if persisted:
            workers = [report.name for report in desk.leader.reports]
            heard = await desk.presence.heard(present.flags_version, workers)
        else:
            heard = await desk.leader.heard()
    except StoreError:
        heard = await desk.leader.heard()
    return shown | msgspec.to_builtins(heard)


@router.delete("/kill")
async def remove_kill(
    body: KillBody, desk: AtDesk, operator: Changer
) -> dict[str, Any]:
    """Take a kill back."""
    who = Who(operator.name, body.why)
    return _kills(await desk.changes.unkill(_kill(body), who), persisted=True)


def _kill(body: KillBody) -> Kill:
    kill = Kill(body.scope, body.name)
    try:
        # A document of this kill alone: whatever is wrong is the kill's own fault.
        FlagDocument(kills=(kill,))
    except FlagError as error:
        raise BadRequest(error.message, param=error.path.rpartition(".")[2]) from error
    return kill


def _kills(present: Present, *, persisted: bool) -> dict[str, Any]:
    kills = msgspec.to_builtins(present.flags.kills)
    version = present.flags_version
    return {"kills": kills, "version": version, "persisted": persisted}


@router.get("/overrides")
async def get_overrides(desk: AtDesk, operator: Reader) -> dict[str, Any]:
    """What tenants are pinned to."""
    return _overrides(desk.live.present)


@router.put("/overrides/{tenant}")
async def put_override(
    tenant: str, body: OverrideBody, desk: AtDesk, operator: Changer
) -> dict[str, Any]:
    """Pin a tenant to a generator."""
    who = Who(operator.name, body.why)
    return _overrides(await desk.changes.override(tenant, body.variant, who))


@router.delete("/overrides/{tenant}")
async def delete_override(
    tenant: str, desk: AtDesk, operator: Changer, why: Why = ""
) -> dict[str, Any]:
    """Let a tenant go by the rules again."""
    who = Who(operator.name, why)
    return _overrides(await desk.changes.override(tenant, None, who))


def _overrides(present: Present) -> dict[str, Any]:
    return {
        "overrides": dict(present.flags.overrides),
        "version": present.flags_version,
    }


@router.get("/bindings")
async def get_bindings(desk: AtDesk, operator: Reader) -> dict[str, Any]:
    """Which adapter each generator means."""
    return _bindings(desk.live.present)


@router.put("/bindings/{generator}")
async def put_binding(
    generator: Literal["lora", "lora_pref"],
    body: BindBody,
    desk: AtDesk,
    operator: Changer,
) -> dict[str, Any]:
    """Let a generator mean a registered adapter."""
    try:
        ref = AdapterRef.parse(body.ref)
        desk.registry.get(ref)
    except AdapterError as error:
        raise NotFound(str(error), param="ref") from error
    who = Who(operator.name, body.why)
    return _bindings(await desk.changes.bind(generator, str(ref), who))


def _bindings(present: Present) -> dict[str, Any]:
    return {"version": present.bindings_version} | dict(present.bindings)


@router.get("/resolve")
async def get_resolution(
    tenant: Name,
    desk: AtDesk,
    operator: Reader,
    unit: Name = "",
    surface: Name | None = None,
) -> dict[str, Any]:
    """What this tenant and unit would get now, and why."""
    try:
        decision = desk.live.resolve(Query(tenant, surface, unit or None))
    except PartError as error:
        raise BadRequest(str(error), param=error.part) from error
    region = desk.fleet.isolation.tenants.get(tenant, NOWHERE)
    model, ready = desk.base_ref, desk.fleet.alive(region)
    if decision.generator != "base":
        present = desk.live.present
        model = decision.model or present.bindings.get(decision.generator, "")
        meant = desk.fleet.isolation.of(model).for_tenant(tenant)
        there = model in present.mounted and desk.fleet.ready(model, region)
        ready = meant and there
    return {
        "generator": decision.generator,
        "model": model,
        "reason": decision.text,
        "rule": decision.rule,
        "bucket": decision.bucket,
        "version": decision.version,
        "ready": ready,
    }
