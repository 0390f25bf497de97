"""What becomes of kept lines, and what clients say of answers, as metrics."""

from collections.abc import Collection
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter

from gateway.telemetry.record import AUTO, GENERATORS, known

OUTCOMES: Final = ("kept", "dropped", "too_large", "unscrubbed", "failed")
RATINGS: Final = ("up", "down")


class Rated(Protocol):
    """What is read of a feedback."""

    @property
    def tenant(self) -> str: ...
    @property
    def surface(self) -> str: ...
    @property
    def generator(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def rating(self) -> str: ...


class KeptCounters:
    """Counts lines by outcome, and feedback by who was rated and how."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        tenants: Collection[str],
        surfaces: Collection[str],
        models: Collection[str],
    ) -> None:
        """Register the metrics in `registry`.

        Args:
            registry: see `gateway.telemetry.exposition.new_registry`.
            tenants: the configured tenants' names.
            surfaces: the configured surfaces' names; `auto` is always known.
            models: the refs that have a label; may grow.

        Raises:
            ValueError: the registry has these metrics already.
        """
        self._tenants = frozenset(tenants)
        self._surfaces = frozenset({*surfaces, AUTO})
        self._models = models
        self._kept = Counter(
            "wastegate_kept_total",
            "Lines for training by what became of them: kept, dropped (the queue was"
            " full), too_large, unscrubbed, or failed (the disk).",
            ("outcome",),
            registry=registry,
        )
        for outcome in OUTCOMES:
            self._kept.labels(outcome)
        self._feedback = Counter(
            "wastegate_feedback_total",
            "Feedback on answers by what was rated, and how.",
            ("tenant", "surface", "generator", "model", "rating"),
            registry=registry,
        )

    def kept(self, outcome: str, lines: int = 1) -> None:
        """Count lines by outcome."""
        self._kept.labels(known(outcome, OUTCOMES)).inc(lines)

    def feedback(self, feedback: Rated) -> None:
        """Count what a client has said."""
        self._feedback.labels(
            known(feedback.tenant, self._tenants),
            known(feedback.surface, self._surfaces),
            known(feedback.generator, GENERATORS),
            known(feedback.model, self._models),
            known(feedback.rating, RATINGS),
        ).inc()
