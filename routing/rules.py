"""The parts of a flag document: surface rules, kills, rollouts, and when they are true.

The checks raise `FlagError` with the path that they are given.
"""

from typing import Final, Literal, get_args

import msgspec

from routing.bucketing import BUCKETS, check_name
from routing.errors import FlagError, PartError

Generator = Literal["base", "lora", "lora_pref"]
"""What answers a request; the flag's variants."""

Scope = Literal["global", "tenant", "surface", "variant"]
"""What a kill takes the boost away from."""

GENERATORS: Final[tuple[Generator, ...]] = get_args(Generator)
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
_KILLABLE: Final = GENERATORS[1:]


class SurfaceRule(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What one surface gets instead of the document's percentages.

    Either `variant`, which pins all of its requests, or weights in basis points;
    a weight left out is the document's.
    """

    variant: Generator | None = None
    lora: int | None = None
    lora_pref: int | None = None


class Kill(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything in this scope gets the base, whatever else the document says.

    `name` is the tenant, the surface or the variant; it is empty for "global".
    """

    scope: Scope
    name: str = ""


class Target(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What a rollout moves from or to: a generator, and the adapter that it means.

    `model` is the adapter's immutable ref, whatever the generator is bound to
    otherwise; the base has none.
    """

    generator: Generator = "base"
    model: str | None = None


class RolloutRule(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Where a rollout is now: its scope, its two targets, and how the units are split.

    The units of the scope with buckets below `weight` (basis points) get the
    candidate, all others the control. `id` is the salt of the draw. An empty scope is
    everybody. At weight 10000 the rule is a promoted rollout.
    """

    id: str
    candidate: Target
    control: Target = Target()
    tenants: frozenset[str] = frozenset()
    surfaces: frozenset[str] = frozenset()
    weight: int = 0
    stage: int = 0
    """What the outcomes of these units are counted under."""

    def covers(self, tenant: str, surface: str | None) -> bool:
        """Whether a request is in the scope."""
        return (not self.tenants or tenant in self.tenants) and (
            not self.surfaces or surface in self.surfaces
        )

    def overlaps(self, other: "RolloutRule") -> bool:
        """Whether some request is in both scopes."""
        return all(
            not one or not two or one & two
            for one, two in (
                (self.tenants, other.tenants),
                (self.surfaces, other.surfaces),
            )
        )


def check_part(path: str, part: str, text: str) -> None:
    """Refuse a name that cannot be part of a bucketing key."""
    try:
        check_name(part, text)
    except PartError as error:
        raise FlagError(path, error.message) from error


def check_weights(path: str, lora: int, lora_pref: int) -> None:
    """Refuse weights that are not basis points, or too many."""
    for name, weight in (("lora", lora), ("lora_pref", lora_pref)):
        if not 0 <= weight <= BUCKETS:
            raise FlagError(
                f"{path}.{name}".lstrip("."),
                f"is {weight}: a weight is 0 to {BUCKETS} basis points (500 is 5 %)",
            )
    if lora + lora_pref > BUCKETS:
        raise FlagError(
            path or "lora",
            f"lora ({lora}) and lora_pref ({lora_pref}) are {lora + lora_pref} basis"
            f" points together: at most {BUCKETS} can be given away",
        )


def check_kill(path: str, kill: Kill) -> None:
    """Refuse a kill whose name is none of its scope."""
    if kill.scope == "global":
        if kill.name:
            raise FlagError(
                f"{path}.name",
                f"is {kill.name!r}: a global kill has no name;"
                " use the scope tenant, surface or variant to kill one",
            )
    elif kill.scope == "variant":
        if kill.name not in _KILLABLE:
            raise FlagError(
                f"{path}.name",
                f"is {kill.name!r}: {' and '.join(_KILLABLE)} can be killed,"
                " the base is what a kill gives",
            )
    else:
        check_part(f"{path}.name", kill.scope, kill.name)


def check_rollout(path: str, rule: RolloutRule) -> None:
    """Refuse a rollout that cannot be."""
    check_part(f"{path}.id", "salt", rule.id)
    if not 0 <= rule.weight <= BUCKETS:
        raise FlagError(
            f"{path}.weight",
            f"is {rule.weight}: a weight is 0 to {BUCKETS} basis points (500 is 5 %)",
        )
    for tenant in rule.tenants:
        check_part(f"{path}.tenants", "tenant", tenant)
    for surface in rule.surfaces:
        check_part(f"{path}.surfaces", "surface", surface)
    _check_target(f"{path}.control", rule.control)
    _check_target(f"{path}.candidate", rule.candidate)
    if rule.candidate.generator == "base":
        raise FlagError(
            f"{path}.candidate.generator",
            f"is base: {' and '.join(_KILLABLE)} are rolled out, the base is what a"
            " rollback gives",
        )
    if rule.candidate == rule.control:
        raise FlagError(f"{path}.candidate", "is the control: there is nothing to move")


def _check_target(path: str, target: Target) -> None:
    if (target.generator == "base") != (target.model is None):
        raise FlagError(
            f"{path}.model",
            "has to be an adapter's ref, such as acme-behav-lora@v1; the base has none",
        )
