"""What the evals say of adapters, in the store: read when it is asked for, never in memory.

Giving boost may need the store, and nothing on a request's way asks for a verdict. Each
adapter's is a document of its own, by the digest of its bytes, and is never dropped:
registries are each machine's own, so no gateway knows what others have registered.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import Final

from adapters.errors import ManifestError
from adapters.refs import AdapterRef
from adapters.registry import Registered
from adapters.verdict import FILE, EvalVerdict, Word, decode, encode, lacking
from gateway.control.changes import Changes, Who
from gateway.errors import BadRequest, StateConflict, StoreUnavailable
from routing.errors import StoreError
from routing.store import Store

LOOK_SECONDS: Final = 1.0
"""For all words of a list; a store that takes longer is as good as away."""

MOST_SAID: Final = 20
"""Gates that one refusal names: it may become part of a rollout, by an override."""

_MAKE: Final = "`python -m evals suite` against this gateway makes one that fits"


def document_key(digest: str) -> str:
    """The store's key of the verdict on an adapter of this digest."""
    return f"verdicts/{digest}"


class Verdicts:
    """Reads verdicts, and files them.

    Args:
        store: where they are.
        changes: how the store is changed.
        base: the base that this gateway serves.
    """

    def __init__(self, store: Store, changes: Changes, base: str) -> None:
        self._store = store
        self._changes = changes
        self._base = base

    async def of(self, digest: str) -> EvalVerdict | None:
        """Return the verdict on an adapter of this digest, if there is one.

        Raises:
            StoreUnavailable: the store is away.
            ManifestError: what is there is none, as another version may have written.
        """
        key = document_key(digest)
        try:
            found = await self._store.get(key)
        except StoreError as error:
            raise StoreUnavailable(f"the verdict cannot be read: {error}") from error
        return decode(found.body, key) if found else None

    async def words(self, digests: Iterable[str]) -> Mapping[str, Word]:
        """Return the words of those that can be read now, by digest; never fails."""
        found: dict[str, Word] = {}
        try:
            # one after the other: a list leaves connections for what is urgent
            async with asyncio.timeout(LOOK_SECONDS):
                for digest in digests:
                    with contextlib.suppress(ManifestError):
                        if verdict := await self.of(digest):
                            found[digest] = verdict.verdict
        except (StoreUnavailable, TimeoutError):
            return found
        return found

    async def file(
        self, verdict: EvalVerdict, registered: Registered, who: Who
    ) -> None:
        """Write a verdict down; it takes the place of the one before.

        Raises:
            BadRequest: it is about another adapter.
            StateConflict: it is about other bytes, or was reached on another base.
            StoreUnavailable: nothing is known to have been written.
        """
        ref = registered.ref
        if verdict.ref != ref:
            raise BadRequest(
                f"the verdict is on {verdict.ref}, not on {ref}", param="ref"
            )
        if verdict.digest != registered.digest:
            raise StateConflict(
                f"the verdict is on other bytes: {ref} is {registered.digest} here, and"
                f" the verdict says {verdict.digest}; {_MAKE}",
                param="digest",
            )
        if verdict.base != self._base:
            raise StateConflict(
                f"the verdict was reached on {verdict.base}, and this gateway serves"
                f" {self._base}; {_MAKE}",
                param="base",
            )
        what = f"verdict.{verdict.verdict} {ref}"
        await self._changes.put(
            document_key(verdict.digest), encode(verdict), who, what
        )


def how_to(ref: AdapterRef) -> str:
    """Say how an adapter gets a verdict."""
    return (
        f"`python -m evals suite` makes one, and `wastegate adapter verdict {ref} {FILE}`"
        " files it"
    )


def unreadable(ref: AdapterRef, error: ManifestError) -> str:
    """Say that what the store holds on an adapter is no verdict."""
    return f"the verdict on {ref} cannot be read ({error}); {how_to(ref)}"


def against(ref: AdapterRef, verdict: EvalVerdict | None) -> str:
    """Say why an adapter may not ship; empty if it may."""
    if verdict is None:
        return f"{ref} has no verdict of the evals: {how_to(ref)}"
    if verdict.verdict == "pass":
        return ""
    lacks = lacking(verdict)
    more = f"; and {len(lacks) - MOST_SAID} more" * (len(lacks) > MOST_SAID)
    gates = "; ".join(lacks[:MOST_SAID]) + more or "no gate was judged"
    return f"{ref} may not ship: the evals say {verdict.verdict} ({gates})"
