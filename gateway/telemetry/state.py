"""Gauges: what is so now. The control loops set them, the request path never does."""

from collections.abc import Callable, Collection, Mapping
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, Gauge

from gateway.telemetry.record import GENERATORS, OTHER

ALL: Final = 10_000
"""Basis points in the whole."""

PHASES: Final = (
    *("preflight", "staging", "canary", "ramp"),
    *("promoted", "rolled_back"),
)


class RolloutSeen(NamedTuple):
    """What is shown of a rollout."""

    id: str
    model: str
    """The candidate's ref."""
    phase: str
    weight: int
    """Basis points."""
    evidence: Mapping[str, Mapping[str, float]]
    """By measure and side, logarithms to the base 10; empty before the first look."""


class StateGauges:
    """The gateway's view of its replicas, adapters, flag, store and load."""

    def __init__(self, registry: CollectorRegistry, *, states: Collection[str]) -> None:
        """Register the gauges in `registry`.

        Args:
            registry: see `gateway.telemetry.exposition.new_registry`.
            states: each state that an adapter can be in; labels are in lower case.

        Raises:
            ValueError: the registry has these metrics already.
        """
        self._states = frozenset(state.lower() for state in states)
        self._adapters: dict[tuple[str, str], str] = {}
        self._bound: dict[str, str] = {}
        self._adapter = Gauge(
            "wastegate_adapter_state",
            "1 for the state that an adapter is in on a replica, 0 for the others.",
            ("replica", "model", "state"),
            registry=registry,
        )
        self._replica = Gauge(
            "wastegate_replica_up",
            "1 while the replica answers with its base model ready.",
            ("replica",),
            registry=registry,
        )
        self._binding = Gauge(
            "wastegate_binding",
            "1 for the ref that a generator means now.",
            ("generator", "model"),
            registry=registry,
        )
        self._version = Gauge(
            "wastegate_flag_version",
            "Version of the flag document that this worker routes by.",
            registry=registry,
        )
        self._weight = Gauge(
            "wastegate_rollout_weight",
            "Basis points of bucketed traffic that the flag gives to a generator.",
            ("generator",),
            registry=registry,
        )
        self._rollouts: dict[str, RolloutSeen] = {}
        self._phase = Gauge(
            "wastegate_rollout_phase",
            "1 for the phase that a rollout is in, 0 for the others.",
            ("rollout", "model", "phase"),
            registry=registry,
        )
        self._step_weight = Gauge(
            "wastegate_rollout_step_weight",
            "Basis points of a rollout's units that its candidate gets.",
            ("rollout", "model"),
            registry=registry,
        )
        self._evidence = Gauge(
            "wastegate_gate_evidence",
            "Logarithm to the base 10 of a gate's evidence: harm rolls back at 2, good"
            " passes at 1.3, a change at 4.48.",
            ("rollout", "measure", "side"),
            registry=registry,
        )
        self._store = Gauge(
            "wastegate_store_up",
            "1 while the state store answers; the request path does not need it.",
            registry=registry,
        )
        self._in_flight = Gauge(
            "wastegate_in_flight",
            "Requests that have come in and are not finished.",
            registry=registry,
        )

    def rollout(self, found: RolloutSeen) -> None:
        """A rollout is so now; its series end with `forget_rollouts`."""
        id_ = found.id
        for phase in PHASES:
            self._phase.labels(id_, found.model, phase).set(phase == found.phase)
        self._step_weight.labels(id_, found.model).set(found.weight)
        for measure, sides in found.evidence.items():
            for side, evidence in sides.items():
                self._evidence.labels(id_, measure, side).set(evidence)
        self._rollouts[id_] = found

    def forget_rollouts(self, running: Collection[str]) -> None:
        """The series of all other rollouts end."""
        for id_ in self._rollouts.keys() - running:
            for gauge in (self._phase, self._step_weight, self._evidence):
                gauge.remove_by_labels({"rollout": id_})
            del self._rollouts[id_]

    def adapter(self, replica: str, model: str, state: str) -> None:
        """`model` is in `state` on `replica`."""
        now = state.lower() if state.lower() in self._states else OTHER
        before = self._adapters.get((replica, model), now)
        self._adapters[replica, model] = now
        for each in self._states | {now, before}:
            self._adapter.labels(replica, model, each).set(each == now)

    def forget_adapter(self, replica: str, model: str) -> None:
        """`replica` no longer has to do with `model`: its series end."""
        if self._adapters.pop((replica, model), None) is None:
            return
        self._adapter.remove_by_labels({"replica": replica, "model": model})

    def replica(self, replica: str, *, up: bool) -> None:
        """`replica` answers and its base model is ready, or not."""
        self._replica.labels(replica).set(up)

    def bindings(self, refs: Mapping[str, str]) -> None:
        """Each generator of `refs` means that ref now; the refs before end."""
        for generator, ref in self._bound.items():
            if refs.get(generator) != ref:
                self._binding.remove(generator, ref)
        for generator, ref in refs.items():
            self._binding.labels(generator, ref).set(1)
        self._bound = dict(refs)

    def flag(self, version: int, *, default: str, lora: int, lora_pref: int) -> None:
        """The worker routes by this flag document now; weights in basis points.

        What the two weights leave goes to `default`.
        """
        weights = {"base": 0, "lora": lora, "lora_pref": lora_pref}
        weights[default] += ALL - lora - lora_pref
        for generator in GENERATORS:
            self._weight.labels(generator).set(weights[generator])
        self._version.set(version)

    def store(self, *, up: bool) -> None:
        """The state store answered the last poll, or did not."""
        self._store.set(up)

    def count_in_flight(self, count: Callable[[], float]) -> None:
        """Ask `count` for the requests in flight, at each scrape."""
        self._in_flight.set_function(count)
