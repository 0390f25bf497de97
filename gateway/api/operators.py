"""Who may use the control plane, and for what."""

from collections.abc import Iterable
from typing import Annotated

import msgspec
from fastapi import Depends, Request

from gateway.api.access import Keys
from gateway.errors import NotAllowed


class Operator(msgspec.Struct, frozen=True):
    """Who holds an admin key."""

    name: str
    may_change: bool


def operators(change: Iterable[str], read: Iterable[str]) -> Keys[Operator]:
    """The holders of admin keys.

    Args:
        change: `name=sha256` or a bare SHA-256, for keys that may change things.
        read: the same, for keys that may look.
    """
    holders: dict[str, Operator] = {}
    for entries, may_change in ((read, False), (change, True)):
        for name, digest in named(entries):
            holders[digest] = Operator(name, may_change)
    return Keys(holders)


def named(entries: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Who holds each key, as the audit log has it, and the key's digest."""
    for entry in entries:
        name, _, digest = entry.rpartition("=")
        # Eight hex digits tell keys apart, and open nothing.
        yield name or f"key-{digest[:8]}", digest


def reader(request: Request) -> Operator:
    """Whoever asks, if the key may look. Raises InvalidKey."""
    keys: Keys[Operator] = request.app.state.operators
    return keys.holder(request.scope)


def changer(request: Request) -> Operator:
    """Whoever asks, if the key may change things. Raises InvalidKey, NotAllowed."""
    operator = reader(request)
    if not operator.may_change:
        raise NotAllowed("this key may look, not change; use one of admin.key_sha256")
    return operator


Reader = Annotated[Operator, Depends(reader)]
Changer = Annotated[Operator, Depends(changer)]
