"""`routing.judge`: rollouts on made-up traffic, from their start to their end."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec
import numpy as np
import pytest

from routing.gates import GATES
from routing.judge import Record, Sight, Watch, judge, replayed
from routing.rollout import Pause, Plan, Rollout, Step
from routing.rules import Target
from routing.tally import Arm, Outcome, Stage

V1 = Target("lora", "acme@v1")
TICK = 20
"""Units between two looks."""


class Behaviour(NamedTuple):
    """What an arm's answers are like."""

    adherence: float = 0.997
    errors: float = 0.001
    ttft: float = 0.2
    tokens: float = 100.0


HEALTHY = Behaviour(tokens=82.0)
CONTROL = Behaviour()


class World:
    """Traffic whose two arms behave as they are told, and a clock."""

    def __init__(self, candidate: Behaviour, seed: int = 1) -> None:
        self.candidate = candidate
        self.now = 0.0
        self.ready = True
        self.killed = False
        self.tilt = 1.0
        self.probing = True
        self._rng = np.random.default_rng(seed)
        self.stages: list[Stage] = [Stage()]

    def pass_by(self, rollout: Rollout) -> Sight:
        """Let some units come; what is seen then."""
        while len(self.stages) <= rollout.stage:
            self.stages.append(Stage())
        part = min(1.0, rollout.weight / 10_000 * self.tilt)
        some = [
            self._outcome("candidate" if self._rng.random() < part else "control")
            for _ in range(TICK)
        ]
        some += [Outcome(each.arm, ok=True, assigned=True) for each in some]
        if rollout.weight and self.probing:
            some += [self._probe() for _ in range(2)]
        self.stages[rollout.stage] = self.stages[rollout.stage].plus(some)
        self.now += 5.0
        return Sight(tuple(self.stages), self.now, self.ready, self.killed)

    def _outcome(self, arm: Arm) -> Outcome:
        how = self.candidate if arm == "candidate" else CONTROL
        if self._rng.random() < how.errors:
            return Outcome(arm, ok=False)
        adherent = bool(self._rng.random() < how.adherence)
        return Outcome(
            arm,
            ok=True,
            adherent=adherent,
            repaired=False,
            cited=True,
            ttft=float(how.ttft * self._rng.lognormal(0, 0.3)),
            tokens=1 + int(how.tokens * self._rng.lognormal(0, 0.3)),
        )

    def _probe(self) -> Outcome:
        return Outcome("probes", ok=True, refused_well=True, cited_well=True)


PLAN = Plan(
    V1,
    tenants=frozenset({"acme"}),
    steps=(Step(500, units=50, seconds=10), Step(5_000, units=100, seconds=10)),
    staging_units=200,
    staging_seconds=10,
)


def started(plan: Plan = PLAN) -> Rollout:
    return Rollout("ro-1", plan, begun=0.0).after("cleared", 0.0)


def history(
    world: World,
    rollout: Rollout | None = None,
    meddle: Callable[[World, Rollout], None] = lambda _world, _rollout: None,
    looks: int = 3_000,
) -> Iterator[Record]:
    """The looks at a rollout until it is over."""
    rollout, watch = rollout or started(), Watch()
    for _ in range(looks):
        meddle(world, rollout)
        record = judge(rollout, watch, world.pass_by(rollout))
        yield record
        rollout, watch = record.after, record.watch
        if rollout.phase in ("promoted", "rolled_back"):
            return


@pytest.fixture(scope="module")
def promoted() -> list[Record]:
    return list(history(World(HEALTHY)))


def test_a_healthy_candidate_is_promoted_through_every_step(
    promoted: list[Record],
) -> None:
    events = [(r.event, r.after.weight) for r in promoted if r.event is not None]
    assert events == [("staged", 500), ("advanced", 5_000), ("promoted", 10_000)]
    assert all(reading.verdict == "pass" for reading in promoted[-1].readings)
    assert promoted[-1].after.ended == "every gate has passed"


def test_until_then_it_says_what_is_missing(promoted: list[Record]) -> None:
    assert all(record.missing for record in promoted if record.event is None)
    first, last = promoted[0].missing, promoted[-2].missing
    assert first == ("180 of 200 units", "5 of 10 seconds")
    assert "evidence of good" in last[0]


