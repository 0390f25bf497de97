"""Records as Prometheus metrics, at a few microseconds each.

Two rules. A label's value comes from a closed set, and what is not in it is `other`:
a client that makes up a million names makes no series. And a record costs one look-up
for all its series: they are resolved together, once, and kept in a plain dict.
"""

from collections.abc import Callable, Collection
from typing import Final, NamedTuple

import msgspec
from prometheus_client import CollectorRegistry

from gateway.telemetry.metrics import request_metrics
from gateway.telemetry.record import (
    ATTEMPTS,
    AUTO,
    GENERATORS,
    MODES,
    OTHER,
    OUTCOMES,
    STAGES,
    VERDICTS,
    RequestFinished,
    known,
)

MAX_KINDS: Final = 64
"""Kinds of repairs and codes of refusals are named by our own code; the cap holds even
if one were built from data."""
_UNIT_MISSING: Final = "rule=unit_missing"
_GENERATORS: Final = frozenset(GENERATORS)


class _Key(NamedTuple):
    tenant: str
    surface: str
    generator: str
    model: str
    outcome: str
    mode: str
    verdict: str | None


class _Children(msgspec.Struct, frozen=True, gc=False):
    """The series that one kind of record writes to, as bound methods."""

    request: Callable[[], None]
    ttft: Callable[[float], None]
    duration: Callable[[float], None]
    overhead: Callable[[float], None]
    tokens_in: Callable[[float], None]
    tokens_out: Callable[[float], None]
    verdict: Callable[[], None] | None


class PrometheusSink:
    """Counts each record; may be called and scraped from different threads."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        tenants: Collection[str],
        surfaces: Collection[str],
        models: Collection[str],
    ) -> None:
        """Register the request metrics in `registry`.

        Args:
            registry: see `gateway.telemetry.exposition.new_registry`.
            tenants: the configured tenants' names.
            surfaces: the configured surfaces' names; `auto` is always known.
            models: the refs that are known now; later ones by `know_model`.

        Raises:
            ValueError: the registry has these metrics already.
        """
        self._metrics = request_metrics(registry)
        self._tenants = frozenset(tenants)
        self._surfaces = frozenset({*surfaces, AUTO})
        self._models = set(models)
        self._kinds: set[str] = set()
        self._codes: set[str] = set()
        self._children: dict[tuple[str | None, ...], _Children] = {}

    @property
    def models(self) -> Collection[str]:
        """The refs that have a label of their own; grows."""
        return self._models

    def know_model(self, ref: str) -> None:
        """Give `ref` a label of its own from now on; for registered refs only."""
        self._models.add(ref)

    def __call__(self, record: RequestFinished, /) -> None:
        """Count one finished request."""
        # The raw fields are looked up first: they are a key of the dict only if each
        # of them is a label already, which is so for all but malformed requests.
        children = self._children.get(
            (
                record.tenant,
                record.surface,
                record.generator,
                record.model,
                record.outcome,
                record.mode,
                record.verdict,
            )
        )
        if children is None:
            children = self._resolve(self._key(record))
        children.request()
        children.duration(record.duration)
        if children.verdict is not None:
            children.verdict()
        if record.upstream > 0:
            # Refusals that never reached the engine would flatter this one.
            children.overhead(max(0.0, record.duration - record.upstream))
            self._count_answer(record, children)
        if record.repairs or record.rejections or _UNIT_MISSING in record.reason:
            self._count_rarities(record)

    def _count_answer(self, record: RequestFinished, children: _Children) -> None:
        if record.ttft is not None:
            children.ttft(record.ttft)
        if record.prompt_tokens:
            children.tokens_in(record.prompt_tokens)
        if record.completion_tokens:
            children.tokens_out(record.completion_tokens)

    def _count_rarities(self, record: RequestFinished) -> None:
        key = self._key(record)
        for kind in record.repairs:
            self._metrics.repairs.labels(
                key.surface, key.generator, key.model, _capped(kind, self._kinds)
            ).inc()
        for refused in record.rejections:
            self._metrics.rejections.labels(
                key.surface,
                key.generator,
                key.model,
                key.mode,
                known(refused.attempt, ATTEMPTS),
                known(refused.stage, STAGES),
                _capped(refused.code, self._codes),
            ).inc()
        if _UNIT_MISSING in record.reason:
            self._metrics.unit_missing.labels(key.tenant, key.surface).inc()

    def _key(self, record: RequestFinished) -> _Key:
        verdict = record.verdict
        return _Key(
            tenant=known(record.tenant, self._tenants),
            surface=known(record.surface, self._surfaces),
            generator=known(record.generator, _GENERATORS),
            model=known(record.model, self._models),
            outcome=known(record.outcome, OUTCOMES),
            mode=known(record.mode, MODES),
            verdict=None if verdict is None else known(verdict, VERDICTS),
        )

    def _resolve(self, key: _Key) -> _Children:
        children = self._children.get(key)
        if children is None:
            children = self._children[key] = self._make(key)
        return children

    def _make(self, key: _Key) -> _Children:
        metrics = self._metrics
        route = (key.surface, key.generator, key.model)
        who = (key.tenant, *route)
        verdict = None
        if key.verdict is not None:
            verdict = metrics.verdicts.labels(*who, key.mode, key.verdict).inc
        return _Children(
            request=metrics.requests.labels(*who, key.outcome).inc,
            ttft=metrics.ttft.labels(*route).observe,
            duration=metrics.duration.labels(*route).observe,
            overhead=metrics.overhead.labels(*route).observe,
            tokens_in=metrics.tokens.labels(*who, "input").inc,
            tokens_out=metrics.tokens.labels(*who, "output").inc,
            verdict=verdict,
        )


def _capped(name: str, known: set[str]) -> str:
    """A name that our code made: itself, up to the cap."""
    if name not in known:
        if len(known) >= MAX_KINDS:
            return OTHER
        known.add(name)
    return name
