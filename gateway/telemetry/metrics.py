"""The names, labels and buckets of the request metrics: a table, and nothing else.

Histograms go without `tenant`: at 22 series a child, a thousand tenants would be
most of the database, and latency depends on what generates, not on who asks.
"""

from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, Counter, Histogram

TTFT_BUCKETS: Final = (
    *(0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75),
    *(1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0),
)
"""Seconds, from a GPU's 10 ms to a loaded CPU's 20 s, up to the 30 s time-out."""
DURATION_BUCKETS: Final = (
    *(0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0),
    *(5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0),
)
"""Seconds, up to the 300 s that a request may take in all."""
OVERHEAD_BUCKETS: Final = (
    *(0.0001, 0.0002, 0.0003, 0.0004, 0.0006, 0.0008),
    *(0.001, 0.0015, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0),
)
"""Seconds; 0.6 ms, the gateway's promise, is an edge."""

_ROUTE: Final = ("surface", "generator", "model")
_TENANT_ROUTE: Final = ("tenant", *_ROUTE)


class RequestMetrics(msgspec.Struct, frozen=True):
    """The metrics that are fed by records."""

    requests: Counter
    ttft: Histogram
    duration: Histogram
    overhead: Histogram
    verdicts: Counter
    tokens: Counter
    repairs: Counter
    rejections: Counter
    unit_missing: Counter


def request_metrics(registry: CollectorRegistry) -> RequestMetrics:
    """Register the request metrics in `registry`.

    Raises:
        ValueError: the registry has them already.
    """
    return RequestMetrics(
        requests=Counter(
            "wastegate_requests_total",
            "Requests by outcome: ok, an error's code, or client_closed.",
            (*_TENANT_ROUTE, "outcome"),
            registry=registry,
        ),
        ttft=Histogram(
            "wastegate_time_to_first_token_seconds",
            "From the request's arrival to the engine's first token.",
            _ROUTE,
            buckets=TTFT_BUCKETS,
            registry=registry,
        ),
        duration=Histogram(
            "wastegate_request_duration_seconds",
            "From the request's arrival to its last byte out, whatever the outcome.",
            _ROUTE,
            buckets=DURATION_BUCKETS,
            registry=registry,
        ),
        overhead=Histogram(
            "wastegate_overhead_seconds",
            "The request's duration less the engine's part of it.",
            _ROUTE,
            buckets=OVERHEAD_BUCKETS,
            registry=registry,
        ),
        verdicts=Counter(
            "wastegate_output_verdicts_total",
            "Checked outputs by verdict and by how they were decoded.",
            (*_TENANT_ROUTE, "mode", "verdict"),
            registry=registry,
        ),
        tokens=Counter(
            "wastegate_tokens_total",
            "Tokens as the engine counted them, input or output.",
            (*_TENANT_ROUTE, "direction"),
            registry=registry,
        ),
        repairs=Counter(
            "wastegate_repairs_total",
            "Repairs made to outputs, by kind.",
            (*_ROUTE, "kind"),
            registry=registry,
        ),
        rejections=Counter(
            "wastegate_output_rejections_total",
            "Outputs refused by a check, by attempt, stage and reason; a request that"
            " was answered in the end may have had some.",
            (*_ROUTE, "mode", "attempt", "stage", "code"),
            registry=registry,
        ),
        unit_missing=Counter(
            "wastegate_unit_missing_total",
            "Requests that a canary could not bucket, for want of a unit.",
            ("tenant", "surface"),
            registry=registry,
        ),
    )
