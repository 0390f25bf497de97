"""What has to be there before a rollout may start; what is missing is said, all at once."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec

from adapters.errors import AdapterError, ManifestError
from adapters.refs import AdapterRef
from adapters.registry import Registry
from gateway.control.verdicts import Verdicts, against, unreadable
from gateway.fleet import Fleet
from gateway.live import Live, Present
from routing.decision import Query
from routing.resolve import compile_flags
from routing.rollout import RUNNING, Plan, Rollout
from routing.rules import RolloutRule, Target

MOST_SAID: Final = 5
"""Requests that get something else than the control says, named in one answer."""


class Ground(msgspec.Struct, frozen=True):
    """What a rollout stands on.

    Args:
        live: what is in force.
        registry: where adapters lie.
        fleet: what is ready where.
        verdicts: what the evals say.
        tenants: every tenant that there is.
        surfaces: every surface that there is.
        operators: everybody who may change things.
    """

    live: Live
    registry: Registry
    fleet: Fleet
    verdicts: Verdicts
    tenants: tuple[str, ...]
    surfaces: tuple[str, ...]
    operators: tuple[str, ...] = ()


def ready(fleet: Fleet, target: Target) -> bool:
    """Whether a target could answer on every live replica that may hold it."""
    model = target.model
    where = fleet.members if model is None else fleet.may_hold(model)
    alive = [member for member in where if member.alive]
    return bool(alive) and (model is None or all(each.ready(model) for each in alive))


async def missing(plan: Plan, ground: Ground) -> tuple[str, ...]:
    """Return what is missing, and can be done without for a reason that is given.

    Raises:
        StoreUnavailable: whether the candidate may ship cannot be read.
    """
    lacks = [
        said
        for target in (plan.candidate, plan.control)
        for said in _lacks(target, ground)
    ]
    return (*await _unproved(plan.candidate, ground), *lacks)


def impossible(plan: Plan, ground: Ground) -> tuple[str, ...]:
    """Return what no reason can make good: the comparison would not be one."""
    present = ground.live.stored
    found = [
        f"there is no {kind} {name!r}"
        for kind, named, known in (
            ("tenant", plan.tenants, ground.tenants),
            ("surface", plan.surfaces, ground.surfaces),
            ("operator", plan.promoters, ground.operators),
        )
        for name in sorted(named - set(known))
    ]
    return (
        *taken(plan, present.rollouts),
        *found,
        *_refused(plan, ground),
        *_otherwise(plan, ground, present),
    )


def taken(plan: Plan, rollouts: Mapping[str, Rollout]) -> tuple[str, ...]:
    """Return which of the rollouts have part of a plan's scope."""
    rule = RolloutRule("new", plan.candidate, plan.control, plan.tenants, plan.surfaces)
    return tuple(
        f"{rollout.id} runs in part of that scope; end it first"
        for rollout in rollouts.values()
        if rollout.phase in RUNNING and rollout.rule.overlaps(rule)
    )


async def _unproved(candidate: Target, ground: Ground) -> tuple[str, ...]:
    """Say what the evals have against a candidate that is registered."""
    if candidate.model is None:
        return ()
    try:
        registered = ground.registry.get(AdapterRef.parse(candidate.model))
    except AdapterError:
        return ()  # which is said as what is missing
    try:
        verdict = await ground.verdicts.of(registered.digest)
    except ManifestError as error:
        return (unreadable(registered.ref, error),)
    why = against(registered.ref, verdict)
    return (why,) if why else ()


def _lacks(target: Target, ground: Ground) -> Iterable[str]:
    if target.model is None:
        return
    try:
        ground.registry.get(AdapterRef.parse(target.model))
    except AdapterError as error:
        yield str(error)
        return
    if target.model not in ground.live.present.mounted:
        yield f"{target.model} is not mounted: wastegate adapter mount {target.model}"
    elif not ready(ground.fleet, target):
        yield f"{target.model} is not ready on every live replica"


def _refused(plan: Plan, ground: Ground) -> Iterable[str]:
    tenants = tuple(_all(plan.tenants, ground.tenants))
    for target in (plan.candidate, plan.control):
        if why := ground.fleet.isolation.refuses(target.model or "", tenants):
            yield f"{why}; name the tenants that it is for"


def _otherwise(plan: Plan, ground: Ground, present: Present) -> Iterable[str]:
    """Say whose stable target is not what the plan takes for the control."""
    snapshot = compile_flags(present.flags, present.flags_version)
    told = 0
    for tenant in _all(plan.tenants, ground.tenants):
        for surface in _all(plan.surfaces, ground.surfaces):
            decision = snapshot.resolve(Query(tenant, surface), stale=True)
            if decision.rule == "override" or decision.rule.startswith("kill"):
                continue
            model = decision.model
            if decision.generator != "base" and model is None:
                model = present.bindings.get(decision.generator)
            if (decision.generator, model) == (
                plan.control.generator,
                plan.control.model,
            ):
                continue
            told += 1
            if told <= MOST_SAID:
                yield (
                    f"{tenant} on {surface} gets {model or decision.generator} now"
                    f" (by {decision.rule}), not the control"
                    f" {plan.control.model or plan.control.generator}; name that"
                )


def _all(named: Collection[str], known: Iterable[str]) -> Iterable[str]:
    return sorted(named) if named else known
