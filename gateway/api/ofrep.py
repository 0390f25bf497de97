"""OpenFeature's remote evaluation (OFREP 0.3): `GENERATOR` for any OpenFeature client.

The context has `tenant`, `surface`, and the unit as its `targetingKey`. What is told
is what a request of that tenant and unit would get now, by the same code.
"""

from hashlib import sha256
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Header, Request, Response

from gateway.api.control_flags import AtDesk
from gateway.api.operators import Reader
from gateway.live import Live
from routing.decision import Decision, Query
from routing.errors import PartError
from routing.flags import FLAG

MAX_BYTES: Final = 65_536
"""A body over this is refused; a context is a few names."""

_ENCODER: Final = msgspec.json.Encoder(order="deterministic")
_JSON: Final = "application/json"


class Context(msgspec.Struct, frozen=True, rename="camel"):
    """Who is asked for; other attributes are allowed and mean nothing here."""

    tenant: str
    surface: str | None = None
    targeting_key: str | None = None


class Body(msgspec.Struct, frozen=True):
    """OFREP's request."""

    context: Context


_BODY: Final = msgspec.json.Decoder(Body)


class EvaluationError(Exception):
    """An evaluation that cannot be, in OFREP's words."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(details)
        self.code = code
        self.details = details


router = APIRouter(prefix="/ofrep/v1/evaluate/flags", tags=["OpenFeature"])


@router.post("/{key}")
async def evaluate(
    key: str, request: Request, desk: AtDesk, operator: Reader
) -> Response:
    """What a tenant and unit get of one flag, and why."""
    if key != FLAG:
        details = f"there is no flag {key[:80]!r}; the one there is is {FLAG}"
        return _answer(404, _failed("FLAG_NOT_FOUND", details) | {"key": key[:80]})
    try:
        return _answer(200, _evaluated(desk.live, await _query(request)))
    except EvaluationError as error:
        return _answer(400, _failed(error.code, error.details) | {"key": FLAG})


@router.post("")
async def evaluate_all(
    request: Request,
    desk: AtDesk,
    operator: Reader,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The same of all flags, with an ETag: 304 while the answer would be the same."""
    try:
        found = _evaluated(desk.live, await _query(request))
    except EvaluationError as error:
        return _answer(400, _failed(error.code, error.details))
    whole = {"flags": [found]}
    tag = f'"{sha256(_ENCODER.encode(whole)).hexdigest()[:32]}"'
    if if_none_match is not None and tag in if_none_match:
        return Response(status_code=304, headers={"ETag": tag})
    return _answer(200, whole, {"ETag": tag})


async def _query(request: Request) -> Query:
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > MAX_BYTES:
            raise EvaluationError(
                "PARSE_ERROR", f"a body has at most {MAX_BYTES} bytes"
            )
    try:
        context = _BODY.decode(raw).context
    except msgspec.ValidationError as error:
        raise EvaluationError(
            "INVALID_CONTEXT",
            f"{error}; a context is an object with `tenant`, and with `surface` and"
            " `targetingKey` (the unit) where there are any, all of them strings",
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EvaluationError(
            "PARSE_ERROR", f"the body is not JSON: {error}"
        ) from error
    return Query(context.tenant, context.surface, context.targeting_key)


def _evaluated(live: Live, query: Query) -> dict[str, Any]:
    try:
        decision = live.resolve(query)
    except PartError as error:
        name = "targetingKey" if error.part == "unit" else error.part
        raise EvaluationError("INVALID_CONTEXT", f"{name} {error.message}") from error
    return {
        "key": FLAG,
        "value": decision.generator,
        "variant": decision.generator,
        "reason": "UNKNOWN" if decision.reason == "STALE" else decision.reason,
        "metadata": _metadata(live, decision),
    }


def _metadata(live: Live, decision: Decision) -> dict[str, str | int | bool]:
    flags = live.present.flags
    found: dict[str, str | int | bool] = {
        "version": decision.version,
        "rule": decision.rule,
        "salt": flags.salt,
        "hash": flags.hash,
        "stale": decision.reason == "STALE",
    }
    if decision.bucket is not None:
        found["bucket"] = decision.bucket
    if decision.model is not None:
        found["model"] = decision.model
    if decision.member is not None:
        found["rollout"] = found["salt"] = decision.member.rollout
    return found


def _failed(code: str, details: str) -> dict[str, Any]:
    return {"errorCode": code, "errorDetails": details}


def _answer(
    status: int, body: dict[str, Any], headers: dict[str, str] | None = None
) -> Response:
    return Response(_ENCODER.encode(body), status, headers, _JSON)
