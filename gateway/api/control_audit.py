"""Control plane: who changed what, and whether the log is as it was written."""

import asyncio
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter
from pydantic import Field

from gateway.api.control_flags import AtDesk
from gateway.api.operators import Reader
from gateway.errors import StoreUnavailable
from routing.audit import AuditEntry, verify
from routing.errors import ChainError, StoreError
from routing.store import MOST_ENTRIES as EVERY_ENTRY

MOST_ENTRIES: Final = 1000

router = APIRouter(prefix="/admin/v1", tags=["audit"])


@router.get("/audit")
async def get_audit(
    desk: AtDesk,
    operator: Reader,
    limit: Annotated[int, Field(ge=1, le=MOST_ENTRIES)] = 50,
) -> dict[str, Any]:
    """Who changed what, newest first."""
    try:
        entries = await desk.store.audit(limit)
    except StoreError as error:
        raise StoreUnavailable(f"the audit log cannot be read: {error}") from error
    return {"entries": [_entry(entry) for entry in entries]}


@router.get("/audit/verify")
async def verify_audit(desk: AtDesk, operator: Reader) -> dict[str, Any]:
    """Whether each entry follows from the one before it, over the whole log.

    `digest` is the newest entry's: keep it elsewhere, and a log that was written anew
    from some entry on shows too.
    """
    try:
        entries = await desk.store.audit(EVERY_ENTRY)
    except StoreError as error:
        raise StoreUnavailable(f"the audit log cannot be read: {error}") from error
    found: dict[str, Any] = {
        "entries": len(entries),
        "digest": None,
        "broken_at": None,
        "reason": None,
    }
    try:
        # off the loop: a long log takes seconds to hash
        found["digest"] = await asyncio.to_thread(verify, entries)
    except ChainError as error:
        found |= {"broken_at": error.seq, "reason": error.message}
    return found


def _entry(entry: AuditEntry) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(
        msgspec.structs.replace(entry, before=None, after=b"")
    )
    return fields | {
        "before": None if entry.before is None else msgspec.json.decode(entry.before),
        "after": msgspec.json.decode(entry.after),
    }
