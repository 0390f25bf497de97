"""The present, as the request path reads it: one frozen value, swapped whole."""

import time
from collections.abc import Callable, Mapping
from math import inf
from typing import Final

import msgspec

from routing.decision import Decision, Query
from routing.flags import FlagDocument, with_kill
from routing.resolve import Snapshot, compile_flags
from routing.rollout import Rollout
from routing.rules import Generator, Kill

LEASE_SECONDS: Final = 5.0
"""How long what was read of the store is good for a canary. Who cannot hear cannot hear
a kill, so a process that is cut off stops its canaries by itself after that."""


class Identity(msgspec.Struct, frozen=True):
    """Which store it is.

    The name is drawn once, so that an emptied store, another one or an old copy is not
    mistaken for the one that is known.
    """

    id: str = ""
    epoch: int = 0
    """How often what was lost has been written back."""
    supersedes: tuple[str, ...] = ()
    """Other stores whose followers are to follow this one."""


class Present(msgspec.Struct, frozen=True):
    """Flags, bindings and desired adapters, each at its version in the store."""

    flags: FlagDocument
    flags_version: int = 0
    bindings: Mapping[Generator, str] = {}
    """What `lora` and `lora_pref` mean now, as adapter refs."""
    bindings_version: int = 0
    mounted: frozenset[str] = frozenset()
    """Adapter refs that are meant to be on every replica."""
    mounted_version: int = 0
    rollouts: Mapping[str, Rollout] = {}
    """Those that run and the last that are over, by id, in the order of their start."""
    rollouts_version: int = 0
    identity: Identity = Identity()
    """Of the store that said all this; empty where none has said anything."""

    def precedes(self, other: "Present") -> bool:
        """Whether `other` may take this one's place, as newer or as the same."""
        mine, theirs = self.identity, other.identity
        if mine.id and mine.id != theirs.id:
            return mine.id in theirs.supersedes
        if mine.epoch != theirs.epoch:
            return mine.epoch < theirs.epoch
        return (
            self.flags_version <= other.flags_version
            and self.bindings_version <= other.bindings_version
            and self.mounted_version <= other.mounted_version
            and self.rollouts_version <= other.rollouts_version
        )


class Live:
    """The cell that holds the present, and what must hold even without a store.

    A kill or an unmount is put in force here first. Whether the store has heard of
    it is a second question: what it has not heard of stays in force in this process
    until somebody takes it back.

    Args:
        present: what the configuration says.
        clock: monotonic seconds, for the lease.
    """

    def __init__(
        self, present: Present, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stored = present
        self._clock = clock
        self._heard_at = -inf
        self._kills: tuple[Kill, ...] = ()
        self._unmounted: frozenset[str] = frozenset()
        self._settle()

    @property
    def present(self) -> Present:
        """What is in force now, local decisions included."""
        return self._present

    @property
    def stored(self) -> Present:
        """What the store last said."""
        return self._stored

    @property
    def unheard(self) -> tuple[tuple[Kill, ...], frozenset[str]]:
        """Kills and unmounts that are in force here and not in the store."""
        return self._kills, self._unmounted

    @property
    def stale(self) -> bool:
        """Whether the store was last heard of too long ago to serve a canary."""
        return self._clock() - self._heard_at > LEASE_SECONDS

    def heard(self, at: float) -> None:
        """The store has told its version to a question asked at `at`."""
        self._heard_at = max(self._heard_at, at)

    def resolve(self, query: Query) -> Decision:
        """Which generator a unit gets, and why."""
        return self._flags.resolve(query, stale=self.stale)

    def replace(self, present: Present) -> bool:
        """Take what the store says now, and say whether it was taken.

        What is older than what is held, or of another store, is not.
        """
        if not self._stored.precedes(present):
            return False
        self._stored = present
        self._settle()
        return True

    def kill(self, kill: Kill) -> None:
        """Put a kill in force in this process, at once."""
        if kill not in self._kills:
            self._kills = (*self._kills, kill)
            self._settle()

    def heard_kill(self, kill: Kill) -> None:
        """The store has it, or it is taken back: it is no longer only ours."""
        self._kills = tuple(each for each in self._kills if each != kill)
        self._settle()

    def unmount(self, ref: str) -> None:
        """Want an adapter gone in this process, at once."""
        self._unmounted |= {ref}
        self._settle()

    def heard_unmount(self, ref: str) -> None:
        """The store has it, or the adapter is wanted again."""
        self._unmounted -= {ref}
        self._settle()

    def _settle(self) -> None:
        flags = self._stored.flags
        for kill in self._kills:
            flags = with_kill(flags, kill)
        self._flags: Snapshot = compile_flags(flags, self._stored.flags_version)
        self._present = msgspec.structs.replace(
            self._stored, flags=flags, mounted=self._stored.mounted - self._unmounted
        )
