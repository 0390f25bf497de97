"""Who asks for the flag, and what they get with its reason."""

from typing import Literal

import msgspec

from routing.rules import Generator

Reason = Literal["STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED", "STALE"]
"""OpenFeature's words. DISABLED is a kill, and the value is the base; STALE is a split
that gives what is stable."""

Arm = Literal["candidate", "control"]
"""Which side of a rollout a unit is on."""

Rule = Literal[
    "kill.global",
    "kill.tenant",
    "kill.surface",
    "kill.variant",
    "override",
    "rollout",
    "surface",
    "percentage",
    "unit_missing",
    "default",
]
"""Which part of the document decided; a closed set, fit for a metric's label."""


class Query(msgspec.Struct, frozen=True):
    """Who asks: `surface` None is no surface, `unit` None or "" is no unit."""

    tenant: str
    surface: str | None = None
    unit: str | None = None


class Membership(msgspec.Struct, frozen=True):
    """That a request is part of a rollout, and as what."""

    rollout: str
    stage: int
    arm: Arm


class Decision(msgspec.Struct, frozen=True):
    """What a request gets and why.

    `bucket` is 0 to 9999 where one was drawn, `version` the document's. `model` is the
    adapter that a rollout means; None leaves that to the generator's binding.
    """

    generator: Generator
    reason: Reason
    rule: Rule
    bucket: int | None
    version: int
    model: str | None = None
    member: Membership | None = None
    """Where the request's outcome counts; None if it is no part of an experiment."""

    @property
    def text(self) -> str:
        """The decision as a header's value, without the generator."""
        drawn = "" if self.bucket is None else f" bucket={self.bucket};"
        part = "" if self.member is None else f" rollout={self.member.rollout};"
        return f"{self.reason}; rule={self.rule};{part}{drawn} version={self.version}"
