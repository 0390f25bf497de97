"""A wall clock that jumps neither ends a step's wait early nor makes it longer."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.control.changes import Changes, Who
from gateway.control.documents import Refresher, plant
from gateway.control.rollouts import Clock, Rollouts
from gateway.live import Live, Present
from routing.flags import FlagDocument
from routing.gates import Gate
from routing.rollout import Plan, Rollout, Step
from routing.rules import Target
from routing.store import Change
from routing.stores.sqlite import SqliteStore
from routing.stores.sqlite_tallies import SqliteTallies
from routing.tallies import Counted, unit_digest
from routing.tally import Outcome

NOW = datetime(2026, 11, 27, tzinfo=UTC)
SEED = Present(FlagDocument())
BEGUN = 1_000_000.0
WAIT = 600.0
DAY = 86_400.0
PLAN = Plan(
    Target("lora", "acme@v1"),
    steps=(Step(2_000, units=1, seconds=WAIT), Step(6_000, units=1, seconds=0)),
    gates=(Gate("adherence", harm=0.05, good=0.3),),
    staging_units=1,
    staging_seconds=0,
    deadline_seconds=7 * DAY,
)


class World:
    """A controller, its rollout at the first step, and both of its clocks."""

    def __init__(self, where: Path) -> None:
        self.wall, self.ticks = BEGUN, 50.0
        self.store = SqliteStore(where / "state.db")
        self.tallies = SqliteTallies(where / "tallies.db")
        self.live = Live(SEED)
        refresher = Refresher(self.store, self.live, SEED)
        self.changes = Changes(self.store, self.live, refresher, now=lambda: NOW)
        self.refresh = refresher.refresh
        self.rollouts = self.controller()

    def controller(self) -> Rollouts:
        """One more process that could step."""
        return Rollouts(
            self.changes,
            self.live,
            self.tallies,
            ready=lambda _: True,
            owner="me",
            clock=Clock(lambda: self.wall, lambda: self.ticks),
        )

    @property
    def rollout(self) -> Rollout:
        return self.live.stored.rollouts["ro-1"]

    async def passes(self, seconds: float) -> None:
        """So much time passes on both clocks, and the controller looks twice."""
        self.wall, self.ticks = self.wall + seconds, self.ticks + seconds
        await self.look()

    async def look(self) -> None:
        await self.refresh()
        await self.rollouts.look()
        await self.rollouts.look()

    async def begin(self) -> None:
        await plant(self.store, SEED, Change("test", "plant", "", NOW))
        await self.refresh()
        made = Rollout("ro-1", PLAN, begun=BEGUN)
        await self.changes.rollout(lambda _: made, Who("alice"), "rollout.start")
        for stage in (0, 1):
            counted = [
                Counted(stage, unit_digest("acme", f"{arm}"), Outcome(arm, ok=True))
                for arm in ("candidate", "control")
            ]
            await self.tallies.count("ro-1", counted)
        for _ in range(3):
            await self.look()
        assert (self.rollout.phase, self.rollout.step) == ("canary", 0)

    async def end(self) -> None:
        await self.tallies.close()
        await self.store.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    await made.begin()
    yield made
    await made.end()


@pytest.mark.parametrize("jump", [-30 * DAY, -300.0, 300.0, 3_600.0, 30 * DAY])
async def test_a_step_takes_as_long_as_it_should(world: World, jump: float) -> None:
    await world.passes(WAIT / 2)
    world.wall += jump
    await world.look()
    assert (world.rollout.phase, world.rollout.pause) == ("canary", None)
    await world.passes(WAIT / 2 - 2)
    assert world.rollout.phase == "canary"
    await world.passes(4)
    assert world.rollout.phase == "ramp"


async def test_a_clock_that_is_set_right_slowly_changes_nothing(world: World) -> None:
    before = world.rollout
    for _ in range(5):
        world.wall += 0.1
        await world.look()
    assert world.rollout == before


async def test_who_takes_over_with_a_slow_clock_waits_no_longer_than_the_step(
    world: World,
) -> None:
    world.wall -= 3_600
    world.rollouts = world.controller()
    await world.look()
    assert world.rollout.entered == world.wall
    await world.passes(WAIT + 1)
    assert world.rollout.phase == "ramp"


async def test_units_of_a_rollout_that_is_over_are_forgotten_after_a_day(
    world: World,
) -> None:
    async def units() -> int:
        again = Counted(
            1, unit_digest("acme", "candidate"), Outcome("candidate", ok=True)
        )
        await world.tallies.count("ro-1", [again])
        return (await world.tallies.stage("ro-1", 1)).candidate.units

    over = world.rollout.after("rolled_back", world.wall, why="a test")
    await world.changes.rollout(lambda _: over, Who("alice"), "rollout.rollback")
    await world.passes(DAY - 60)
    assert await units() == 1
    await world.passes(120)
    assert await units() == 2


async def test_a_jump_is_in_the_audit_log(world: World) -> None:
    world.wall += 90
    await world.look()
    whys = [entry.why for entry in await world.store.audit(10)]
    assert "the clock has jumped by +90 s" in whys
