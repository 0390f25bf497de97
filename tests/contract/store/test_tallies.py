"""One suite for both tallies: nothing is counted twice, and records are in a row."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from routing.decision import Membership
from routing.errors import Conflict, StoreError
from routing.stores import open_tallies
from routing.tallies import (
    Counted,
    Entry,
    Tallies,
    assignment,
    increments,
    stage_of,
    unit_digest,
)
from routing.tally import Outcome, Stage
from tests.unit.routing.test_tally import OUTCOMES

SEEN = Outcome("candidate", ok=True, adherent=True, repaired=False, ttft=0.2, tokens=40)
BAD = Outcome("candidate", ok=True, adherent=False, repaired=True, ttft=9.0)

NUMBERS = itertools.count(10)


@pytest.fixture
async def tallies(url: str) -> AsyncIterator[Tallies]:
    opened = open_tallies(url)
    yield opened
    await opened.close()


def unit(number: int) -> bytes:
    return unit_digest("acme", f"conv-{number}")


async def test_nothing_was_counted_at_first(tallies: Tallies) -> None:
    assert await tallies.stage("ro-1", 1) == Stage()
    assert await tallies.records("ro-1", 10) == []


async def test_the_first_outcome_of_a_unit_counts_and_no_further_one(
    tallies: Tallies,
) -> None:
    await tallies.count("ro-1", [Counted(1, unit(1), SEEN), Counted(1, unit(1), BAD)])
    await tallies.count("ro-1", [Counted(1, unit(1), BAD), Counted(1, unit(2), BAD)])
    assert await tallies.stage("ro-1", 1) == Stage().plus([SEEN, BAD])


async def test_a_batch_that_is_handed_over_again_changes_nothing(
    tallies: Tallies,
) -> None:
    batch = [Counted(1, unit(number), SEEN) for number in range(50)]
    for _ in range(3):
        await tallies.count("ro-1", batch)
    assert (await tallies.stage("ro-1", 1)).candidate.units == 50


async def test_that_a_unit_was_given_counts_once_and_apart_from_its_outcome(
    tallies: Tallies,
) -> None:
    given = assignment(Membership("ro-1", 1, "candidate"), unit(1))
    await tallies.count("ro-1", [given, Counted(1, unit(1), SEEN), given])
    found = (await tallies.stage("ro-1", 1)).candidate
    assert (found.assigned, found.units) == (1, 1)


async def test_units_that_are_forgotten_leave_their_counts(tallies: Tallies) -> None:
    for rollout, stage in (("ro-1", 0), ("ro-1", 1), ("ro-1", 2), ("ro-2", 0)):
        await tallies.count(rollout, [Counted(stage, unit(1), SEEN)])
    await tallies.forget("ro-1", 2)
    await tallies.forget("ro-3", 2)  # which there is not
    once, twice = Stage().plus([SEEN]), Stage().plus([SEEN, SEEN])
    assert await tallies.stage("ro-1", 1) == once
    for rollout, stage in (("ro-1", 0), ("ro-1", 1), ("ro-1", 2), ("ro-2", 0)):
        await tallies.count(rollout, [Counted(stage, unit(1), SEEN)])
    assert await tallies.stage("ro-1", 0) == await tallies.stage("ro-1", 1) == twice
    assert await tallies.stage("ro-1", 2) == await tallies.stage("ro-2", 0) == once


async def test_stages_and_rollouts_count_apart(tallies: Tallies) -> None:
    for rollout, stage in (("ro-1", 1), ("ro-1", 2), ("ro-2", 1)):
        await tallies.count(rollout, [Counted(stage, unit(1), SEEN)])
    for rollout, stage in (("ro-1", 1), ("ro-1", 2), ("ro-2", 1)):
        assert await tallies.stage(rollout, stage) == Stage().plus([SEEN])


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(OUTCOMES, max_size=20))
async def test_what_is_read_is_what_the_outcomes_add_up_to(
    tallies: Tallies, outcomes: list[Outcome]
) -> None:
    rollout = f"ro-{next(NUMBERS)}"
    counted = [Counted(1, unit(at), each) for at, each in enumerate(outcomes)]
    await tallies.count(rollout, counted)
    assert await tallies.stage(rollout, 1) == Stage().plus(outcomes)


@given(st.lists(OUTCOMES, max_size=20))
def test_increments_add_up_to_the_stage(outcomes: list[Outcome]) -> None:
    total: dict[str, int] = {}
    for each in outcomes:
        for name, number in increments(each).items():
            total[name] = total.get(name, 0) + number
    assert stage_of(total) == Stage().plus(outcomes)


async def test_gateways_that_count_at_once_lose_nothing_and_count_nothing_twice(
    url: str,
) -> None:
    several = [open_tallies(url) for _ in range(4)]
    batches = [
        [Counted(1, unit(number), SEEN) for number in range(start, start + 60)]
        for start in (0, 30, 60, 90)
    ]
    await asyncio.gather(
        *(
            each.count("ro-1", batch)
            for each, batch in zip(several, batches, strict=True)
        )
    )
    assert (await several[0].stage("ro-1", 1)).candidate.units == 150
    for each in several:
        await each.close()


async def test_records_are_in_a_row_and_the_newest_can_be_written_anew(
    tallies: Tallies,
) -> None:
    for entry in (Entry(1, b"a"), Entry(1, b"b"), Entry(2, b"\xff"), Entry(2, b"d")):
        await tallies.write("ro-1", entry)
    assert await tallies.records("ro-1", 10) == [Entry(2, b"d"), Entry(1, b"b")]
    assert await tallies.records("ro-1", 1) == [Entry(2, b"d")]
    assert await tallies.records("ro-1", 0) == []


@pytest.mark.parametrize("number", [0, 1, 4])
async def test_a_record_that_comes_second_is_a_conflict(
    tallies: Tallies, number: int
) -> None:
    await tallies.write("ro-1", Entry(1, b"a"))
    await tallies.write("ro-1", Entry(2, b"b"))
    with pytest.raises(Conflict) as caught:
        await tallies.write("ro-1", Entry(number, b"x"))
    assert caught.value.found == 2
    assert await tallies.records("ro-1", 1) == [Entry(2, b"b")]


async def test_a_lease_has_one_holder_until_it_is_over(tallies: Tallies) -> None:
    assert await tallies.hold("controller", "one", 60)
    assert await tallies.hold("controller", "one", 0.05)
    assert not await tallies.hold("controller", "other", 60)
    async with asyncio.timeout(10):
        while not await tallies.hold("controller", "other", 60):
            await asyncio.sleep(0.01)
    assert not await tallies.hold("controller", "one", 60)
    assert await tallies.hold("another", "one", 60)


async def test_who_lives_is_known_with_the_version_that_each_holds(
    tallies: Tallies,
) -> None:
    assert await tallies.announced() == {}
    await tallies.announce("one", 7, 60)
    await tallies.announce("other", 6, 60)
    await tallies.announce("one", 8, 60)
    await tallies.announce("gone", 8, 0)
    assert await tallies.announced() == {"one": 8, "other": 6}


async def test_closed_tallies_refuse(url: str) -> None:
    tallies = open_tallies(url)
    await tallies.close()
    await tallies.close()
    with pytest.raises(StoreError, match="closed"):
        await tallies.stage("ro-1", 1)


def test_a_unit_is_remembered_by_tenant_and_without_its_name() -> None:
    assert unit_digest("a", "conv-1") != unit_digest("b", "conv-1")
    assert b"conv-1" not in unit_digest("a", "conv-1")
