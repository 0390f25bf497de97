"""Recording rules and alerts.

Two traps shape the expressions. A verdict that never occurred has no series, so each
share is taken of `… or 0 * all`: without it, the adherence of a model that never once
adhered would be absent instead of 0. And a share of few outputs proves nothing, so
the alert on adherence reads the upper end of an interval, not the share itself.
"""

from typing import Final

from dashboards import watch_rules
from dashboards.kinds import ADHERENCE, MIN_OUTPUTS, Alert, Group, Record

ROUTE: Final = "surface, generator, model, mode"
FAILED: Final = 'verdict=~"invalid|truncated"'
REPAIRED: Final = 0.03
UPSTREAM_ERRORS: Final = 0.05


def groups(*, ttft_p95: float) -> tuple[Group, ...]:
    """All rule groups.

    Args:
        ttft_p95: seconds above which the p95 of time to first token is an alert. It
            is a matter of hardware: 2 suits a GPU, 30 two CPU cores.
    """
    return (
        # An alert stands in the group of the records that it reads: groups are not
        # evaluated in any order, and it would see the records of a round before.
        Group("wastegate-output", (*_output(), *_evidence(), *_output_alerts())),
        Group("wastegate-latency", (*_latency(), _slow(ttft_p95))),
        Group("wastegate-serving-alerts", _serving_alerts()),
        Group("wastegate-replica-alerts", _replica_alerts()),
        Group("wastegate-watch-alerts", watch_rules.alerts()),
    )


def _share(verdicts: str) -> str:
    """The share of outputs whose verdict matches, over 5 minutes."""
    return (
        f"(sum without (verdict) (wastegate:verdicts:rate5m{{{verdicts}}})\n"
        "  or 0 * wastegate:outputs:rate5m)\n"
        "/ (wastegate:outputs:rate5m > 0)"
    )


def _output() -> tuple[Record, ...]:
    return (
        Record(
            "wastegate:verdicts:rate5m",
            f"sum by ({ROUTE}, verdict) (rate(wastegate_output_verdicts_total[5m]))",
            "Checked outputs a second, by verdict.",
        ),
        Record(
            "wastegate:outputs:rate5m",
            "sum without (verdict) (wastegate:verdicts:rate5m)",
            "Checked outputs a second.",
        ),
        Record(
            "wastegate:adherence:ratio_rate5m",
            f"1 - {_share(FAILED)}",
            "Adherence as the caller sees it: the share that went out conforming.",
        ),
        Record(
            "wastegate:adherence_unaided:ratio_rate5m",
            _share('verdict="valid"'),
            "Adherence before repair, re-asking and falling back to a grammar.",
        ),
        Record(
            "wastegate:repair:ratio_rate5m",
            _share('verdict="repaired"'),
            "The share that went out after a repair.",
        ),
    )


def _evidence() -> tuple[Record, ...]:
    increase = "increase(wastegate_output_verdicts_total"
    outputs = "wastegate:outputs:increase1h"
    share = "wastegate:adherence:ratio1h"
    return (
        Record(
            outputs,
            f"sum by ({ROUTE}) ({increase}[1h])) > 0",
            "How many outputs an hour's shares are made of.",
        ),
        Record(
            share,
            f"1 - (sum by ({ROUTE}) ({increase}{{{FAILED}}}[1h]))\n"
            f"  or 0 * {outputs})\n/ {outputs}",
            "Adherence over an hour.",
        ),
        Record(
            "wastegate:adherence:upper95_1h",
            f"({share} + 2.706 / (2 * {outputs})\n"
            f"  + 1.645 * sqrt({share} * (1 - {share}) / {outputs}\n"
            f"    + 2.706 / (4 * {outputs} * {outputs})))\n"
            f"/ (1 + 2.706 / {outputs})",
            "Wilson's one-sided 95 % upper bound of it (z = 1.645): below a target,"
            " the hour's outputs contradict that target.",
        ),
        Record(
            "wastegate:repair:ratio1h",
            f'(sum by ({ROUTE}) ({increase}{{verdict="repaired"}}[1h]))\n'
            f"  or 0 * {outputs})\n/ {outputs}",
            "The share repaired, over an hour.",
        ),
    )


def _latency() -> tuple[Record, ...]:
    def quantile(name: str, metric: str, q: str) -> Record:
        return Record(
            f"wastegate:{name}:p{q}_5m",
            f"histogram_quantile(0.{q}, sum by (le, surface, generator)"
            f" (rate({metric}_bucket[5m])))",
            f"Seconds: p{q} over 5 minutes.",
        )

    ttft = "wastegate_time_to_first_token_seconds"
    return (
        quantile("ttft", ttft, "50"),
        quantile("ttft", ttft, "95"),
        quantile("duration", "wastegate_request_duration_seconds", "95"),
        quantile("overhead", "wastegate_overhead_seconds", "50"),
        quantile("overhead", "wastegate_overhead_seconds", "99"),
    )


