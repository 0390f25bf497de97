"""The present, as the request path reads it: one frozen value, swapped whole."""

import time
from collections.abc import Callable, Mapping
from math import inf
from typing import Any, Final

import msgspec

from routing.decision import Decision, Query
from routing.flags import FlagDocument, with_kill, without_rollouts
from routing.resolve import Snapshot, compile_flags
from routing.rollout import RUNNING, Rollout
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


class Unheard(msgspec.Struct, frozen=True):
    """What is in force in this gateway and not in the store."""

    kills: tuple[Kill, ...] = ()
    unmounted: frozenset[str] = frozenset()
    flags_version: int = 0
    """Where the store had the last of the kills that are no longer among them."""
    mounted_version: int = 0
    """The same of the unmounts."""
    rolled_back: Mapping[str, str] = {}
    """Rollouts that are over here, and why; nobody gets their candidates."""


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
        self._unheard = Unheard()
        self._ordered: Unheard | None = None
        self._told: Callable[[], None] = lambda: None
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
    def unheard(self) -> Unheard:
        """Kills and unmounts that are in force here and not in the store."""
        return self._unheard

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
        self._obey()
        return True

    def watch(self, told: Callable[[], None]) -> None:
        """Have `told` called whenever what the store has not heard of is another."""
        self._told = told

    def kill(self, kill: Kill) -> None:
        """Put a kill in force in this process, at once."""
        if kill not in self._unheard.kills:
            self._hold(kills=(*self._unheard.kills, kill))

    def heard_kill(self, kill: Kill) -> None:
        """The store has it, or it is taken back: it is no longer only ours."""
        left = tuple(each for each in self._unheard.kills if each != kill)
        self._hold(kills=left, flags_version=self._stored.flags_version)

    def unmount(self, ref: str) -> None:
        """Want an adapter gone in this process, at once."""
        self._hold(unmounted=self._unheard.unmounted | {ref})

    def heard_unmount(self, ref: str) -> None:
        """The store has it, or the adapter is wanted again."""
        left = self._unheard.unmounted - {ref}
        self._hold(unmounted=left, mounted_version=self._stored.mounted_version)

    def heard_all(self) -> None:
        """The store has everything that was only ours."""
        versions = self._stored.flags_version, self._stored.mounted_version
        self._unheard = Unheard((), frozenset(), *versions)
        self._hold()

    def roll_back(self, id_: str, why: str) -> None:
        """End a rollout in this process, at once, until the store says so itself."""
        self._hold(rolled_back={**self._unheard.rolled_back, id_: why})

    def adopt(self, unheard: Unheard) -> None:
        """Hold what another process held before it ended, as far as it is news."""
        for kill in set(unheard.kills) - set(self._stored.flags.kills):
            self.kill(kill)
        for ref in unheard.unmounted & self._stored.mounted:
            self.unmount(ref)
        for id_, why in unheard.rolled_back.items():
            self.roll_back(id_, why)

    def order(self, unheard: Unheard) -> None:
        """Hold what the process that decides holds.

        What it no longer holds stays in force here until the store has said here what
        it said there: otherwise a kill would end for as long as that takes.
        """
        self._ordered = unheard
        self._obey()

    def _hold(self, **changes: Any) -> None:
        self._unheard = msgspec.structs.replace(self._unheard, **changes)
        self._settle()
        self._told()

    def _obey(self) -> None:
        held, ordered = self._unheard, self._ordered
        if ordered is not None:
            kills, unmounted = ordered.kills, ordered.unmounted
            if self._stored.flags_version < ordered.flags_version:
                kills = tuple(dict.fromkeys((*held.kills, *kills)))
            if self._stored.mounted_version < ordered.mounted_version:
                unmounted |= held.unmounted
            self._unheard = msgspec.structs.replace(
                ordered,
                kills=kills,
                unmounted=unmounted,
                rolled_back={**ordered.rolled_back, **held.rolled_back},
            )
        self._settle()

    def _settle(self) -> None:
        stored = self._stored
        going = {rule.id for rule in stored.flags.rollouts}
        going |= {r.id for r in stored.rollouts.values() if r.phase in RUNNING}
        held = self._unheard.rolled_back
        ended = {id_: why for id_, why in held.items() if id_ in going}
        self._unheard = msgspec.structs.replace(self._unheard, rolled_back=ended)
        flags = without_rollouts(stored.flags, ended)
        for kill in self._unheard.kills:
            flags = with_kill(flags, kill)
        self._flags: Snapshot = compile_flags(flags, self._stored.flags_version)
        over = {
            id_: msgspec.structs.replace(
                stored.rollouts[id_], phase="rolled_back", pause=None, ended=why
            )
            for id_, why in ended.items()
            if id_ in stored.rollouts
        }
        self._present = msgspec.structs.replace(
            stored,
            flags=flags,
            mounted=stored.mounted - self._unheard.unmounted,
            rollouts={**stored.rollouts, **over},
        )
