"""The controller is killed between any two writes; another one goes on from there."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.control.changes import Changes, Who
from gateway.control.documents import Refresher, plant
from gateway.control.rollouts import Clock, Rollouts, decode_record
from gateway.errors import StateConflict
from gateway.live import Live, Present
from routing.flags import FlagDocument
from routing.gates import Gate
from routing.judge import replayed
from routing.rollout import Plan, Rollout, Step
from routing.rules import RolloutRule, Target
from routing.store import AuditEntry, Change, Document, Store
from routing.stores.sqlite import SqliteStore
from routing.stores.sqlite_tallies import SqliteTallies
from routing.tallies import Counted, Entry, Tallies, unit_digest
from routing.tally import Arm, Outcome, Stage

NOW = datetime(2026, 11, 27, tzinfo=UTC)
WHY = Change("test", "plant", "", NOW)
SEED = Present(FlagDocument())
PLAN = Plan(
    Target("lora", "acme@v1"),
    steps=(Step(2_000, units=5, seconds=0), Step(6_000, units=5, seconds=0)),
    gates=(Gate("adherence", harm=0.05, good=0.3),),
    staging_units=5,
    staging_seconds=0,
)
WRITES = 16
"""More than a whole rollout makes."""


class KilledError(Exception):
    """The process ends here."""


class Fuse:
    """Lets some writes through."""

    def __init__(self, writes: int) -> None:
        self.left = writes

    def burn(self) -> None:
        if self.left == 0:
            raise KilledError
        self.left -= 1


class DyingStore:
    """A store whose process is killed before one of its writes."""

    def __init__(self, store: Store, fuse: Fuse) -> None:
        self._store = store
        self._fuse = fuse

    async def get(self, key: str) -> Document | None:
        return await self._store.get(key)

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        expect: int,
        entry: Change,
        version: int | None = None,
    ) -> Document:
        self._fuse.burn()
        return await self._store.put(
            key, body, expect=expect, entry=entry, version=version
        )

    async def version(self) -> int:
        return await self._store.version()

    async def changed(self) -> None:
        await self._store.changed()

    async def audit(self, limit: int) -> list[AuditEntry]:
        return await self._store.audit(limit)

    async def close(self) -> None:
        await self._store.close()


class DyingTallies:
    """The same of tallies."""

    def __init__(self, tallies: Tallies, fuse: Fuse) -> None:
        self._tallies = tallies
        self._fuse = fuse

    async def count(self, rollout: str, outcomes: Iterable[Counted]) -> None:
        await self._tallies.count(rollout, outcomes)

    async def stage(self, rollout: str, stage: int) -> Stage:
        return await self._tallies.stage(rollout, stage)

    async def forget(self, rollout: str, stages: int) -> None:
        await self._tallies.forget(rollout, stages)

    async def write(self, rollout: str, entry: Entry) -> None:
        self._fuse.burn()
        await self._tallies.write(rollout, entry)

    async def records(self, rollout: str, limit: int) -> list[Entry]:
        return await self._tallies.records(rollout, limit)

    async def hold(self, name: str, owner: str, seconds: float) -> bool:
        del name, owner, seconds
        return True

    async def announce(self, who: str, version: int, seconds: float) -> None:
        await self._tallies.announce(who, version, seconds)

    async def announced(self) -> dict[str, int]:
        return await self._tallies.announced()

    async def close(self) -> None:
        await self._tallies.close()


class Process(NamedTuple):
    """One gateway's controller."""

    live: Live
    refresher: Refresher
    changes: Changes
    tallies: Tallies
    rollouts: Rollouts

    @property
    def rollout(self) -> Rollout:
        return self.live.stored.rollouts["ro-1"]

    @property
    def rule(self) -> RolloutRule | None:
        rules = self.live.stored.flags.rollouts
        return rules[0] if rules else None


@asynccontextmanager
async def process(where: Path, fuse: Fuse) -> AsyncGenerator[Process]:
    store = DyingStore(SqliteStore(where / "state.db"), fuse)
    tallies = DyingTallies(SqliteTallies(where / "tallies.db"), fuse)
    live = Live(SEED)
    refresher = Refresher(store, live, SEED)
    changes = Changes(store, live, refresher, now=lambda: NOW)
    rollouts = Rollouts(
        changes,
        live,
        tallies,
        ready=lambda _: True,
        owner="me",
        clock=Clock(lambda: 100.0),
    )
    await refresher.refresh()
    try:
        yield Process(live, refresher, changes, tallies, rollouts)
    finally:
        await tallies.close()
        await store.close()


