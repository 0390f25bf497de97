"""A rollout as a picture for a terminal: its steps, its evidence, what it waits for."""

from collections.abc import Iterator
from datetime import UTC, datetime
from math import log10
from typing import Final

import msgspec
from rich.table import Table

from gateway.cli.screen import percent, table
from routing.gates import ALPHA_GOOD, ALPHA_HARM, Reading
from routing.judge import Record
from routing.rollout import Rollout
from routing.rules import Target

WIDTH: Final = 12
"""Characters of a bar; it is full where the evidence is enough."""

_EMPTY, _FULL = "░", "█"


class Look(Record, frozen=True):
    """A record with its number."""

    number: int = 0


class Shown(Rollout, frozen=True):
    """A rollout as the control plane gives it."""

    left_out: tuple[str, ...] = ()
    look: Look | None = None
    persisted: bool = True
    """Of a rollback: whether the store has it."""


def when(at: float) -> str:
    """A moment, for people: to the second, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def named(target: Target) -> str:
    """A target in a word."""
    return target.model or target.generator


def scope(rollout: Rollout) -> str:
    """Whom a rollout is about."""
    tenants = ", ".join(sorted(rollout.plan.tenants)) or "every tenant"
    surfaces = ", ".join(sorted(rollout.plan.surfaces)) or "every surface"
    return f"{tenants} on {surfaces}"


def picture(rollout: Shown) -> Iterator[Table | str]:
    """The parts to print."""
    plan = rollout.plan
    yield f"{rollout.id}   {named(plan.control)} → {named(plan.candidate)}"
    yield f"        {scope(rollout)}; begun {when(rollout.begun)} UTC"
    yield ""
    yield f"  {_way(rollout)}"
    yield ""
    if rollout.ended:
        yield f"  {rollout.phase}: {rollout.ended}"
    if rollout.overridden:
        yield f"  started although: {rollout.overridden}"
    look = rollout.look
    if look is not None:
        stage = look.sight.stages[-1]
        units = f"candidate {stage.candidate.units}, control {stage.control.units}"
        yield f"  look {look.number}, {when(look.sight.now)} UTC; units here: {units}"
        if look.readings and rollout.stage:
            yield table(
                ("gate", "verdict", "seen", "n", "harm", "good"),
                map(_gate, look.readings),
            )
        yield from (f"  waits for: {each}" for each in look.missing)
    yield from (f"  not held to: {each}" for each in rollout.left_out)


def _way(rollout: Rollout) -> str:
    """The steps, with where it is."""
    names = [
        "staging",
        *(percent(step.weight) for step in rollout.plan.steps),
        "promoted",
    ]
    here = len(names) - 1 if rollout.phase == "promoted" else rollout.stage
    marks: list[str] = []
    for at, name in enumerate(names):
        mark = "●" if at < here else "◉" if at == here else "○"
        if rollout.phase == "rolled_back":
            mark = "✗" if at == here else "●" if at < here else "○"
        marks.append(f"{mark} {name}")
    paused = "   (paused)" if rollout.pause else ""
    return " ── ".join(marks) + paused


def _gate(reading: Reading) -> tuple[str, ...]:
    seen = "" if reading.estimate is None else f"{reading.estimate:.4g}"
    n = f"{reading.candidate.failures}/{reading.candidate.trials}"
    if reading.measure == "tokens":
        n = str(reading.candidate.trials)
    harm = max(reading.harm, reading.change)
    return (
        reading.measure,
        reading.verdict,
        seen,
        n,
        bar(harm, -log10(ALPHA_HARM)),
        bar(reading.good, -log10(ALPHA_GOOD)),
    )


def bar(evidence: float, enough: float) -> str:
    """Draw evidence, to the base 10, against what is enough."""
    part = min(1.0, max(0.0, evidence / enough))
    full = int(part * WIDTH)
    return _FULL * full + _EMPTY * (WIDTH - full)


def decoded(data: bytes) -> tuple[Look, ...]:
    """Read records as the control plane, or `rollout records --json`, writes them.

    Raises:
        msgspec.DecodeError: they are none.
    """
    return msgspec.json.decode(data, type=Records).records


class Records(msgspec.Struct, frozen=True):
    """Records, newest first."""

    records: tuple[Look, ...]
