"""What writing to the store needs beside the change itself."""

from collections.abc import Mapping
from typing import Final, NoReturn

from gateway.control.documents import documents, read
from gateway.errors import StoreUnavailable
from gateway.live import Present
from routing.errors import StoreError
from routing.rollout import Rollout
from routing.store import Change, Store

REMEMBERED: Final = 20
"""Rollouts that were rolled back and are still listed; their records stay anyway."""

LOOK_BACK: Final = 100
"""Audit entries that are looked at for who was faster."""


def away(error: StoreError) -> NoReturn:
    """Say that the store did not take a change.

    Raises:
        StoreUnavailable: always.
    """
    raise StoreUnavailable(
        f"the store did not take the change: {error}; read before you repeat it"
    ) from error


async def last_change(store: Store, key: str) -> str:
    """Say who changed a document last, as far as the log's newest entries tell."""
    try:
        entries = await store.audit(LOOK_BACK)
    except StoreError:
        return ""
    for entry in entries:
        if entry.key == key:
            why = f" ({entry.why})" if entry.why else ""
            moment = entry.at.isoformat(timespec="seconds")
            return f". The last change: {entry.what} by {entry.who}{why} at {moment}"
    return ""


async def write_back(store: Store, present: Present, entry: Change) -> None:
    """Write all documents of a present over what a store holds.

    Raises:
        Conflict: somebody else writes too.
        StoreError: the store is away; what was not written can be repeated.
    """
    found = await read(store, present)
    for key, body, version in documents(present, found):
        await rewrite(store, key, body, version, entry)


async def rewrite(
    store: Store, key: str, body: bytes, version: int, entry: Change
) -> None:
    """Write a document at least at `version`, unless it is there as it is.

    Raises:
        Conflict, Unavailable: as `Store.put`.
    """
    held = await store.get(key)
    found = held.version if held else 0
    if held is not None and held.body == body and found >= version:
        return
    await store.put(
        key, body, expect=found, entry=entry, version=max(version, found + 1)
    )


def without_old(rollouts: Mapping[str, Rollout]) -> Mapping[str, Rollout]:
    """Drop the oldest that were rolled back, so that the document stays small."""
    over = [each.id for each in rollouts.values() if each.phase == "rolled_back"]
    old = set(over[:-REMEMBERED])
    return {id_: each for id_, each in rollouts.items() if id_ not in old}
