"""The Prometheus sink: what one record adds, and what no record can do."""

import shutil
import subprocess
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st
from prometheus_client import CollectorRegistry

from gateway.telemetry.exposition import new_registry, render
from gateway.telemetry.metrics import OVERHEAD_BUCKETS, TTFT_BUCKETS
from gateway.telemetry.prometheus import MAX_KINDS, PrometheusSink
from gateway.telemetry.record import (
    AUTO,
    GENERATORS,
    MODES,
    OUTCOMES,
    VERDICTS,
    RequestFinished,
    fan_out,
)
from gateway.telemetry.state import StateGauges

A_RECORD = RequestFinished(
    request_id="req-1",
    tenant="acme",
    surface="assist",
    generator="lora",
    model="behav@v1",
    reason="SPLIT; rule=percentage; bucket=312; version=7",
    outcome="ok",
    verdict="valid",
    mode="free",
    stream=False,
    prompt_tokens=100,
    completion_tokens=40,
    ttft=0.08,
    duration=1.2,
    upstream=1.1,
    repairs=(),
)
ROUTE = {"surface": "assist", "generator": "lora", "model": "behav@v1"}
WHO = {"tenant": "acme", **ROUTE}
REAL = {*OUTCOMES, *VERDICTS, *MODES, *GENERATORS, *WHO.values(), AUTO}
MADE_UP = st.text().filter(lambda name: name not in REAL)


def a_record(**changes: Any) -> RequestFinished:
    return msgspec.structs.replace(A_RECORD, **changes)


def a_sink(registry: CollectorRegistry) -> PrometheusSink:
    return PrometheusSink(
        registry, tenants=["acme"], surfaces=["assist"], models=["behav@v1"]
    )


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


def series(registry: CollectorRegistry) -> int:
    return sum(len(family.samples) for family in registry.collect())


@pytest.fixture
def registry() -> CollectorRegistry:
    return new_registry()


def test_a_good_answer_counts_once_in_each_metric(registry: CollectorRegistry) -> None:
    a_sink(registry)(a_record())
    assert value(registry, "wastegate_requests_total", **WHO, outcome="ok") == 1
    assert (
        value(
            registry,
            "wastegate_output_verdicts_total",
            **WHO,
            mode="free",
            verdict="valid",
        )
        == 1
    )
    tokens = "wastegate_tokens_total"
    assert value(registry, tokens, **WHO, direction="input") == 100
    assert value(registry, tokens, **WHO, direction="output") == 40
    for name, seconds in {
        "wastegate_time_to_first_token_seconds": 0.08,
        "wastegate_request_duration_seconds": 1.2,
        "wastegate_overhead_seconds": 0.1,
    }.items():
        assert value(registry, f"{name}_count", **ROUTE) == 1
        assert value(registry, f"{name}_sum", **ROUTE) == pytest.approx(seconds)


def test_a_refusal_counts_as_a_request_but_not_as_overhead(
    registry: CollectorRegistry,
) -> None:
    a_sink(registry)(
        a_record(
            tenant="",
            generator="",
            model="",
            outcome="invalid_key",
            verdict=None,
            mode="none",
            ttft=None,
            upstream=0.0,
        )
    )
    labels = {
        "surface": "assist",
        "generator": "other",
        "model": "other",
    }
    assert (
        value(
            registry,
            "wastegate_requests_total",
            tenant="other",
            **labels,
            outcome="invalid_key",
        )
        == 1
    )
    assert value(registry, "wastegate_request_duration_seconds_count", **labels) == 1
    assert value(registry, "wastegate_overhead_seconds_count", **labels) == 0
    assert value(registry, "wastegate_time_to_first_token_seconds_count", **labels) == 0


def test_an_output_that_nobody_checked_has_no_verdict(
    registry: CollectorRegistry,
) -> None:
    a_sink(registry)(a_record(verdict=None, mode="none"))
    names = {s.name for family in registry.collect() for s in family.samples}
    assert "wastegate_output_verdicts_total" not in names


def test_repairs_count_by_kind(registry: CollectorRegistry) -> None:
    a_sink(registry)(a_record(verdict="repaired", repairs=("fence", "comma", "comma")))
    name = "wastegate_repairs_total"
    assert value(registry, name, **ROUTE, kind="comma") == 2
    assert value(registry, name, **ROUTE, kind="fence") == 1


