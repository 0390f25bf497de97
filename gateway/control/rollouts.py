"""The loop that steps rollouts; one gateway does it, and any can take over.

A look: what was counted → `routing.judge` → a record → what it says. The order of
writes makes a crash at any point harmless: what takes boost away is in the flag before
it is written down, what gives boost is written down before it is in the flag, and the
next look brings the flag to what is written down. A rule that somebody took out of the
flag is never put back.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from gateway.control.changes import Changes, Who
from gateway.errors import GatewayError, StateConflict
from gateway.live import Live
from routing.errors import RolloutError, StoreError
from routing.flags import FlagDocument
from routing.judge import Record, Sight, Watch, judge
from routing.rollout import RUNNING, Rollout
from routing.rules import RolloutRule, Target
from routing.tallies import Entry, Tallies

_LOG: Final = logging.getLogger("wastegate")

LOOK_SECONDS: Final = 1.0
"""Between two looks at all rollouts."""

LEASE_SECONDS: Final = 5.0
"""How long another gateway waits after the last look of the one that steps."""

FORGET_SECONDS: Final = 86_400.0
"""After its end a rollout's units are no longer told apart: nothing is on its way."""

JUMP_SECONDS: Final = 1.0
"""From here on a clock has jumped; below, it is being set right slowly."""

LEASE: Final = "rollouts"
CONTROLLER: Final = "rollout controller"

_RECORD: Final = msgspec.json.Decoder(Record)
_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


def encode_record(record: Record) -> bytes:
    """A record as it is kept."""
    return _ENCODER.encode(record)


def decode_record(body: bytes) -> Record:
    """A record as it was kept; raises msgspec.DecodeError, RolloutError."""
    return _RECORD.decode(body)


class Clock(NamedTuple):
    """The time that people share, and one that nobody sets; both in seconds."""

    wall: Callable[[], float]
    """Since 1970."""
    steady: Callable[[], float] = time.monotonic


