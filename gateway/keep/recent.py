"""What was answered lately, for feedback on it: bounded, and apart for each tenant."""

from collections import OrderedDict

import msgspec

from gateway.keep.limits import KeepLimits
from structured.kept import Output
from structured.schema import Schema


class Seen(msgspec.Struct):
    """A request of a tenant that keeps, and how far its output has come."""

    request_id: str
    at: float
    tenant: str
    surface: str
    generator: str
    model: str
    schema: Schema | None
    """What a correction must fit; none where nothing was checked."""
    context_ids: frozenset[str] | None
    output: Output | None
    """Not yet scrubbed. None where nothing was checked, or where it is too long."""
    size: int
    """Bytes of its texts that are held."""
    handed: bool = False
    """Whether the output waits for the disk, or has done so."""
    kept: bool = False
    """Whether the output is in a file. The thread that writes reads and sets it."""


class Recent:
    """The latest requests by tenant and id.

    A tenant's ids are looked for among its own alone, so what another one has asked
    can neither be found nor pushed out.
    """

    def __init__(self, limits: KeepLimits) -> None:
        self._limits = limits
        self._tenants: dict[str, _Latest] = {}

    def add(self, seen: Seen) -> None:
        """Remember a request; an earlier one of the same id is forgotten."""
        latest = self._tenants.setdefault(seen.tenant, _Latest())
        latest.drop(seen.request_id)
        latest.by_id[seen.request_id] = seen
        latest.size += seen.size
        limits = self._limits
        while latest.by_id and (
            len(latest.by_id) > limits.feedback_requests
            or latest.size > limits.feedback_bytes
            or latest.oldest.at < seen.at - limits.feedback_seconds
        ):
            latest.drop(latest.oldest.request_id)

    def find(self, tenant: str, request_id: str, now: float) -> Seen | None:
        """A tenant's request, if it is recent enough."""
        latest = self._tenants.get(tenant)
        seen = None if latest is None else latest.by_id.get(request_id)
        if seen is None or seen.at < now - self._limits.feedback_seconds:
            return None
        return seen

    def forget(self, before: float) -> None:
        """Let go of what is older, also of tenants that ask no more."""
        for latest in self._tenants.values():
            while latest.by_id and latest.oldest.at < before:
                latest.drop(latest.oldest.request_id)


class _Latest:
    """One tenant's requests, the oldest first."""

    def __init__(self) -> None:
        self.by_id: OrderedDict[str, Seen] = OrderedDict()
        self.size = 0

    @property
    def oldest(self) -> Seen:
        return next(iter(self.by_id.values()))

    def drop(self, request_id: str) -> None:
        seen = self.by_id.pop(request_id, None)
        if seen is not None:
            self.size -= seen.size