@pytest.mark.parametrize(
    ("candidate", "measure"),
    [
        (HEALTHY._replace(adherence=0.97), "adherence"),
        (HEALTHY._replace(ttft=0.3), "ttft"),
        (HEALTHY._replace(tokens=140.0), "tokens"),
        (HEALTHY._replace(errors=0.1), "errors"),
    ],
)
def test_a_degraded_candidate_is_rolled_back_for_what_it_does(
    candidate: Behaviour, measure: str
) -> None:
    last = list(history(World(candidate)))[-1]
    assert (last.event, last.after.weight) == ("rolled_back", 0)
    assert measure in last.after.ended
    assert "fail" in last.after.ended


def test_every_record_can_be_computed_again(promoted: list[Record]) -> None:
    for record in promoted[:: len(promoted) // 20]:
        read = msgspec.json.decode(msgspec.json.encode(record), type=Record)
        assert replayed(read) == read == record


def test_a_record_that_was_changed_is_not_what_it_computes_to(
    promoted: list[Record],
) -> None:
    record = msgspec.structs.replace(promoted[-1], event="advanced")
    assert replayed(record) != record


def test_a_candidate_that_breaks_late_is_still_rolled_back() -> None:
    slow = msgspec.structs.replace(PLAN, steps=(Step(5_000, units=50_000),))

    def broken(world: World, _: Rollout) -> None:
        if len(world.stages) > 1 and world.stages[1].candidate.units > 3_000:
            world.candidate = HEALTHY._replace(adherence=0.95)

    last = list(history(World(HEALTHY), started(slow), broken))[-1]
    assert last.event == "rolled_back"
    assert last.sight.stages[1].candidate.units < 3_800


def test_nothing_is_promoted_without_what_only_probes_can_show() -> None:
    world = World(HEALTHY)
    world.probing = False
    *_, last = history(world, looks=800)
    assert last.after.phase == "ramp"
    assert any("refusals" in each and "(probes)" in each for each in last.missing)


def test_a_candidate_that_is_not_ready_goes_nowhere() -> None:
    world = World(HEALTHY)
    world.ready = False
    *_, last = history(world, looks=50)
    assert last.after.phase == "staging"
    assert last.missing == ("the candidate ready on every replica",)


def test_a_kill_ends_it() -> None:
    world = World(HEALTHY)
    world.killed = True
    (record,) = history(world)
    assert (record.event, record.after.ended) == (
        "rolled_back",
        "a kill has taken the candidate away",
    )


def test_units_that_are_split_otherwise_freeze_the_ramp() -> None:
    world = World(HEALTHY)
    world.tilt = 1.6
    plan = msgspec.structs.replace(PLAN, steps=(Step(2_500, units=100_000),))
    *_, last = history(world, started(plan), looks=200)
    assert last.after.pause is not None
    assert last.after.pause.kind == "split"
    assert last.after.phase == "canary"


def test_time_that_runs_out_holds_and_never_passes() -> None:
    plan = msgspec.structs.replace(
        PLAN, steps=(Step(500, units=100_000),), deadline_seconds=400.0
    )
    *_, last = history(World(HEALTHY), started(plan), looks=120)
    assert (last.after.phase, last.after.weight) == ("canary", 500)
    assert last.after.pause is not None
    assert last.after.pause.kind == "deadline"


def test_paused_it_advances_no_more_and_is_still_rolled_back_for_harm() -> None:
    pause = Pause("operator", "release freeze")
    canary = started().after("staged", 0.0).held(pause)
    *_, last = history(World(HEALTHY), canary, looks=200)
    assert (last.after.step, last.missing) == (
        0,
        ("paused (operator): release freeze",),
    )
    *_, last = history(World(HEALTHY._replace(adherence=0.9)), canary)
    assert last.event == "rolled_back"


def test_a_promotion_can_be_left_to_a_person() -> None:
    plan = msgspec.structs.replace(PLAN, promote="operator")
    *_, last = history(World(HEALTHY), started(plan), looks=600)
    assert (last.after.phase, last.after.weight) == ("ramp", 5_000)
    assert last.after.pause is not None
    assert last.after.pause.kind == "promote"


def test_a_step_can_ask_for_all_the_evidence_before_it_is_left() -> None:
    plan = msgspec.structs.replace(
        PLAN, steps=(Step(500, units=20, seconds=0, good=True), Step(5_000))
    )
    records = list(history(World(HEALTHY), started(plan), looks=400))
    assert records[-1].after.step == 0
    assert any("adherence" in each for each in records[-1].missing)


def test_every_default_gate_is_judged(promoted: list[Record]) -> None:
    assert [r.measure for r in promoted[-1].readings] == [g.measure for g in GATES]
