"""Every expression is checked against the metrics that gateway and watch really export.

Labels are inferred through each expression as Prometheus would carry them, from the
exported series upwards: a matcher, a grouping or a legend that names a label which is
not there is an error, not an empty panel.
"""

import re
from collections.abc import Callable
from typing import Any, cast

import promql_parser
import pytest

from dashboards.grafana import dashboard
from dashboards.kinds import Alert, Record
from dashboards.rules import groups
from evals.exposition import families
from gateway.telemetry.exposition import new_registry
from gateway.telemetry.prometheus import PrometheusSink
from gateway.telemetry.record import MODES, OUTCOMES, VERDICTS, RequestFinished
from gateway.telemetry.shadow import ShadowCounter
from gateway.telemetry.state import RolloutSeen, StateGauges
from tests.unit.dashboards.watched import looked

Labels = frozenset[str]
Known = dict[str, Labels]

TARGET = frozenset({"job", "instance"})
ENGINE: Known = {
    name: frozenset({"model_name", "engine"}) | TARGET
    for name in (
        "vllm:num_requests_running",
        "vllm:num_requests_waiting",
        "vllm:kv_cache_usage_perc",
    )
}
"""vLLM 0.32's series (its v1/metrics/loggers.py), which the gateway does not export."""
CLOSED = {"outcome": OUTCOMES, "verdict": VERDICTS, "mode": MODES}

ROLLOUT = RolloutSeen(
    "ro-1", "m@v1", "canary", 500, {"errors": {"harm": 0.1, "good": 0.2, "change": 0.0}}
)


def exported() -> Known:
    """Each series of a gateway after one request, and of the watch, with its labels."""
    registry = new_registry()
    sink = PrometheusSink(registry, tenants=["t"], surfaces=["s"], models=["m@v1"])
    sink(
        RequestFinished(
            request_id="r",
            tenant="t",
            surface="s",
            generator="lora",
            model="m@v1",
            reason="STATIC; rule=unit_missing; version=1",
            outcome="ok",
            verdict="repaired",
            mode="free",
            stream=False,
            prompt_tokens=1,
            completion_tokens=1,
            ttft=0.1,
            duration=1.0,
            upstream=0.9,
            repairs=("fence",),
        )
    )
    gauges = StateGauges(registry, states=["READY"])
    gauges.adapter("r", "m@v1", "READY")
    gauges.replica("r", up=True)
    gauges.bindings({"lora": "m@v1"})
    gauges.flag(1, default="base", lora=0, lora_pref=0)
    gauges.rollout(ROLLOUT)
    ShadowCounter(registry)("scored")
    known: Known = {"up": TARGET, **ENGINE}
    for family in registry.collect():
        for sample in family.samples:
            known[sample.name] = TARGET | frozenset(sample.labels)
    for watched in families(looked(0)):
        for labels, _value in watched.samples:
            known[watched.name] = TARGET | frozenset(labels)
    return known


def with_records(known: Known) -> Known:
    known = dict(known)
    for group in groups(ttft_p95=2.0):
        for rule in group.rules:
            if isinstance(rule, Record):
                known[rule.record] = inferred(rule.expr, known)
    return known


def inferred(expr: str, known: Known) -> Labels:
    """The labels of what `expr` results in; fails on what does not exist."""
    filled = expr.replace("$__rate_interval", "5m")
    return of(promql_parser.parse(filled), known)


def of(expr: Any, known: Known) -> Labels:
    kind = type(expr).__name__
    assert kind in RULES, f"labels of {kind} cannot be inferred: {expr.prettify()}"
    return RULES[kind](expr, known)


def of_selector(selector: Any, known: Known) -> Labels:
    assert selector.name in known, f"{selector.name} is not exported"
    labels = known[selector.name]
    for matcher in selector.matchers.matchers:
        assert matcher.name in labels, f"{selector.name} has no label {matcher.name}"
        for value in matcher.value.split("|"):
            closed = CLOSED.get(matcher.name)
            assert closed is None or value in closed, f"no {matcher.name} is {value}"
    return labels


def of_aggregate(expr: Any, known: Known) -> Labels:
    labels = of(expr.expr, known)
    if expr.modifier is None:
        return frozenset()
    named = frozenset(cast("list[str]", expr.modifier.labels))
    assert named <= labels, f"{expr.prettify()}: {sorted(named - labels)} not there"
    by = str(expr.modifier).startswith("by")
    return named if by else labels - named


