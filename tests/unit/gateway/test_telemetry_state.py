"""The gauges that the control loops set."""

from typing import get_args

import pytest
from hypothesis import given, strategies as st
from prometheus_client import CollectorRegistry

from gateway.telemetry.state import ALL, PHASES, RolloutSeen, StateGauges
from routing.rollout import Phase

STATES = ("ABSENT", "LOADING", "READY", "DRAINING")
URL = "http://127.0.0.1:8000"


def samples(registry: CollectorRegistry, name: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels.values()): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == name
    }


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def gauges(registry: CollectorRegistry) -> StateGauges:
    return StateGauges(registry, states=STATES)


def test_an_adapter_is_in_one_state_at_a_time(
    registry: CollectorRegistry, gauges: StateGauges
) -> None:
    for state in (*STATES, "READY"):
        gauges.adapter(URL, "behav@v1", state)
        now = samples(registry, "wastegate_adapter_state")
        assert len(now) == len(STATES)
        assert [key for key, one in now.items() if one == 1] == [
            (URL, "behav@v1", state.lower())
        ]


def test_a_state_that_is_not_in_the_table_is_other(
    registry: CollectorRegistry, gauges: StateGauges
) -> None:
    gauges.adapter(URL, "behav@v1", "CONFUSED")
    now = samples(registry, "wastegate_adapter_state")
    assert now[URL, "behav@v1", "other"] == 1
    gauges.adapter(URL, "behav@v1", "READY")
    now = samples(registry, "wastegate_adapter_state")
    assert now[URL, "behav@v1", "other"] == 0


def test_a_forgotten_adapter_has_no_series_left(
    registry: CollectorRegistry, gauges: StateGauges
) -> None:
    gauges.adapter(URL, "behav@v1", "READY")
    gauges.adapter(URL, "pref@v1", "READY")
    gauges.forget_adapter(URL, "behav@v1")
    gauges.forget_adapter(URL, "behav@v1")
    refs = {ref for _, ref, _ in samples(registry, "wastegate_adapter_state")}
    assert refs == {"pref@v1"}


def test_a_forgotten_adapter_may_come_back(
    registry: CollectorRegistry, gauges: StateGauges
) -> None:
    gauges.adapter(URL, "behav@v1", "READY")
    gauges.forget_adapter(URL, "behav@v1")
    gauges.adapter(URL, "behav@v1", "READY")
    now = samples(registry, "wastegate_adapter_state")
    assert now[URL, "behav@v1", "ready"] == 1


def test_a_new_binding_ends_the_series_of_the_old(
    registry: CollectorRegistry, gauges: StateGauges
) -> None:
    gauges.bindings({"lora": "behav@v1", "lora_pref": "pref@v1"})
    gauges.bindings({"lora": "behav@v2", "lora_pref": "pref@v1"})
    assert samples(registry, "wastegate_binding") == {
        ("lora", "behav@v2"): 1,
        ("lora_pref", "pref@v1"): 1,
    }
    gauges.bindings({})
    assert samples(registry, "wastegate_binding") == {}


@given(
    default=st.sampled_from(["base", "lora", "lora_pref"]),
    lora=st.integers(0, ALL),
    share=st.floats(0, 1),
)
def test_weights_add_up_to_the_whole(default: str, lora: int, share: float) -> None:
    registry = CollectorRegistry()
    lora_pref = int((ALL - lora) * share)
    StateGauges(registry, states=STATES).flag(
        3, default=default, lora=lora, lora_pref=lora_pref
    )
    weights = samples(registry, "wastegate_rollout_weight")
    assert sum(weights.values()) == ALL
    assert weights["lora",] >= lora
    assert samples(registry, "wastegate_flag_version") == {(): 3}


def test_replicas_store_and_load_are_seen(
    registry: CollectorRegistry, gauges: StateGauges
) -> None:
    load = [3]
    gauges.replica(URL, up=True)
    gauges.store(up=False)
    gauges.count_in_flight(lambda: load[0])
    assert samples(registry, "wastegate_replica_up") == {(URL,): 1}
    assert samples(registry, "wastegate_store_up") == {(): 0}
    assert samples(registry, "wastegate_in_flight") == {(): 3}
    load[0] = 0
    assert samples(registry, "wastegate_in_flight") == {(): 0}


def test_a_rollout_has_its_series_until_it_is_forgotten() -> None:
    registry = CollectorRegistry()
    gauges = StateGauges(registry, states=["ready"])
    seen = RolloutSeen(
        "ro-1", "a@v1", "canary", 500, {"adherence": {"harm": -0.5, "good": 1.2}}
    )
    gauges.rollout(seen)
    labels = {"rollout": "ro-1", "measure": "adherence", "side": "good"}
    assert registry.get_sample_value("wastegate_gate_evidence", labels) == 1.2
    where = {"rollout": "ro-1", "model": "a@v1"}
    assert registry.get_sample_value("wastegate_rollout_step_weight", where) == 500
    phases = {
        phase: registry.get_sample_value(
            "wastegate_rollout_phase", where | {"phase": phase}
        )
        for phase in PHASES
    }
    assert phases == dict.fromkeys(PHASES, 0.0) | {"canary": 1.0}
    gauges.forget_rollouts({"ro-2"})
    assert registry.get_sample_value("wastegate_gate_evidence", labels) is None
    assert registry.get_sample_value("wastegate_rollout_step_weight", where) is None


def test_the_phases_are_those_that_rollouts_have() -> None:
    assert set(PHASES) == set(get_args(Phase))