class Rollouts:
    """Steps the rollouts that are written down.

    Args:
        changes: how the flag and the rollouts are changed.
        live: what is in force here.
        tallies: what was counted, and where records go.
        ready: whether a target could answer on every live replica.
        owner: this process, in the lease.
        clock: of the moments that are written down.
    """

    def __init__(
        self,
        changes: Changes,
        live: Live,
        tallies: Tallies,
        *,
        ready: Callable[[Target], bool],
        owner: str,
        clock: Clock,
    ) -> None:
        self._changes = changes
        self._live = live
        self._tallies = tallies
        self._ready = ready
        self._owner = owner
        self._now, self._steady = clock
        self._offsets: dict[str, float] = {}
        """By rollout, how far the wall clock was ahead of the other one."""
        self._forgotten: set[str] = set()
        self._ended: frozenset[str] = frozenset()
        """What was rolled back here, and not in the store, at the last look."""
        self.looks: dict[str, Record] = {}
        """The newest look at each that runs, if it is this process that looks."""
        self.mine = False
        """Whether it is this process that steps rollouts."""

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except (StoreError, GatewayError) as error:
                # Nothing is stepped without the store: ramps freeze where they are.
                _LOG.warning("rollouts wait: %s", error)

    async def look(self) -> None:
        """Look at every rollout once, if it is this process that does it.

        What keeps one of them from being looked at is logged, and keeps no other.

        Raises:
            StoreError: the store is away.
        """
        await self._finished()
        rollouts = self._live.present.rollouts
        self.mine = bool(rollouts) and not self._live.stale
        if self.mine:
            self.mine = await self._tallies.hold(LEASE, self._owner, LEASE_SECONDS)
        if not self.mine:
            self.looks.clear()
            self._offsets.clear()
            return
        for known in (self.looks, self._offsets):
            for id_ in known.keys() - rollouts.keys():
                del known[id_]
        for rollout in tuple(rollouts.values()):
            try:
                await self._tend(rollout)
                await self._forget(rollout)
            except (StoreError, GatewayError) as error:
                _LOG.warning("rollout %s waits: %s", rollout.id, error)

    async def _finished(self) -> None:
        """Write down what was rolled back here while the store was away.

        Any gateway does so, whoever steps. What has just been rolled back is being
        written down by who has asked for it.
        """
        ended = self._live.unheard.rolled_back
        owed, self._ended = ended.keys() & self._ended, frozenset(ended)
        for id_ in owed & self._live.stored.rollouts.keys():
            held = self._live.stored.rollouts[id_]
            if held.phase != "rolled_back":
                held = held.after("rolled_back", self._now(), why=ended[id_])
            await self._changes.roll_back(held, _who("the store was away meanwhile"))

    async def _tend(self, rollout: Rollout) -> None:
        rule = _rule(self._live.stored.flags, rollout.id)
        if rollout.phase == "rolled_back":
            if rule is not None:
                await self._changes.rule(rollout, _who("it is rolled back"))
            return
        if rollout.phase == "preflight":
            await self._cleared(rollout)
            return
        if rule is None:
            why = "its rule was taken out of the flag"
            back = rollout.after("rolled_back", self._now(), why=why)
            await self._write(rollout, back, why)
            return
        if rule != rollout.rule:
            await self._changes.rule(rollout, _who("as it is written down"))
        if rollout.phase in RUNNING and not await self._shifted(rollout):
            await self._judge(rollout)

    async def _shifted(self, rollout: Rollout) -> bool:
        """Whether the wall clock has jumped: the rollout's moments go with it.

        Otherwise a step's wait would end early or take as much longer. A moment that
        is still to come was told by another machine's clock, or before a restart.
        """
        offset = self._now() - self._steady()
        jump = offset - self._offsets.setdefault(rollout.id, offset)
        if abs(jump) < JUMP_SECONDS:
            jump = min(0.0, self._now() - rollout.entered)
        if abs(jump) < JUMP_SECONDS:
            return False
        why = f"the clock has jumped by {jump:+.0f} s"
        await self._write(rollout, rollout.shifted(jump), why)
        self._offsets[rollout.id] = offset
        return True

    async def _forget(self, rollout: Rollout) -> None:
        over = rollout.phase not in RUNNING and rollout.id not in self._forgotten
        if over and self._now() - rollout.entered > FORGET_SECONDS:
            await self._tallies.forget(rollout.id, rollout.stage + 1)
            self._forgotten.add(rollout.id)

    async def _cleared(self, rollout: Rollout) -> None:
        staging = rollout.after("cleared", self._now())
        await self._changes.rule(staging, _who("staging: nobody gets it yet"))
        await self._write(rollout, staging, "cleared")

    async def _judge(self, rollout: Rollout) -> None:
        newest = await self._tallies.records(rollout.id, 1)
        last = _read(newest[0]) if newest else None
        record = judge(
            rollout, last.watch if last else Watch(), await self._sight(rollout)
        )
        self.looks[rollout.id] = record
        if not (last and _alike(record, last)):
            number = newest[0].number if newest else 0
            # Looks that came to nothing take each other's place; the others stay.
            fresh = record.event or not last or last.event or last.after != rollout
            entry = Entry(number + bool(fresh), encode_record(record))
            await self._tallies.write(rollout.id, entry)
        if record.after != rollout:
            await self._step(rollout, record)

    async def _sight(self, rollout: Rollout) -> Sight:
        stages = [
            await self._tallies.stage(rollout.id, stage)
            for stage in range(rollout.stage + 1)
        ]
        return Sight(
            stages=tuple(stages),
            now=self._now(),
            ready=self._ready(rollout.plan.candidate),
            killed=_killed(self._live.present.flags, rollout),
        )

    async def _step(self, rollout: Rollout, record: Record) -> None:
        after = record.after
        why = after.ended or (after.pause.why if after.pause else record.event or "")
        if record.event == "rolled_back":
            await self._changes.rule(after, _who(why))
        await self._write(rollout, after, why)
        if record.event not in (None, "rolled_back"):
            await self._changes.rule(after, _who(why))
        _LOG.info("rollout %s: %s, %s", rollout.id, record.event or "paused", why)

    async def _write(self, before: Rollout, after: Rollout, why: str) -> None:
        what = f"rollout.{after.phase} {after.id}"
        await self._changes.rollout(
            lambda held: _instead(held, before, after), _who(why), what
        )


def _read(entry: Entry) -> Record | None:
    """The newest record; one that another version wrote is left where it is."""
    try:
        return decode_record(entry.body)
    except (msgspec.DecodeError, RolloutError) as error:
        _LOG.error(
            "record %d cannot be read, its detectors begin anew: %s",
            entry.number,
            error,
        )
        return None


def _instead(held: Mapping[str, Rollout], before: Rollout, after: Rollout) -> Rollout:
    if held.get(before.id) != before:
        raise StateConflict(f"rollout {before.id} was changed meanwhile; look again")
    return after


def _who(why: str) -> Who:
    return Who(CONTROLLER, why)


def _rule(flags: FlagDocument, id_: str) -> RolloutRule | None:
    return next((rule for rule in flags.rollouts if rule.id == id_), None)


def _alike(record: Record, last: Record) -> bool:
    """Whether a look has seen what the last one did, but for the time."""
    return (
        record.event is None
        and record.before == last.before
        and record.after == last.after
        and record.watch == last.watch
        and record.sight.stages == last.sight.stages
        and record.sight.ready == last.sight.ready
    )


def _killed(flags: FlagDocument, rollout: Rollout) -> bool:
    """Whether a kill takes the candidate away from all of the scope."""
    plan = rollout.plan
    named: dict[str, set[str]] = {"tenant": set(), "surface": set()}
    for kill in flags.kills:
        if kill.scope == "global":
            return True
        if kill.scope == "variant" and kill.name == plan.candidate.generator:
            return True
        if kill.scope in named:
            named[kill.scope].add(kill.name)
    return any(
        scope and scope <= killed
        for scope, killed in (
            (plan.tenants, named["tenant"]),
            (plan.surfaces, named["surface"]),
        )
    )