async def begun(where: Path) -> None:
    """A store that holds a rollout nobody has looked at yet."""
    store = SqliteStore(where / "state.db")
    await plant(store, SEED, WHY)
    await store.close()
    async with process(where, Fuse(-1)) as first:
        made = Rollout("ro-1", PLAN, begun=0.0)
        await first.changes.rollout(lambda _: made, Who("alice"), "rollout.start")


async def traffic(found: Process, *, good: bool) -> None:
    """Ten units of each arm at the stage that the rollout is at."""
    stage = found.rollout.stage
    arms: tuple[Arm, ...] = ("candidate", "control") if stage else ("control",)
    await found.tallies.count(
        "ro-1",
        [
            Counted(
                stage,
                unit_digest(arm, str(number)),
                Outcome(arm, ok=True, adherent=good or arm == "control"),
            )
            for arm in arms
            for number in range(60 if arm == "candidate" else 90)
        ],
    )


async def run(found: Process, *, good: bool) -> None:
    """Look until it is over."""
    for _ in range(20):
        await found.refresher.refresh()
        if found.rollout.phase in ("promoted", "rolled_back") and (
            settled(found) or not good
        ):
            await found.rollouts.look()
            return
        await traffic(found, good=good)
        await found.rollouts.look()
    pytest.fail(f"it does not end: {found.rollout}")


def settled(found: Process) -> bool:
    return found.rule == found.rollout.rule


@pytest.fixture(autouse=True)
def any_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """The made-up traffic is not split by weights, which is not the point here."""

    def unsplit(seen: object) -> float:
        del seen
        return 0.0

    monkeypatch.setattr("routing.judge.split", unsplit)


@pytest.mark.parametrize("writes", range(WRITES))
async def test_a_promotion_that_was_killed_anywhere_is_finished_by_the_next(
    tmp_path: Path, writes: int
) -> None:
    await begun(tmp_path)
    async with process(tmp_path, Fuse(writes)) as first:
        try:
            await asyncio.wait_for(run(first, good=True), 20)
        except KilledError:
            await first.refresher.refresh()
            held = first.rule
            # What is in force is never more than what is written down.
            assert held is None or held.weight <= first.rollout.weight
    async with process(tmp_path, Fuse(-1)) as second:
        await run(second, good=True)
        await second.refresher.refresh()
        assert (second.rollout.phase, second.rollout.weight) == ("promoted", 10_000)
        assert settled(second)
        await replays(second)


@pytest.mark.parametrize("writes", range(WRITES))
async def test_a_rollback_that_was_killed_anywhere_is_finished_and_never_undone(
    tmp_path: Path, writes: int
) -> None:
    await begun(tmp_path)
    async with process(tmp_path, Fuse(writes)) as first:
        taken = False
        try:
            await asyncio.wait_for(run(first, good=False), 20)
        except KilledError:
            await first.refresher.refresh()
            taken = first.rollout.stage > 0 and first.rule is None
    async with process(tmp_path, Fuse(-1)) as second:
        if taken:
            await second.rollouts.look()
            await second.refresher.refresh()
            assert second.rule is None
        await run(second, good=False)
        await second.refresher.refresh()
        assert (second.rollout.phase, second.rule) == ("rolled_back", None)
        await replays(second)


async def replays(found: Process) -> None:
    for entry in await found.tallies.records("ro-1", 100):
        record = decode_record(entry.body)
        assert replayed(record) == record


async def test_a_record_that_cannot_be_read_holds_nothing_up(tmp_path: Path) -> None:
    await begun(tmp_path)
    async with process(tmp_path, Fuse(-1)) as found:
        for number, body in enumerate((b"{}", b"\xff"), 1):
            await found.tallies.write("ro-1", Entry(number, body))
        await run(found, good=True)
        await found.refresher.refresh()
        assert found.rollout.phase == "promoted"
        assert [e.number for e in await found.tallies.records("ro-1", 100)][-2:] == [
            2,
            1,
        ]


async def test_one_that_cannot_be_looked_at_keeps_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begun(tmp_path)
    async with process(tmp_path, Fuse(-1)) as found:
        made = Rollout("ro-0", PLAN, begun=0.0)
        await found.changes.rollout(lambda _: made, Who("alice"), "rollout.start")
        rule = found.changes.rule

        async def refused(rollout: Rollout, who: Who) -> Present:
            if rollout.id == "ro-1":
                raise StateConflict("somebody else")
            return await rule(rollout, who)

        monkeypatch.setattr(found.changes, "rule", refused)
        await found.rollouts.look()
        phases = {each.id: each.phase for each in found.live.stored.rollouts.values()}
        assert phases == {"ro-1": "preflight", "ro-0": "staging"}
