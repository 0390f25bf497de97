"""Which replica a request gets: its conversation's own, unless that is the busier one."""

from collections import Counter
from contextlib import ExitStack

import pytest

from gateway.engine.port import Observed, Timeouts
from gateway.engine.vllm import VllmReplica
from gateway.fleet import Fleet
from gateway.member import Member

ALIVE = Observed(alive=True, boot_epoch=1.0, models=frozenset({"base"}))
URLS = tuple(f"http://127.0.0.1:{port}" for port in range(8000, 8004))


@pytest.fixture
def fleet() -> Fleet:
    made = Fleet(
        [VllmReplica(url, Timeouts()) for url in URLS],
        base_name="base",
        max_in_flight=100,
    )
    for member in made.members:
        member.observed = ALIVE
    return made


def chosen(fleet: Fleet, unit: str | None) -> Member:
    return fleet.lease_base(unit=unit).member


UNITS = tuple(f"conv-{number}" for number in range(2_000))


def test_a_conversation_goes_where_it_was_while_nobody_is_busier(fleet: Fleet) -> None:
    homes = {unit: chosen(fleet, unit) for unit in UNITS}
    assert all(chosen(fleet, unit) is home for unit, home in homes.items())
    counts = Counter(member.replica.url for member in homes.values())
    assert set(counts) == set(URLS)
    # 2,000 units on four: 500 each, and seven standard deviations are 136
    assert all(abs(count - 500) < 136 for count in counts.values())


def test_a_replica_that_goes_moves_only_its_own_conversations(fleet: Fleet) -> None:
    homes = {unit: chosen(fleet, unit) for unit in UNITS}
    gone = fleet.members[2]
    gone.observed = Observed(alive=False, boot_epoch=1.0, models=frozenset())
    for unit, home in homes.items():
        now = chosen(fleet, unit)
        assert now is not gone
        assert now is home or home is gone


def test_a_conversation_leaves_a_home_that_is_loaded_above_the_rest(
    fleet: Fleet,
) -> None:
    home = chosen(fleet, "conv-1")
    with ExitStack() as open_now:
        for _ in range(8):
            open_now.enter_context(fleet.lease_base(unit="conv-1"))
        counts = sorted(member.in_flight for member in fleet.members)
        # never above ceil(1.25 * 8 / 4), however many of one conversation come
        assert sum(counts) == 8
        assert counts[-1] <= 3
    assert chosen(fleet, "conv-1") is home


def test_a_home_that_has_lost_a_request_is_left_until_it_was_looked_at(
    fleet: Fleet,
) -> None:
    home = chosen(fleet, "conv-1")
    home.doubted = True
    assert chosen(fleet, "conv-1") is not home
    home.doubted = False
    assert chosen(fleet, "conv-1") is home


def test_without_a_conversation_the_idlest_answers(fleet: Fleet) -> None:
    with ExitStack() as open_now:
        for _ in URLS:
            open_now.enter_context(fleet.lease_base())
        assert [member.in_flight for member in fleet.members] == [1, 1, 1, 1]