def _output_alerts() -> tuple[Alert, ...]:
    enough = f"wastegate:outputs:increase1h >= {MIN_OUTPUTS}"
    return (
        Alert(
            "WastegateAdherenceLow",
            f"wastegate:adherence:upper95_1h < {ADHERENCE}\nand {enough}",
            "5m",
            "page",
            "{{ $labels.model }} on {{ $labels.surface }}: outputs break the schema",
            "Even the upper 95 % bound of an hour's adherence"
            " ({{ $labels.generator }}, {{ $labels.mode }} decoding) is"
            " {{ $value | humanizePercentage }}; the target is 99 %. Take the boost"
            " away with wastegate kill, then look at the verdicts.",
        ),
        Alert(
            "WastegateRepairRateHigh",
            f"wastegate:repair:ratio1h > {REPAIRED}\nand {enough}",
            "15m",
            "ticket",
            "{{ $labels.model }} on {{ $labels.surface }}: many outputs need repair",
            "{{ $value | humanizePercentage }} of an hour's outputs were repaired;"
            " 3 % is the limit for a tune that may stay.",
        ),
    )


def _serving_alerts() -> tuple[Alert, ...]:
    requests = "wastegate_requests_total"
    by = "sum by (surface, generator)"
    failed = f'{requests}{{outcome=~"upstream_error|upstream_timeout"}}'
    return (
        Alert(
            "WastegateUpstreamErrors",
            f"{by} (rate({failed}[5m]))\n"
            f"  / {by} (rate({requests}[5m])) > {UPSTREAM_ERRORS}\n"
            f"and {by} (increase({requests}[5m])) >= 20",
            "2m",
            "page",
            "{{ $labels.generator }} on {{ $labels.surface }}: the engine fails",
            "{{ $value | humanizePercentage }} of requests end in upstream_error or"
            " upstream_timeout.",
        ),
        Alert(
            "WastegateAdapterUnavailable",
            "sum by (tenant, generator, model)"
            f' (rate({requests}{{outcome="adapter_unavailable"}}[5m])) > 0',
            "2m",
            "page",
            "{{ $labels.tenant }} is refused: {{ $labels.generator }} is not mounted",
            "Requests routed to {{ $labels.model }} fail closed. Mount it, or kill the"
            " variant so that the base answers.",
        ),
        Alert(
            "WastegateUnitMissing",
            "sum by (tenant, surface) (rate(wastegate_unit_missing_total[15m])) > 0",
            "30m",
            "ticket",
            "{{ $labels.tenant }} sends no unit on {{ $labels.surface }}",
            "A canary cannot bucket these requests, and the base answers them.",
        ),
    )


def _slow(limit: float) -> Alert:
    return Alert(
        "WastegateTimeToFirstTokenHigh",
        f"wastegate:ttft:p95_5m > {limit:g}\n"
        "and sum by (surface, generator)"
        " (increase(wastegate_time_to_first_token_seconds_count[5m])) >= 20",
        "10m",
        "ticket",
        "{{ $labels.generator }} on {{ $labels.surface }}: slow first token",
        f"p95 is {{{{ $value | humanizeDuration }}}}; the limit here is {limit:g} s.",
    )


def _replica_alerts() -> tuple[Alert, ...]:
    return (
        Alert(
            "WastegateReplicaDown",
            "wastegate_replica_up == 0",
            "1m",
            "page",
            "{{ $labels.replica }} is down",
            "The gateway {{ $labels.instance }} gets no answer from it, or its base"
            " model is not ready.",
        ),
        Alert(
            "WastegateBoundAdapterNotReady",
            'wastegate_binding{generator!="base"}\n'
            "unless on (instance, model)"
            ' (wastegate_adapter_state{state="ready"} == 1)',
            "2m",
            "page",
            "{{ $labels.generator }} means {{ $labels.model }}, ready nowhere",
            "Requests for it fail closed, or the base answers where the tenant's"
            " policy says so.",
        ),
        Alert(
            "WastegateStoreDown",
            "wastegate_store_up == 0",
            "5m",
            "ticket",
            "The state store does not answer {{ $labels.instance }}",
            "Traffic goes on by the last flag seen; flags and bindings cannot change."
            " A kill still works, on each gateway by itself.",
        ),
        Alert(
            "WastegateFlagVersionsDiffer",
            "max(wastegate_flag_version) - min(wastegate_flag_version) > 0",
            "1m",
            "ticket",
            "Gateways route by different versions of the flag",
            "One of them has not seen the last change for a minute.",
        ),
        Alert(
            "WastegateDown",
            'up{job="wastegate"} == 0',
            "1m",
            "page",
            "The gateway {{ $labels.instance }} cannot be scraped",
            "It is gone, or its control plane is.",
        ),
    )
