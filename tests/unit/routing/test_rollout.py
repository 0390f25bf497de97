"""`routing.rollout`: the table, the plan, and where a rollout is."""

from typing import get_args

import msgspec
import pytest

from routing.errors import RolloutError
from routing.flags import FlagDocument
from routing.gates import GATES, Gate
from routing.rollout import (
    RUNNING,
    TRANSITIONS,
    Event,
    Pause,
    Phase,
    Plan,
    Rollout,
    Step,
)
from routing.rules import Target

V1 = Target("lora", "acme@v1")
PLAN = Plan(V1, tenants=frozenset({"acme"}))
NEW = Rollout("ro-1", PLAN, begun=100.0)


@pytest.mark.parametrize("phase", get_args(Phase))
@pytest.mark.parametrize("event", get_args(Event))
def test_what_is_not_in_the_table_does_not_happen(phase: Phase, event: Event) -> None:
    rollout = msgspec.structs.replace(NEW, phase=phase)
    if (phase, event) in TRANSITIONS:
        assert rollout.after(event, 200.0).phase == TRANSITIONS[phase, event]
    else:
        with pytest.raises(RolloutError, match=f"is {phase}: it cannot be {event}"):
            rollout.after(event, 200.0)


def test_every_phase_but_the_last_can_be_rolled_back() -> None:
    phases = {phase for phase, event in TRANSITIONS if event == "rolled_back"}
    assert phases == set(get_args(Phase)) - {"rolled_back"}


def test_the_candidate_gets_what_its_step_says_and_nothing_before() -> None:
    rollout, seen = NEW, [(NEW.phase, NEW.weight, NEW.stage)]
    for event in ("cleared", "staged", "advanced", "advanced", "promoted"):
        rollout = rollout.after(event, 200.0, edge=3)
        seen.append((rollout.phase, rollout.weight, rollout.stage))
        FlagDocument(rollouts=(rollout.rule,))
    assert seen == [
        ("preflight", 0, 0),
        ("staging", 0, 0),
        ("canary", 500, 1),
        ("ramp", 2_500, 2),
        ("ramp", 5_000, 3),
        ("promoted", 10_000, 3),
    ]
    assert rollout.edges == (3, 3, 3)


def test_a_rollback_takes_the_weight_away_from_wherever_it_was() -> None:
    ramp = msgspec.structs.replace(NEW, phase="ramp", step=2)
    back = ramp.after("rolled_back", 300.0, why="adherence")
    assert (back.weight, back.ended, back.entered) == (0, "adherence", 300.0)


def test_only_what_runs_can_be_paused_and_an_event_ends_the_pause() -> None:
    pause = Pause("operator", "lunch")
    held = msgspec.structs.replace(NEW, phase="canary", step=0).held(pause)
    assert held.pause == pause
    assert held.held(None).pause is None
    assert held.after("rolled_back", 1.0).pause is None
    for phase in set(get_args(Phase)) - RUNNING:
        with pytest.raises(RolloutError, match="nothing to pause"):
            msgspec.structs.replace(NEW, phase=phase).held(pause)


def test_what_is_left_out_or_loosened_is_named() -> None:
    assert PLAN.left_out == ()
    plan = Plan(V1, gates=(Gate("adherence", 0.05, 0.1), *GATES[1:4]))
    assert set(plan.left_out) == {
        "ttft: left out",
        "tokens: left out",
        "refusals: left out",
        "accuracy: left out",
        "adherence: harm 0.05 instead of 0.01, good 0.1 instead of 0.02",
    }


def test_a_tightened_gate_is_not_named() -> None:
    tight = tuple(
        msgspec.structs.replace(gate, harm=gate.harm / 2, good=gate.good / 2)
        for gate in GATES
    )
    assert Plan(V1, gates=tight).left_out == ()


@pytest.mark.parametrize(
    ("steps", "gates", "path"),
    [
        ((), GATES, "steps"),
        ((Step(500), Step(500)), GATES, "steps"),
        ((Step(2_500), Step(500)), GATES, "steps"),
        ((Step(500),), (), "gates"),
        ((Step(500),), (GATES[0], GATES[0]), "gates"),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused(
    steps: tuple[Step, ...], gates: tuple[Gate, ...], path: str
) -> None:
    with pytest.raises(RolloutError) as caught:
        Plan(V1, steps=steps, gates=gates)
    assert caught.value.path == path


def test_a_rollout_survives_being_written_down() -> None:
    rollout = NEW.after("cleared", 1.0).after("staged", 2.0, edge=None)
    packed = msgspec.json.encode(rollout)
    assert msgspec.json.decode(packed, type=Rollout) == rollout