def of_binary(expr: Any, known: Known) -> Labels:
    left, right = of(expr.lhs, known), of(expr.rhs, known)
    on = expr.modifier and expr.modifier.matching
    if on:
        assert frozenset(cast("list[str]", on.labels)) <= left & right, expr.prettify()
    elif "NumberLiteral" not in {type(expr.lhs).__name__, type(expr.rhs).__name__}:
        scalars = {frozenset[str]()}
        assert left == right or left in scalars or right in scalars, expr.prettify()
    return left or right


def of_call(expr: Any, known: Known) -> Labels:
    results = [of(argument, known) for argument in expr.args]
    labels = frozenset[str]().union(*results)
    if expr.func.name == "histogram_quantile":
        assert "le" in labels, expr.prettify()
        return labels - {"le"}
    return labels


RULES: dict[str, Callable[[Any, Known], Labels]] = {
    "VectorSelector": of_selector,
    "MatrixSelector": lambda expr, known: of_selector(expr.vector_selector, known),
    "AggregateExpr": of_aggregate,
    "BinaryExpr": of_binary,
    "Call": of_call,
    "ParenExpr": lambda expr, known: of(expr.expr, known),
    "SubqueryExpr": lambda expr, known: of(expr.expr, known),
    "NumberLiteral": lambda expr, known: frozenset(),
}
KNOWN = with_records(exported())


def rules() -> list[Record | Alert]:
    return [rule for group in groups(ttft_p95=2.0) for rule in group.rules]


def panels() -> list[dict[str, Any]]:
    found = cast("list[dict[str, Any]]", dashboard()["panels"])
    return [panel for panel in found if panel["type"] != "row"]


@pytest.mark.parametrize(
    "alert", [r for r in rules() if isinstance(r, Alert)], ids=lambda rule: rule.alert
)
def test_an_alert_asks_for_series_that_exist_and_speaks_of_their_labels(
    alert: Alert,
) -> None:
    labels = inferred(alert.expr, KNOWN)
    text = alert.summary + alert.description
    assert set(re.findall(r"\$labels\.(\w+)", text)) <= labels


@pytest.mark.parametrize(
    "panel", panels(), ids=lambda panel: f"{panel['id']} {panel['title']}"
)
def test_a_panel_asks_for_series_that_exist_and_its_legend_for_their_labels(
    panel: dict[str, Any],
) -> None:
    for target in panel["targets"]:
        labels = inferred(target["expr"], KNOWN)
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= labels


def test_the_dashboards_own_queries_ask_for_series_that_exist() -> None:
    found = dashboard()
    for variable in cast("dict[str, Any]", found["templating"])["list"]:
        if variable["type"] != "query":
            continue
        asked = re.fullmatch(
            r"label_values\((\w+), (\w+)\)", variable["query"]["query"]
        )
        assert asked
        assert asked[2] in KNOWN[asked[1]]
    for annotation in cast("dict[str, Any]", found["annotations"])["list"]:
        inferred(annotation["expr"], KNOWN)


def test_every_metric_of_the_gateway_and_the_watch_is_on_the_dashboard_or_in_a_rule() -> (
    None
):
    exprs = [rule.expr for rule in rules()]
    exprs += [target["expr"] for panel in panels() for target in panel["targets"]]
    asked = set(re.findall(r"\bwastegate_\w+", " ".join(exprs)))
    names = {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for name in KNOWN
        if name.startswith("wastegate_")
    }
    assert names <= {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked}


@pytest.mark.parametrize(
    "broken",
    [
        "rate(wastegate_request_total[5m])",
        'wastegate_requests_total{verdict="valid"}',
        "sum by (tenant) (wastegate_time_to_first_token_seconds_count)",
        'wastegate_requests_total{outcome="timeout"}',
        "wastegate_binding / wastegate_replica_up",
        "histogram_quantile(0.9, wastegate_overhead_seconds_sum)",
    ],
)
def test_the_check_itself_sees_a_wrong_name(broken: str) -> None:
    with pytest.raises(AssertionError):
        inferred(broken, KNOWN)
