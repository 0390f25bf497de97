"""What becomes of mirrored requests: a shadow that does not work has to be seen."""

from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter

ShadowOutcome = Literal["scored", "failed", "dropped"]
OUTCOMES: Final = ("scored", "failed", "dropped")


class ShadowCounter:
    """Counts mirrored requests by what came of them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register the counter; every outcome is there from the beginning."""
        self._total = Counter(
            "wastegate_shadow",
            "Requests that a rollout's candidate was asked as well: scored, failed (the"
            " candidate could not be asked) or dropped (another was under way).",
            ("outcome",),
            registry=registry,
        )
        for outcome in OUTCOMES:
            self._total.labels(outcome)

    def __call__(self, outcome: ShadowOutcome) -> None:
        """Count one."""
        self._total.labels(outcome).inc()
