"""Control plane: what the evals say of an adapter, filed and shown."""

from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response

from adapters.errors import ManifestError
from adapters.manifest import LARGEST_JSON, parse
from adapters.verdict import FILE, EvalVerdict, decode, encode
from gateway.api.asgi import ClientGone, read_body
from gateway.api.control_adapters import registered_as
from gateway.api.control_flags import AtDesk
from gateway.api.operators import Changer, Reader
from gateway.control.changes import Who
from gateway.control.verdicts import how_to, unreadable
from gateway.errors import BadRequest, NotFound, StateConflict

BODY_SECONDS: Final = 30.0
LONGEST_WHY: Final = 1_000

_BODY: Final[dict[str, Any]] = {
    "type": "object",
    "description": "The file that `python -m evals suite` writes (adapters/verdict.py),"
    " and `why`, for the audit log.",
    "required": [
        each.name for each in msgspec.structs.fields(EvalVerdict) if each.required
    ],
    "properties": {name: {} for name in (*EvalVerdict.__struct_fields__, "why")},
}

router = APIRouter(prefix="/admin/v1", tags=["adapters"])


@router.put(
    "/adapters/{ref}/verdict",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _BODY}},
        }
    },
)
async def put_verdict(
    ref: str, request: Request, desk: AtDesk, operator: Changer
) -> Response:
    """File the verdict on a registered adapter, in the place of the one before."""
    registered = registered_as(desk, ref)
    verdict, why = _read(await _body(request))
    await desk.verdicts.file(verdict, registered, Who(operator.name, why))
    return _shown(verdict)


@router.get("/adapters/{ref}/verdict")
async def get_verdict(ref: str, desk: AtDesk, operator: Reader) -> Response:
    """What the evals say of an adapter."""
    registered = registered_as(desk, ref)
    try:
        verdict = await desk.verdicts.of(registered.digest)
    except ManifestError as error:
        raise StateConflict(unreadable(registered.ref, error)) from error
    if verdict is None:
        raise NotFound(
            f"there is no verdict on {ref}: {how_to(registered.ref)}", param="ref"
        )
    return _shown(verdict)


def _shown(verdict: EvalVerdict) -> Response:
    return Response(encode(verdict), media_type="application/json")


async def _body(request: Request) -> bytes:
    try:
        return await read_body(
            request.scope, request.receive, most=LARGEST_JSON, within=BODY_SECONDS
        )
    except ClientGone as error:
        raise BadRequest("the body broke off") from error


def _read(raw: bytes) -> tuple[EvalVerdict, str]:
    """Return a verdict, and why it is filed.

    By msgspec and not by the framework, whose JSON takes what is no number for one.

    Raises:
        BadRequest: it is none, or contradicts itself.
    """
    try:
        fields = parse(raw, dict[str, Any], FILE)
        why = fields.pop("why", "")
        if not isinstance(why, str) or len(why) > LONGEST_WHY:
            raise BadRequest(
                f"why: expected a text of at most {LONGEST_WHY} characters", param="why"
            )
        return decode(msgspec.json.encode(fields)), why
    except ManifestError as error:
        where = error.message.partition(" - at `$")[2].strip("`.")
        raise BadRequest(str(error), param=where or None) from error
