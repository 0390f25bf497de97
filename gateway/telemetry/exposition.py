"""What `/metrics` answers."""

from prometheus_client import (
    CollectorRegistry,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

Telemetry = CollectorRegistry
"""What holds all series of one gateway."""


def new_registry() -> Telemetry:
    """A registry of this process alone, with its memory, CPU and start time in it.

    The library's `*_created` series are switched off, for the whole process: they
    would double the number of series, and nothing here reads them.
    """
    disable_created_metrics()
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    return registry


def render(registry: Telemetry) -> tuple[bytes, str]:
    """All series of `registry` in the text format, and that format's content type."""
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4