def test_a_request_without_a_unit_is_counted(registry: CollectorRegistry) -> None:
    sink = a_sink(registry)
    sink(a_record(reason="STATIC; rule=unit_missing; version=7"))
    sink(a_record())
    name = "wastegate_unit_missing_total"
    assert value(registry, name, tenant="acme", surface="assist") == 1


def test_an_engine_slower_than_the_whole_request_adds_no_negative_overhead(
    registry: CollectorRegistry,
) -> None:
    a_sink(registry)(a_record(duration=1.0, upstream=1.5))
    assert value(registry, "wastegate_overhead_seconds_sum", **ROUTE) == 0


def test_a_model_has_its_own_label_once_it_is_known(
    registry: CollectorRegistry,
) -> None:
    sink = a_sink(registry)
    sink(a_record(model="behav@v2"))
    sink.know_model("behav@v2")
    sink(a_record(model="behav@v2"))
    name = "wastegate_requests_total"
    assert value(registry, name, **{**WHO, "model": "other"}, outcome="ok") == 1
    assert value(registry, name, **{**WHO, "model": "behav@v2"}, outcome="ok") == 1


@given(
    st.lists(
        st.builds(
            a_record,
            tenant=MADE_UP,
            surface=MADE_UP,
            generator=MADE_UP,
            model=MADE_UP,
            outcome=MADE_UP,
            verdict=st.none() | MADE_UP,
            mode=MADE_UP,
            repairs=st.lists(st.text("abc"), max_size=3).map(tuple),
        ),
        max_size=30,
    )
)
def test_made_up_names_make_no_series(records: list[RequestFinished]) -> None:
    registry = new_registry()
    sink = a_sink(registry)
    other = a_record(
        tenant="?", surface="?", generator="?", model="?", outcome="?", mode="?"
    )
    sink(msgspec.structs.replace(other, verdict="?"))
    sink(msgspec.structs.replace(other, verdict=None))
    before = series(registry)
    for record in records:
        sink(msgspec.structs.replace(record, repairs=()))
    assert series(registry) == before


def test_kinds_of_repair_are_capped(registry: CollectorRegistry) -> None:
    sink = a_sink(registry)
    for n in range(1000):
        sink(a_record(repairs=(f"kind{n}",)))
    (family,) = (f for f in registry.collect() if f.name == "wastegate_repairs")
    kinds = {s.labels["kind"]: s.value for s in family.samples}
    assert len(kinds) == MAX_KINDS + 1
    assert sum(kinds.values()) == 1000


@pytest.mark.parametrize("outcome", sorted(OUTCOMES))
def test_every_outcome_has_its_own_label(
    outcome: str, registry: CollectorRegistry
) -> None:
    a_sink(registry)(a_record(outcome=outcome))
    assert value(registry, "wastegate_requests_total", **WHO, outcome=outcome) == 1


def test_buckets_tell_a_gpu_from_a_cpu_and_know_the_promise() -> None:
    assert TTFT_BUCKETS[0] <= 0.01
    assert TTFT_BUCKETS[-1] >= 20
    assert 0.0006 in OVERHEAD_BUCKETS


def test_a_fan_out_hands_each_record_to_every_sink() -> None:
    first: list[RequestFinished] = []
    second: list[RequestFinished] = []
    fan_out(first.append, second.append)(A_RECORD)
    assert first == second == [A_RECORD]


def test_promtool_finds_no_fault_with_a_scrape() -> None:
    promtool = shutil.which("promtool")
    assert promtool, "promtool is missing: install the Debian package prometheus"
    registry = new_registry()
    sink = a_sink(registry)
    sink(a_record(verdict="repaired", repairs=("fence",)))
    sink(a_record(reason="STATIC; rule=unit_missing; version=7"))
    gauges = StateGauges(registry, states=["READY", "ABSENT"])
    gauges.adapter("http://127.0.0.1:8000", "behav@v1", "READY")
    gauges.flag(7, default="base", lora=500, lora_pref=0)
    text, content_type = render(registry)
    assert content_type.startswith("text/plain; version=0.0.4")
    assert b"_created" not in text
    run = subprocess.run(  # noqa: S603  our own scrape, to a tool found on PATH
        [promtool, "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert not run.stderr
