"""What happens next to a rollout, out of what was counted: one pure function.

Harm, by any gate, rolls back whatever else is so. Going on needs everything: nobody
paused it, the units are split as they should be, the step's minimum is there, the
candidate is ready, and before promotion every gate has passed. Otherwise it holds and
says what is missing.

`judge` gives a record with all that went in. Whoever has the record can compute it
again (`replayed`): same versions, same answer.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from routing.evidence import Cusum, Trials
from routing.gates import (
    ALPHA_GOOD,
    ALPHA_SPLIT,
    Reading,
    Seen,
    read,
    split,
    trials,
)
from routing.rollout import RUNNING, Event, Pause, Rollout
from routing.tally import Stage, percentile_edge

VERSION: Final = 1
"""Of what this module computes; another one may judge otherwise."""

P95: Final = 0.95


class Watch(msgspec.Struct, frozen=True):
    """What the detectors of changes remember from one look to the next."""

    changes: Mapping[str, Cusum] = {}
    """By measure."""
    counted: Mapping[str, tuple[int, int]] = {}
    """By measure, the hits and misses at `stage` so far."""
    stage: int = 0


class Sight(msgspec.Struct, frozen=True):
    """What is so now."""

    stages: tuple[Stage, ...]
    """Counts of every stage so far, staging first."""
    now: float
    ready: bool
    """Whether the candidate could answer on every replica."""
    killed: bool = False
    """Whether a kill has taken the candidate away from all of the scope."""


class Record(msgspec.Struct, frozen=True):
    """One look: what went in, and what came out."""

    before: Rollout
    watched: Watch
    sight: Sight
    readings: tuple[Reading, ...]
    split: float
    """Evidence, to the base 10, that units are not split as they should be."""
    event: Event | None
    missing: tuple[str, ...]
    """What stands between here and the next event."""
    after: Rollout
    watch: Watch
    version: int = VERSION


def judge(rollout: Rollout, watch: Watch, sight: Sight) -> Record:
    """Return what is to happen to a rollout, and why."""
    seen = _seen(rollout, sight.stages)
    watching = _watched(rollout, watch, seen)
    readings = tuple(
        read(gate, seen, watching.changes.get(gate.measure, Cusum()))
        for gate in rollout.plan.gates
    )
    tilted = split(seen)
    event, after, missing = _next(rollout, sight, readings, tilted)
    return Record(
        before=rollout,
        watched=watch,
        sight=sight,
        readings=readings,
        split=tilted,
        event=event,
        missing=missing,
        after=after,
        watch=watching,
    )


def replayed(record: Record) -> Record:
    """Return what the same look comes to now; equal, if nobody changed a record."""
    return judge(record.before, record.watched, record.sight)


def _seen(rollout: Rollout, stages: Sequence[Stage]) -> list[Seen]:
    """The stages, with the conditions that they were under; in staging nobody gets it."""
    steps = rollout.plan.steps[: rollout.step + 1]
    begun = zip(steps, stages[1:], rollout.edges, strict=False)
    return [
        *(Seen(0.0, stage) for stage in stages[:1]),
        *(Seen(step.weight / 10_000, stage, edge) for step, stage, edge in begun),
    ]


def _watched(rollout: Rollout, watch: Watch, seen: Sequence[Seen]) -> Watch:
    """Feed the detectors with what is new at the current stage."""
    same = watch.stage == rollout.stage
    changes, counted = dict(watch.changes), dict(watch.counted) if same else {}
    for gate in rollout.plan.gates:
        if gate.measure == "tokens":
            continue
        for each in trials(gate, seen[-1:], "change"):
            hits, misses = counted.get(gate.measure, (0, 0))
            new = Trials(each.odds, each.hits - hits, each.misses - misses)
            changes[gate.measure] = changes.get(gate.measure, Cusum()).after(new)
            counted[gate.measure] = each.hits, each.misses
    return Watch(changes, counted, rollout.stage)


def _next(
    rollout: Rollout, sight: Sight, readings: Sequence[Reading], tilted: float
) -> tuple[Event | None, Rollout, tuple[str, ...]]:
    if rollout.phase not in RUNNING:
        return None, rollout, ()
    harmful = _harm(sight, readings)
    if harmful:
        return "rolled_back", rollout.after("rolled_back", sight.now, why=harmful), ()
    pause = rollout.pause or _pause(rollout, sight, tilted)
    if pause is not None:
        return None, rollout.held(pause), (f"paused ({pause.kind}): {pause.why}",)
    missing = _missing(rollout, sight, readings)
    if missing:
        return None, rollout, missing
    if rollout.phase in ("canary", "ramp") and rollout.last:
        return _promoted(rollout, sight)
    event: Event = "staged" if rollout.phase == "staging" else "advanced"
    control = sight.stages[rollout.stage].control
    edge = percentile_edge(control.ttft, P95)
    return event, rollout.after(event, sight.now, edge=edge), ()


def _promoted(
    rollout: Rollout, sight: Sight
) -> tuple[Event | None, Rollout, tuple[str, ...]]:
    if rollout.plan.promote == "auto":
        done = rollout.after("promoted", sight.now, why="every gate has passed")
        return "promoted", done, ()
    pause = Pause(
        "promote", "every gate has passed; `wastegate rollout promote` ends it"
    )
    return None, rollout.held(pause), (f"paused ({pause.kind}): {pause.why}",)


def _harm(sight: Sight, readings: Sequence[Reading]) -> str:
    failed = [reading.explained for reading in readings if reading.verdict == "fail"]
    if sight.killed:
        failed.append("a kill has taken the candidate away")
    return "; ".join(failed)


def _pause(rollout: Rollout, sight: Sight, tilted: float) -> Pause | None:
    if 10**tilted >= 1 / ALPHA_SPLIT:
        return Pause(
            "split",
            f"the units are not split as the weights say (evidence 10^{tilted:.1f}):"
            " something counts one side twice, or not at all",
        )
    if sight.now - rollout.begun >= rollout.plan.deadline_seconds:
        return Pause("deadline", "its time is over without a proof; a person decides")
    return None


def _missing(
    rollout: Rollout, sight: Sight, readings: Sequence[Reading]
) -> tuple[str, ...]:
    if rollout.phase == "preflight":
        return ("the preflight's clearance",)
    found: list[str] = []
    stage, plan = sight.stages[rollout.stage], rollout.plan
    if rollout.phase == "staging":
        units, needed, seconds = (
            stage.control.units,
            plan.staging_units,
            plan.staging_seconds,
        )
    else:
        step = plan.steps[rollout.step]
        units, needed, seconds = stage.candidate.units, step.units, step.seconds
    if not sight.ready:
        found.append("the candidate ready on every replica")
    if units < needed:
        found.append(f"{needed - units} of {needed} units")
    if (left := rollout.entered + seconds - sight.now) > 0:
        found.append(f"{left:.0f} of {seconds:.0f} seconds")
    if rollout.phase in ("canary", "ramp") and (
        rollout.last or plan.steps[rollout.step].good
    ):
        found += [
            f"{reading.measure}: evidence of good {10 ** min(reading.good, 9):.2g} of"
            f" {1 / ALPHA_GOOD:.0f}" + (f" ({reading.missing})" * bool(reading.missing))
            for reading in readings
            if reading.verdict != "pass"
        ]
    return tuple(found)
