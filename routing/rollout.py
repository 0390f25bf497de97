"""A rollout: the controlled move of a scope from one target to another.

    preflight --cleared--> staging --staged--> canary --advanced--> ramp --promoted--> promoted
        |                     |                  |                   |                    |
        +---------------------+------------------+-------------------+--- rolled_back ----+

`TRANSITIONS` is the whole of it; what is not in it does not happen. In `staging` the
candidate gets nothing and the control is measured; `canary` is the first step with
traffic, `ramp` every further one. A rollout can be paused anywhere on the way: paused
it can be rolled back, and nothing else.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal, get_args

import msgspec

from routing.bucketing import BUCKETS
from routing.errors import RolloutError
from routing.gates import GATES, Gate, Measure
from routing.rules import RolloutRule, Target

Phase = Literal["preflight", "staging", "canary", "ramp", "promoted", "rolled_back"]
Event = Literal["cleared", "staged", "advanced", "promoted", "rolled_back"]
PauseKind = Literal["operator", "split", "deadline", "promote"]
"""Who or what holds a rollout: a person, units that are not split as they should be,
time that ran out, or a promotion that a person has to make."""

Units = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
BasisPoints = Annotated[int, msgspec.Meta(ge=1, lt=BUCKETS)]

TRANSITIONS: Final[Mapping[tuple[Phase, Event], Phase]] = {
    ("preflight", "cleared"): "staging",
    ("preflight", "rolled_back"): "rolled_back",
    ("staging", "staged"): "canary",
    ("staging", "rolled_back"): "rolled_back",
    ("canary", "advanced"): "ramp",
    ("canary", "promoted"): "promoted",
    ("canary", "rolled_back"): "rolled_back",
    ("ramp", "advanced"): "ramp",
    ("ramp", "promoted"): "promoted",
    ("ramp", "rolled_back"): "rolled_back",
    ("promoted", "rolled_back"): "rolled_back",
}
RUNNING: Final = frozenset({"preflight", "staging", "canary", "ramp"})
"""Phases that the controller looks after."""

MEASURES: Final = frozenset(get_args(Measure))


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A weight, and what has to be there before the next."""

    weight: BasisPoints
    """Basis points of the units."""
    units: Units = 400
    """The candidate's, at least: at adherence .97 half of the harm is seen by then."""
    seconds: Seconds = 600.0
    good: bool = False
    """Whether every gate has to pass before this step is left. The last one always
    needs that."""


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is wanted; it does not change while the rollout runs.

    Raises:
        RolloutError: it cannot be meant so, with the path.
    """

    candidate: Target
    control: Target = Target()
    tenants: frozenset[str] = frozenset()
    surfaces: frozenset[str] = frozenset()
    steps: tuple[Step, ...] = (Step(500), Step(2_500), Step(5_000))
    gates: tuple[Gate, ...] = GATES
    staging_units: Units = 200
    """Of the control, before the first step: they say what its p95 is."""
    staging_seconds: Seconds = 60.0
    deadline_seconds: Seconds = 7 * 86_400.0
    """From the start; then it holds and a person decides. Nothing passes by time."""
    promote: Literal["auto", "operator"] = "auto"
    promoters: frozenset[str] = frozenset()
    """Who may promote it by hand; everybody who may change things, if nobody is named."""
    shadow: Annotated[int, msgspec.Meta(ge=0, le=BUCKETS)] = 0
    """Basis points of the control's answers whose requests the candidate is asked as
    well, for nobody to see, on surfaces that allow it."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant so."""
        weights = [step.weight for step in self.steps]
        if not weights:
            raise RolloutError("steps", "there are none: give at least one weight")
        if weights != sorted(set(weights)):
            raise RolloutError("steps", f"{weights} do not grow: a ramp goes up")
        measures = [gate.measure for gate in self.gates]
        if not measures:
            raise RolloutError("gates", "there are none: nothing could be proved")
        if len(set(measures)) != len(measures):
            raise RolloutError("gates", f"{measures} name a measure twice")

    @property
    def left_out(self) -> tuple[str, ...]:
        """What this rollout is not held to, or less, than by default."""
        own = {gate.measure: gate for gate in self.gates}
        said = [
            f"{each.measure}: left out" for each in GATES if each.measure not in own
        ]
        for each in GATES:
            gate = own.get(each.measure)
            if gate is not None and gate.loosened(each):
                said.append(
                    f"{each.measure}: harm {gate.harm:g} instead of {each.harm:g},"
                    f" good {gate.good:g} instead of {each.good:g}"
                )
        return tuple(said)


class Pause(msgspec.Struct, frozen=True):
    """What holds a rollout."""

    kind: PauseKind
    why: str


class Rollout(msgspec.Struct, frozen=True):
    """Where a rollout is."""

    id: str
    plan: Plan
    begun: float
    """Seconds since 1970, as all moments here."""
    phase: Phase = "preflight"
    step: int = -1
    """Index into the plan's steps; -1 before the first."""
    entered: float = 0.0
    """When this phase and step began."""
    edges: tuple[int | None, ...] = ()
    """For each step that was begun, the edge that the control's p95 was below before."""
    pause: Pause | None = None
    overridden: str = ""
    """Why it was started although something was missing."""
    ended: str = ""
    """Why it is over."""

    @property
    def stage(self) -> int:
        """What outcomes are counted under: 0 in staging, then the steps from 1 on."""
        return self.step + 1

    @property
    def weight(self) -> int:
        """Basis points of the units that the candidate has now."""
        if self.phase == "promoted":
            return BUCKETS
        if self.phase in ("canary", "ramp"):
            return self.plan.steps[self.step].weight
        return 0

    @property
    def last(self) -> bool:
        """Whether this is the last step."""
        return self.step == len(self.plan.steps) - 1

    @property
    def rule(self) -> RolloutRule:
        """What the flag document has to say."""
        return RolloutRule(
            id=self.id,
            candidate=self.plan.candidate,
            control=self.plan.control,
            tenants=self.plan.tenants,
            surfaces=self.plan.surfaces,
            weight=self.weight,
            stage=self.stage,
        )

    def after(
        self, event: Event, now: float, *, edge: int | None = None, why: str = ""
    ) -> "Rollout":
        """Return the rollout after something happened.

        Args:
            event: what happened.
            now: when.
            edge: for the step that begins: the control's p95 before it.
            why: for one that is over.

        Raises:
            RolloutError: it cannot happen here.
        """
        phase = TRANSITIONS.get((self.phase, event))
        if phase is None:
            raise RolloutError("phase", f"is {self.phase}: it cannot be {event} now")
        begins = event in ("staged", "advanced")
        return msgspec.structs.replace(
            self,
            phase=phase,
            step=self.step + begins,
            edges=(*self.edges, edge) if begins else self.edges,
            entered=now,
            pause=None,
            ended=why if phase in ("promoted", "rolled_back") else "",
        )

    def shifted(self, seconds: float) -> "Rollout":
        """Return the rollout as a clock shows it that has jumped so far."""
        return msgspec.structs.replace(
            self, begun=self.begun + seconds, entered=self.entered + seconds
        )

    def held(self, pause: Pause | None) -> "Rollout":
        """Return the rollout paused, or going on for None.

        Raises:
            RolloutError: it is over.
        """
        if self.phase not in RUNNING:
            raise RolloutError("phase", f"is {self.phase}: there is nothing to pause")
        return msgspec.structs.replace(self, pause=pause)
