"""The present, as the request path reads it: one frozen snapshot, swapped whole."""

import msgspec

from routing.flags import FlagDocument, Generator, Kill
from routing.resolve import Decision, Query, resolve


class Snapshot(msgspec.Struct, frozen=True):
    """Flags, bindings and desired adapters at one version of the store."""

    flags: FlagDocument
    flag_version: int
    bindings: dict[Generator, str]
    bindings_version: int
    mounted: frozenset[str]
    """Refs that are meant to be on every replica."""
    mounted_version: int


class Live:
    """The cell that holds the snapshot, and what must hold even without a store.

    A kill or an unmount is taken here first. Whether the store has heard of it is
    a second question: what it has not heard of stays in force in this process.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._local_kills: tuple[Kill, ...] = ()
        self._local_unmounts: frozenset[str] = frozenset()
        self._effective = snapshot

    @property
    def snapshot(self) -> Snapshot:
        """What is in force now."""
        return self._effective

    @property
    def local(self) -> bool:
        """Whether something is in force here that the store has not heard of."""
        return bool(self._local_kills or self._local_unmounts)

    def resolve(self, query: Query) -> Decision:
        """Which generator a unit gets, and why."""
        now = self._effective
        return resolve(now.flags, now.flag_version, query)

    def replace(self, snapshot: Snapshot) -> None:
        """Take a newer snapshot; older documents never replace newer ones."""
        held = self._snapshot
        if (
            snapshot.flag_version >= held.flag_version
            and snapshot.bindings_version >= held.bindings_version
            and snapshot.mounted_version >= held.mounted_version
        ):
            self._snapshot = snapshot
            self._settle()

    def kill(self, kill: Kill) -> None:
        """Put a kill in force in this process, at once."""
        self._local_kills = (*self._local_kills, kill)
        self._settle()

    def heal(self, kill: Kill) -> None:
        """Drop what was only in force here: the store has it, or it is over."""
        self._local_kills = tuple(k for k in self._local_kills if k != kill)
        self._settle()

    def unmount(self, ref: str) -> None:
        """Want an adapter gone in this process, at once."""
        self._local_unmounts |= {ref}
        self._settle()

    def settled(self, ref: str) -> None:
        """The store has heard about a ref's unmount, or it is wanted again."""
        self._local_unmounts -= {ref}
        self._settle()

    def _settle(self) -> None:
        base = self._snapshot
        extra = tuple(k for k in self._local_kills if k not in base.flags.kills)
        self._effective = msgspec.structs.replace(
            base,
            flags=msgspec.structs.replace(base.flags, kills=base.flags.kills + extra),
            mounted=base.mounted - self._local_unmounts,
        )
