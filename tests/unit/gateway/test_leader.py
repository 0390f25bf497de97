"""The first worker and another one, on real sockets, without their gateways."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from adapters.lifecycle import State
from gateway.control import leader as module
from gateway.control.follower import Follower
from gateway.control.leader import Leader
from gateway.engine.port import Observed, Replica
from gateway.fleet import Fleet
from gateway.live import Live, Present
from gateway.member import Member
from routing.flags import FlagDocument
from routing.rules import Kill

WITHIN = 5.0
URL = "http://127.0.0.1:1"
SEEN = Observed(alive=True, boot_epoch=7.0, models=frozenset({"base", "a@v1"}))


class Named:
    """A replica of which only the name is needed."""

    url = URL


class Side:
    """What one worker holds."""

    def __init__(self) -> None:
        self.live = Live(Present(FlagDocument(default="lora"), flags_version=1))
        replica = cast("Replica", Named())
        self.fleet = Fleet([replica], base_name="base", max_in_flight=4)
        self.woken = 0

    @property
    def member(self) -> Member:
        return self.fleet.members[0]

    def look(self, state: State = State.READY) -> None:
        self.member.observed, self.member.looked = SEEN, True
        self.member.slot("a@v1").state = state

    def wake(self) -> None:
        self.woken += 1

    def leading(self, directory: Path) -> Leader:
        return Leader(
            self.live,
            self.fleet,
            "first",
            wake=self.wake,
            directory=directory,
            others=[1],
        )

    def following(self, directory: Path) -> Follower:
        return Follower(
            self.live,
            self.fleet,
            "other",
            store_up=lambda: True,
            directory=directory,
            index=1,
        )


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN):
        while not holds():
            await asyncio.sleep(0.002)


class Both:
    """A leader and its follower, running."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.first, self.other = Side(), Side()
        self.leader = self.first.leading(directory)
        self.follower = self.other.following(directory)
        self.tasks: list[asyncio.Task[Any]] = []

    async def begin(self) -> None:
        self.first.look()
        for role in (self.leader, self.follower):
            self.tasks.append(asyncio.create_task(self._live(role)))
        await until(lambda: self.leader.settled() and bool(self.leader.reports))

    async def _live(self, role: Leader | Follower) -> None:
        await role.begin()
        await role.run()

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.leader.close()
        self.follower.close()


@pytest.fixture
async def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Both]:
    monkeypatch.setattr(module, "_ADOPT_SECONDS", 0.2)
    pair = Both(tmp_path)
    await pair.begin()
    yield pair
    await pair.end()


async def test_the_other_worker_knows_what_is_ready_where(both: Both) -> None:
    assert both.other.member.observed == SEEN
    assert both.other.fleet.ready("a@v1")


async def test_a_kill_is_with_the_other_worker_at_once(both: Both) -> None:
    both.first.live.kill(Kill("global"))
    heard = await both.leader.heard()
    assert (heard.acknowledged, heard.stragglers) == (("first", "other"), ())
    assert both.other.live.unheard.kills == (Kill("global"),)


async def test_a_worker_that_does_not_confirm_is_named(both: Both) -> None:
    both.follower.close()
    both.first.live.kill(Kill("global"))
    heard = await both.leader.heard()
    assert (heard.acknowledged, heard.stragglers) == (("first",), ("other",))


async def test_requests_in_the_other_worker_are_in_flight_here(both: Both) -> None:
    slot = both.first.member.slot("a@v1")
    with both.other.fleet.lease("a@v1"):
        both.other.member.woken.set()
        await until(lambda: slot.busy == 1)
        assert both.first.fleet.in_flight == 1
    woken = both.first.woken
    both.other.member.woken.set()
    await until(lambda: slot.busy == 0 and both.first.woken > woken)


async def test_what_changes_is_not_settled_before_it_is_confirmed(both: Both) -> None:
    both.first.look(State.DRAINING)
    assert not both.first.fleet.settled()
    await until(both.first.fleet.settled)
    assert not both.other.fleet.ready("a@v1")


async def test_what_another_worker_doubts_is_told_again_though_nothing_has_changed(
    both: Both,
) -> None:
    with both.other.fleet.lease("a@v1") as lease:
        both.other.fleet.forgotten(lease)
        both.other.fleet.lost(lease)
    assert not both.other.fleet.ready("a@v1")
    woken = both.first.woken
    await until(lambda: both.first.woken > woken)
    both.leader.publish()
    await until(lambda: both.other.fleet.ready("a@v1"))
    assert not both.other.member.doubted


async def test_a_new_leader_takes_over_what_the_others_hold(both: Both) -> None:
    both.first.live.kill(Kill("tenant", "acme"))
    await both.leader.heard()
    both.tasks[0].cancel()
    both.leader.close()
    successor = Side()
    leader = successor.leading(both.directory)
    await leader.begin()
    assert successor.live.unheard.kills == (Kill("tenant", "acme"),)
    assert successor.fleet.ready("a@v1")
    successor.look(State.ABSENT)
    leader.publish()
    await until(lambda: not both.other.fleet.ready("a@v1"))
    leader.close()


async def test_nothing_is_told_before_each_replica_was_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ADOPT_SECONDS", 0.2)
    pair = Both(tmp_path)
    await pair.leader.begin()
    begun = asyncio.create_task(pair.follower.begin())
    await until(lambda: bool(pair.leader.reports))
    pair.leader.publish()
    await asyncio.sleep(0)
    assert not begun.done()
    pair.first.look()
    pair.leader.publish()
    await begun
    await pair.end()


async def test_a_gateway_of_one_worker_is_settled_and_alone() -> None:
    side = Side()
    leader = Leader(side.live, side.fleet, "only", wake=side.wake)
    await leader.begin()
    side.live.kill(Kill("global"))
    assert (await leader.heard()).acknowledged == ("only",)
    assert leader.settled()
    await leader.run()
    leader.close()
