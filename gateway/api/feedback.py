"""`POST /v1/feedback`: what a client says of an answer that it got.

Feedback is taken on requests that this gateway has answered for the same tenant a
while ago, and on no others: an id that another tenant has is as unknown as one that
nobody has.
"""

import asyncio

import msgspec

from gateway.api.asgi import JSON, send_whole
from gateway.api.plane import Exchange
from gateway.api.wire import ENCODER, FeedbackRequest, decode_feedback
from gateway.errors import BadRequest, NotAllowed, NotFound, Overloaded, TooLarge
from gateway.keep.keeper import Said
from gateway.keep.recent import Seen
from gateway.pipeline.answer import INLINE_BYTES
from structured.check import check
from structured.outcome import Accepted, Rejected
from structured.schema import Schema


async def feedback(exchange: Exchange) -> None:
    """Serve one request: 202 with the feedback's id.

    Raises:
        NotAllowed: the tenant keeps nothing.
        NotFound: no such request of this tenant, or too long ago.
        BadRequest: the body, or a correction that does not fit.
        TooLarge: the correction is over what is kept of a record.
        Overloaded: the disk is behind.
    """
    keep, tenant = exchange.plane.keep, exchange.tenant
    if keep is None or tenant.keep == "none":
        raise NotAllowed(
            "nothing is kept for this key, so feedback would be lost; to keep it, set"
            f' keep = "flawed" or "all" under [tenants.{tenant.name}]'
        )
    request = decode_feedback(exchange.body)
    seen = keep.seen(tenant.name, request.request_id)
    if seen is None:
        raise NotFound(
            "no such request of this key, or too long ago; `request_id` is the"
            " X-Request-Id of an answer",
            param="request_id",
        )
    correction = await _correction(request, seen, keep.record_bytes)
    said = Said(request.rating, request.comment, correction)
    made = keep.feedback(seen, said)
    if made is None:
        raise Overloaded("feedback comes faster than it can be written; try later")
    headers = (*exchange.headers(), JSON)
    await send_whole(exchange.send, 202, ENCODER.encode({"id": made}), headers)


async def _correction(request: FeedbackRequest, seen: Seen, most: int) -> object:
    """The corrected output, checked as the model's own would be; None if there is none."""
    given = request.correction
    if isinstance(given, msgspec.UnsetType) or bytes(given) == b"null":
        return None
    raw = bytes(given)
    if len(raw) > most:
        raise TooLarge(f"the correction has {len(raw)} bytes; at most {most}")
    if seen.schema is None:
        raise BadRequest(
            "that request asked for no schema, so a correction cannot be checked",
            param="correction",
        )
    if seen.output is None:
        raise BadRequest(
            "that request is too long to be kept, and a correction without it is of"
            " no use",
            param="correction",
        )
    if len(raw) > INLINE_BYTES:
        outcome = await asyncio.to_thread(_checked, raw, seen.schema, seen)
    else:
        outcome = _checked(raw, seen.schema, seen)
    if isinstance(outcome, Rejected):
        raise BadRequest(
            f"{outcome.code}: {outcome.message}",
            param="correction",
            detail={"path": outcome.path},
        )
    return outcome.value


def _checked(raw: bytes, schema: Schema, seen: Seen) -> Accepted | Rejected:
    return check(
        raw,
        schema,
        context_ids=seen.context_ids,
        finish_reason="stop",
        repair=False,
    )
