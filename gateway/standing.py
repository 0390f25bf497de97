"""How a gateway stands: what `/readyz` says and what the gauges show."""

from collections.abc import Iterable, Mapping

from adapters.lifecycle import State
from gateway.api.meta import Readiness
from gateway.control.documents import Refresher
from gateway.control.mail import Report
from gateway.fleet import Fleet
from gateway.live import Live, Present
from gateway.telemetry.prometheus import PrometheusSink
from gateway.telemetry.state import RolloutSeen, StateGauges
from routing.judge import Record
from routing.rollout import Rollout


def readiness(live: Live, fleet: Fleet, refresher: Refresher) -> Readiness:
    """Whether the base can answer, and what is not as it should be."""
    present = live.present
    base = any(m.alive and fleet.base_name in m.observed.models for m in fleet.members)
    degraded = [
        f"{ref}, which {generator} is bound to, is ready nowhere"
        for generator, ref in present.bindings.items()
        if ref in present.mounted and not fleet.ready(ref)
    ]
    degraded += [
        f"replica {member.replica.url} is down"
        for member in fleet.members
        if not member.alive
    ]
    if not refresher.up:
        degraded.append("the store is away; the last known flags are in force")
    elif refresher.behind:
        degraded.append(
            "the store has lost what is in force; `wastegate store restore` writes it back"
        )
    missing = () if base else ("no vLLM replica is up with the base model",)
    return Readiness(ready=base, missing=missing, degraded=tuple(degraded))


def measure_flag(
    gauges: StateGauges, present: Present, others: Iterable[Report], *, store_up: bool
) -> None:
    """Bring the gauges up with the worker that is the furthest behind."""
    others = list(others)
    gauges.store(up=store_up and all(report.store_up for report in others))
    flags = present.flags
    gauges.flag(
        min([present.flags_version, *(report.flags_version for report in others)]),
        default=flags.default,
        lora=flags.lora,
        lora_pref=flags.lora_pref,
    )


def measure(
    gauges: StateGauges,
    counters: PrometheusSink,
    live: Live,
    fleet: Fleet,
    looks: Mapping[str, Record],
) -> None:
    """Bring the gauges up with the present, at each scrape."""
    present = live.present
    gauges.bindings({str(name): ref for name, ref in present.bindings.items()})
    gauges.count_in_flight(lambda: fleet.in_flight)
    for rollout in present.rollouts.values():
        gauges.rollout(_seen(rollout, looks.get(rollout.id)))
    gauges.forget_rollouts(present.rollouts.keys())
    for member in fleet.members:
        url = member.replica.url
        gauges.replica(
            url, up=member.alive and fleet.base_name in member.observed.models
        )
        for ref, slot in member.slots.items():
            counters.know_model(ref)
            if slot.state is State.ABSENT and ref not in present.mounted:
                gauges.forget_adapter(url, ref)
            else:
                gauges.adapter(url, ref, slot.state.value)


def _seen(rollout: Rollout, look: Record | None) -> RolloutSeen:
    return RolloutSeen(
        id=rollout.id,
        model=rollout.plan.candidate.model or "",
        phase=rollout.phase,
        weight=rollout.weight,
        evidence={
            each.measure: {
                "harm": each.harm,
                "good": each.good,
                "change": each.change,
            }
            for each in (look.readings if look else ())
        },
    )
