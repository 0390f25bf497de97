"""The documents of the store, and the loop that keeps memory up with them.

The loop is the only reader. It polls one number; a request never waits for it, and
a store that is away changes nothing: the last known present stays in force.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Final

import msgspec

from gateway.live import Identity, Live, Present
from routing.errors import RolloutError, StoreError
from routing.flags import FLAG, FlagDocument, decode, encode
from routing.rollout import Rollout
from routing.rules import Generator
from routing.store import Change, Conflict, Store

FLAGS_KEY: Final = f"flags/{FLAG}"
BINDINGS_KEY: Final = "bindings"
MOUNTED_KEY: Final = "adapters"
ROLLOUTS_KEY: Final = "rollouts"
IDENTITY_KEY: Final = "store"

_BINDINGS: Final = msgspec.json.Decoder(dict[Generator, str])
_MOUNTED: Final = msgspec.json.Decoder(frozenset[str])
_ROLLOUTS: Final = msgspec.json.Decoder(tuple[Rollout, ...])
_IDENTITY: Final = msgspec.json.Decoder(Identity)
_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


class DocumentError(StoreError):
    """A document in the store that this version cannot read."""


def encode_bindings(bindings: dict[Generator, str]) -> bytes:
    """The bindings as they are stored."""
    return _ENCODER.encode(bindings)


def encode_mounted(mounted: frozenset[str]) -> bytes:
    """The desired adapters as they are stored."""
    return _ENCODER.encode(sorted(mounted))


def encode_rollouts(rollouts: Mapping[str, Rollout]) -> bytes:
    """The rollouts as they are stored: a list, since their order counts."""
    return _ENCODER.encode(tuple(rollouts.values()))


def encode_identity(identity: Identity) -> bytes:
    """The store's identity as it is stored."""
    return _ENCODER.encode(identity)


async def read(store: Store, seed: Present) -> Present:
    """The present as the store has it; what it lacks is the seed's, at version 0.

    Raises:
        StoreError: the store is away, or holds what cannot be read.
    """
    flags = await store.get(FLAGS_KEY)
    bindings = await store.get(BINDINGS_KEY)
    mounted = await store.get(MOUNTED_KEY)
    rollouts = await store.get(ROLLOUTS_KEY)
    identity = await store.get(IDENTITY_KEY)
    try:
        listed = _ROLLOUTS.decode(rollouts.body) if rollouts else ()
        return Present(
            flags=decode(flags.body) if flags else seed.flags,
            flags_version=flags.version if flags else 0,
            bindings=_BINDINGS.decode(bindings.body) if bindings else seed.bindings,
            bindings_version=bindings.version if bindings else 0,
            mounted=_MOUNTED.decode(mounted.body) if mounted else seed.mounted,
            mounted_version=mounted.version if mounted else 0,
            rollouts={each.id: each for each in listed},
            rollouts_version=rollouts.version if rollouts else 0,
            identity=_IDENTITY.decode(identity.body) if identity else Identity(),
        )
    except (msgspec.DecodeError, RolloutError) as error:
        raise DocumentError(f"a document in the store is not ours: {error}") from error


def documents(
    present: Present, found: Present | None = None
) -> tuple[tuple[str, bytes, int], ...]:
    """The documents of a present with their keys and versions, the identity last.

    With `found`, those that are to take the place of what a store holds: who follows
    either store takes them.
    """
    identity = present.identity
    if found is not None:
        lost = found.identity.id
        others = {*identity.supersedes, *found.identity.supersedes, lost}
        identity = Identity(
            identity.id or lost or secrets.token_hex(8),
            max(identity.epoch, found.identity.epoch) + 1,
            tuple(sorted(others - {"", identity.id})),
        )
    return (
        (FLAGS_KEY, encode(present.flags), present.flags_version),
        (
            BINDINGS_KEY,
            encode_bindings(dict(present.bindings)),
            present.bindings_version,
        ),
        (MOUNTED_KEY, encode_mounted(present.mounted), present.mounted_version),
        (ROLLOUTS_KEY, encode_rollouts(present.rollouts), present.rollouts_version),
        (IDENTITY_KEY, encode_identity(identity), identity.epoch),
    )


async def plant(store: Store, seed: Present, change: Change) -> None:
    """Write the seed's documents where the store has none yet.

    Raises:
        StoreError: the store is away.
    """
    named = msgspec.structs.replace(seed, identity=Identity(secrets.token_hex(8)))
    for key, body, _ in documents(named):
        if await store.get(key) is None:
            try:
                await store.put(key, body, expect=0, entry=change)
            except Conflict:
                # Another gateway planted it between the look and the write.
                continue


class Refresher:
    """Keeps a `Live` up with a store.

    Args:
        store: where the documents are.
        live: where they go.
        seed: stands in for documents that do not exist.
        keep: given what was taken, for a start without the store.
    """

    def __init__(
        self,
        store: Store,
        live: Live,
        seed: Present,
        *,
        keep: Callable[[Present], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._live = live
        self._seed = seed
        self._keep = keep
        self._seen = -1
        self._looking = asyncio.Lock()
        self.up = False
        self.behind = False
        """The store answers, and holds something older than what is in force here, or
        is another one: it was emptied, restored from a copy, or exchanged."""

    async def refresh(self) -> None:
        """Look now; take what is new.

        Raises:
            StoreError: the store is away; what is held stays in force.
        """
        # One look at a time: of two, the one that began first could end last, and what
        # it has found would look like a store that has gone back.
        async with self._looking:
            await self._look()

    async def _look(self) -> None:
        asked = time.monotonic()
        try:
            version = await self._store.version()
            if version != self._seen:
                found = await read(self._store, self._seed)
                self.behind = not self._live.replace(found)
                self._seen = version
                if not self.behind:
                    self._keep(found)
            self._live.heard(asked)
            self.up = True
        except StoreError:
            self.up = False
            raise

    async def run(self, *, every: float) -> None:
        """Look at each hint, and without one after `every` seconds, until cancelled.

        The wait is up to a fifth shorter, so that many gateways do not ask at once.
        """
        hint = _begun(self._store.changed())
        try:
            while True:
                wait = every * (1 - 0.2 * secrets.randbelow(1024) / 1024)
                await asyncio.wait((hint,), timeout=wait)
                if hint.done():
                    hint = await self._next_hint(hint, every)
                try:
                    await self.refresh()
                except StoreError:
                    # Reported by the gauge and by /readyz; the last known present holds.
                    continue
        finally:
            hint.cancel()
            await asyncio.gather(hint, return_exceptions=True)

    async def _next_hint(
        self, hint: asyncio.Task[None], every: float
    ) -> asyncio.Task[None]:
        """Wait for another hint; after a failed one not before the next poll is due."""
        try:
            hint.result()
        except StoreError:
            await asyncio.sleep(every)
        return _begun(self._store.changed())


def _begun(waiting: Coroutine[None, None, None]) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(waiting)


def seeded(flags: FlagDocument, bindings: dict[Generator, str]) -> Present:
    """The present that the configuration describes: what is bound is mounted."""
    return Present(flags, bindings=bindings, mounted=frozenset(bindings.values()))
