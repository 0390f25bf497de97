"""Every change of the state: compare-and-set, audited, in force when it returns.

Taking boost away comes first into memory and then into the store; giving boost goes
the other way round. So a store that is down can stop a canary from growing, and can
never stop a kill.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Final

import msgspec

from gateway.control.documents import (
    BINDINGS_KEY,
    FLAGS_KEY,
    MOUNTED_KEY,
    ROLLOUTS_KEY,
    Refresher,
    encode_bindings,
    encode_mounted,
    encode_rollouts,
)
from gateway.control.writing import away, last_change, without_old, write_back
from gateway.errors import BadRequest, StateConflict, StoreUnavailable
from gateway.live import Live, Present
from routing.errors import FlagError, StoreError
from routing.flags import (
    FlagDocument,
    encode,
    with_kill,
    with_override,
    with_rollout,
    without_kill,
    without_rollouts,
)
from routing.rollout import Rollout
from routing.rules import Generator, Kill
from routing.store import Change, Conflict, Store

_TRIES: Final = 5
"""Compare-and-set attempts of a change that can be made again on what it finds."""


class Who(msgspec.Struct, frozen=True):
    """Who changes something, and why; both go into the audit log."""

    name: str
    why: str = ""


class Removed(msgspec.Struct, frozen=True):
    """A record of boost taken away, whether or not the store could be told."""

    what: str
    who: Who
    persisted: bool


Told = Callable[[Removed], None]
"""Keeps such a record where the store is not needed; neither blocks nor raises."""


class Changes:
    """Makes changes; one per process.

    Args:
        store: where they go.
        live: what is in force here.
        refresher: brings a change into force before the caller is answered.
        now: aware wall clock, for the audit log.
        told: keeps what was taken away, beside the audit log.
    """

    def __init__(
        self,
        store: Store,
        live: Live,
        refresher: Refresher,
        now: Callable[[], datetime],
        told: Told = lambda _: None,
    ) -> None:
        self._store = store
        self._live = live
        self._refresher = refresher
        self._now = now
        self._told = told

    async def set_flags(
        self, document: FlagDocument, *, expect: int, who: Who
    ) -> Present:
        """Replace the flag document that is at version `expect`.

        Raises:
            StateConflict: it is at another version.
            StoreUnavailable: nothing is known to have been written.
        """
        body = encode(document)
        try:
            await self._refresher.refresh()
            self._check_store()
            await self._store.put(
                FLAGS_KEY, body, expect=expect, entry=self._entry(who, "flags.set")
            )
            await self._refresher.refresh()
        except Conflict as error:
            who_else = await last_change(self._store, FLAGS_KEY)
            raise StateConflict(f"{error}{who_else}", param="If-Match") from error
        except StoreError as error:
            away(error)
        return self._live.present

    async def override(
        self, tenant: str, variant: Generator | None, who: Who
    ) -> Present:
        """Pin a tenant, or let it go again.

        Raises:
            BadRequest: the tenant's name cannot be one.
            StoreUnavailable: nothing is known to have been written.
        """
        what = f"override.{'remove' if variant is None else 'set'}"
        return await self._edit_flags(
            lambda flags: with_override(flags, tenant, variant), who, what
        )

    async def kill(self, kill: Kill, who: Who) -> tuple[Present, bool]:
        """Kill: in force here at once; the flag says whether the store has it.

        A store that has lost what is in force gets it back with the kill: nobody else
        would hear of it otherwise.
        """
        self._live.kill(kill)
        try:
            await self._edit_flags(lambda f: with_kill(f, kill), who, "kill.add")
        except (StoreUnavailable, StateConflict):
            persisted = await self._restored(who)
        else:
            self._live.heard_kill(kill)
            persisted = True
        what = f"kill {kill.scope} {kill.name}".rstrip()
        self._told(Removed(what, who, persisted))
        return self._live.present, persisted

    async def unkill(self, kill: Kill, who: Who) -> Present:
        """Take a kill back, in the store and here.

        Raises:
            StoreUnavailable: giving boost needs the store.
        """
        await self._edit_flags(lambda f: without_kill(f, kill), who, "kill.remove")
        self._live.heard_kill(kill)
        return self._live.present

    async def bind(self, generator: Generator, ref: str, who: Who) -> Present:
        """Let a generator mean another adapter.

        Raises:
            StoreUnavailable: nothing is known to have been written.
        """

        def write(held: Present) -> tuple[bytes, int]:
            bindings: dict[Generator, str] = {**held.bindings, generator: ref}
            return encode_bindings(bindings), held.bindings_version

        return await self._edit(BINDINGS_KEY, write, who, f"bind {generator} {ref}")

    async def rollout(
        self, edit: Callable[[Mapping[str, Rollout]], Rollout], who: Who, what: str
    ) -> Rollout:
        """Write a rollout as `edit` makes it of those that there are.

        Raises:
            StoreUnavailable: nothing is known to have been written.
            GatewayError: as `edit`.
        """
        done: list[Rollout] = []

        def write(held: Present) -> tuple[bytes, int]:
            done[:] = [edit(held.rollouts)]
            kept = without_old({**held.rollouts, done[0].id: done[0]})
            return encode_rollouts(kept), held.rollouts_version

        await self._edit(ROLLOUTS_KEY, write, who, what)
        return done[0]

    async def rule(self, rollout: Rollout, who: Who) -> Present:
        """Let the flag say what a rollout is at; one that is rolled back has no rule.

        Raises:
            StoreUnavailable: nothing is known to have been written.
        """

        def edited(flags: FlagDocument) -> FlagDocument:
            if rollout.phase == "rolled_back":
                return without_rollouts(flags, {rollout.id})
            return with_rollout(flags, rollout.rule)

        what = f"rollout.weight {rollout.id} {rollout.weight}"
        return await self._edit_flags(edited, who, what)

    async def roll_back(self, rollout: Rollout, who: Who) -> tuple[Rollout, bool]:
        """End a rollout: in force here at once; the flag says whether the store has it.

        Args:
            rollout: as it is once it is rolled back.
            who: who wants it.
        """
        self._live.roll_back(rollout.id, rollout.ended)

        def edit(held: Mapping[str, Rollout]) -> Rollout:
            # The controller may have ended it meanwhile: it is over either way.
            there = held.get(rollout.id, rollout)
            return there if there.phase == "rolled_back" else rollout

        try:
            # Out of the flag first: whatever happens then, nobody gets it any more.
            await self.rule(rollout, who)
            done = await self.rollout(edit, who, f"rollout.rollback {rollout.id}")
        except (StoreUnavailable, StateConflict):
            done, persisted = rollout, False
        else:
            persisted = True
        self._told(Removed(f"rollback {rollout.id}", who, persisted))
        return done, persisted

    async def mount(self, ref: str, who: Who) -> Present:
        """Want an adapter on every replica; the reconciler does it.

        Raises:
            StoreUnavailable: giving boost needs the store.
        """
        await self._edit_mounted(lambda held: held | {ref}, who, f"mount {ref}")
        self._live.heard_unmount(ref)
        return self._live.present

    async def unmount(self, ref: str, who: Who) -> bool:
        """Take an adapter out of the routing at once, and want it gone everywhere.

        Returns:
            Whether the store has it too.
        """
        self._live.unmount(ref)
        try:
            await self._edit_mounted(lambda held: held - {ref}, who, f"unmount {ref}")
        except (StoreUnavailable, StateConflict):
            persisted = await self._restored(who)
        else:
            self._live.heard_unmount(ref)
            persisted = True
        self._told(Removed(f"unmount {ref}", who, persisted))
        return persisted

    async def put(self, key: str, body: bytes, who: Who, what: str) -> None:
        """Replace a document that is no part of the present.

        Raises:
            StoreUnavailable: nothing is known to have been written.
        """

        async def made() -> tuple[bytes, int]:
            held = await self._store.get(key)
            return body, held.version if held else 0

        await self._put(key, made, who, what)

    async def _restored(self, who: Who) -> bool:
        """Whether a store that had lost what is in force has it again."""
        if not self._refresher.behind:
            return False
        try:
            await self.restore(who)
        except (StoreUnavailable, StateConflict):
            return False
        return True

    async def restore(self, who: Who) -> Present:
        """Write what is in force here over a store that has lost it.

        Raises:
            StateConflict: the store has lost nothing, or somebody else writes too.
            StoreUnavailable: the store is away; what is not written can be repeated.
        """
        try:
            await self._refresher.refresh()
            if not self._refresher.behind:
                raise StateConflict(
                    "the store holds what is in force here: there is nothing to restore"
                )
            entry = self._entry(who, "store.restore")
            await write_back(self._store, self._live.present, entry)
            await self._refresher.refresh()
        except Conflict as error:
            raise StateConflict(f"somebody else is writing: {error}") from error
        except StoreError as error:
            away(error)
        self._live.heard_all()
        return self._live.present

    def _check_store(self) -> None:
        """Refuse to write on top of something older than what is in force."""
        if self._refresher.behind:
            raise StoreUnavailable(
                "the store was emptied, exchanged, or restored from an old copy, and"
                " what is in force here is newer; `wastegate store restore` writes that"
                " back"
            )

    async def _edit_mounted(
        self, edit: Callable[[frozenset[str]], frozenset[str]], who: Who, what: str
    ) -> Present:
        def write(held: Present) -> tuple[bytes, int]:
            return encode_mounted(edit(held.mounted)), held.mounted_version

        return await self._edit(MOUNTED_KEY, write, who, what)

    async def _edit_flags(
        self, edit: Callable[[FlagDocument], FlagDocument], who: Who, what: str
    ) -> Present:
        def write(held: Present) -> tuple[bytes, int]:
            try:
                return encode(edit(held.flags)), held.flags_version
            except FlagError as error:
                raise BadRequest(error.message, param=error.path) from error

        return await self._edit(FLAGS_KEY, write, who, what)

    async def _edit(
        self,
        key: str,
        write: Callable[[Present], tuple[bytes, int]],
        who: Who,
        what: str,
    ) -> Present:
        """Make a change that can be made anew on whatever the store holds."""

        async def made() -> tuple[bytes, int]:
            return write(self._live.stored)

        await self._put(key, made, who, what)
        return self._live.present

    async def _put(
        self,
        key: str,
        made: Callable[[], Awaitable[tuple[bytes, int]]],
        who: Who,
        what: str,
    ) -> None:
        """Write a body over the version that `made` gives with it, or try again."""
        for _ in range(_TRIES):
            try:
                await self._refresher.refresh()
                self._check_store()
                body, expect = await made()
                entry = self._entry(who, what)
                await self._store.put(key, body, expect=expect, entry=entry)
                await self._refresher.refresh()
            except Conflict:
                await asyncio.sleep(0)
                continue
            except StoreError as error:
                away(error)
            return
        raise StateConflict(f"{key} kept changing; try again")

    def _entry(self, who: Who, what: str) -> Change:
        return Change(who=who.name, what=what, why=who.why, at=self._now())
