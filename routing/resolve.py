"""Which generator a request gets, and why: the one place that decides.

Precedence: kill > tenant override > rollout > surface rule > percentage > default. A
kill takes everything in its scope to the base, and a decision for a killed variant
becomes the base as well. The buckets are split from both ends,

    0                                                          10000
    [lora ........][default ............................][lora_pref]

so that a unit that got a candidate keeps it while either weight grows. A rollout splits
the buckets of its own draw into its candidate and its control.

Who has not heard of the store for some time cannot hear a kill. For them (`stale`)
every split gives what is stable, a rollout's control or the default: a canary is the
first thing to go.

`compile_flags` does the work that depends on the document alone; what is left
for a request is a few dictionary look-ups and, where a percentage decides, one
hash.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from routing.bucketing import BUCKETS, bucket_after, prefix
from routing.decision import Arm, Decision, Membership, Query, Reason, Rule
from routing.flags import FLAG, FlagDocument, rule_weights
from routing.rules import Generator, RolloutRule, SurfaceRule


class _Share(msgspec.Struct, frozen=True):
    """One of the three stretches of the buckets, variant kills applied."""

    generator: Generator
    reason: Reason
    rule: Rule


class _Split(msgspec.Struct, frozen=True):
    """Percentages: buckets below `low` and from `high` on are the candidates'."""

    low: int
    high: int
    shares: tuple[_Share, _Share, _Share]
    stale: Decision
    """For those who must not serve a canary."""

    def decide(self, bucket: int, version: int) -> Decision:
        share = self.shares[0 if bucket < self.low else 2 if bucket >= self.high else 1]
        return Decision(share.generator, share.reason, share.rule, bucket, version)


class _Rollout(msgspec.Struct, frozen=True):
    """A rollout's rule, variant kills applied."""

    rule: RolloutRule
    start: str
    """The bucketing key's beginning."""
    candidate: Decision
    control: Decision
    unitless: Decision
    """Without a unit there is no draw; the control, and no part of the experiment."""
    stale: Decision

    def decide(self, query: Query, *, stale: bool) -> Decision:
        weight = self.rule.weight
        if weight == BUCKETS:
            return self.candidate
        if stale:
            return self.stale
        if not query.unit:
            return self.unitless
        drawn = bucket_after(self.start, query.tenant, query.unit)
        side = self.candidate if drawn < weight else self.control
        return msgspec.structs.replace(side, bucket=drawn)


class Snapshot:
    """A document compiled for evaluation; immutable, safe to share."""

    __slots__ = (
        "_base",
        "_everything",
        "_killed_surfaces",
        "_killed_tenants",
        "_overrides",
        "_prefix",
        "_rest",
        "_rollouts",
        "_surfaces",
        "document",
        "version",
    )

    def __init__(self, document: FlagDocument, version: int) -> None:
        """Compile a valid document; `version` is the one that the store gave it."""
        compiling: Final = _Compiling(document, version)
        self.document: Final = document
        self.version: Final = version
        self._prefix: Final = prefix(FLAG, document.salt)
        self._everything: Final = compiling.killed("global").get("")
        self._killed_tenants: Final = compiling.killed("tenant")
        self._killed_surfaces: Final = compiling.killed("surface")
        self._overrides: Final = {
            tenant: compiling.fixed(variant, "override")
            for tenant, variant in document.overrides.items()
        }
        self._rollouts: Final = tuple(map(compiling.rollout, document.rollouts[::-1]))
        self._surfaces: Final[Mapping[str | None, Decision | _Split]] = {
            name: compiling.surface(rule) for name, rule in document.surfaces.items()
        }
        self._rest: Final = compiling.percentage()
        self._base: Final = Decision("base", "STATIC", "unit_missing", None, version)

    def resolve(self, query: Query, *, stale: bool = False) -> Decision:
        """Return what this query gets.

        Args:
            query: who asks.
            stale: whether a kill may have been missed, so that no split counts.

        Raises:
            PartError: a percentage has to decide, and the tenant or the unit
                cannot be part of a bucketing key.
        """
        fixed = (
            self._everything
            or self._killed_tenants.get(query.tenant)
            or self._killed_surfaces.get(query.surface)
            or self._overrides.get(query.tenant)
        )
        if fixed is not None:
            return fixed
        for rollout in self._rollouts:
            if rollout.rule.covers(query.tenant, query.surface):
                return rollout.decide(query, stale=stale)
        rule = self._surfaces.get(query.surface, self._rest)
        if isinstance(rule, Decision):
            return rule
        if stale:
            return rule.stale
        if not query.unit:
            return self._base
        drawn = bucket_after(self._prefix, query.tenant, query.unit)
        return rule.decide(drawn, self.version)


class _Compiling:
    """Turns a document's rules into decisions that only need to be looked up."""

    def __init__(self, document: FlagDocument, version: int) -> None:
        self._document = document
        self._version = version
        self._dead = {k.name for k in document.kills if k.scope == "variant"}

    def killed(
        self, scope: Literal["global", "tenant", "surface"]
    ) -> Mapping[str | None, Decision]:
        rules: Mapping[str, Rule] = {
            "global": "kill.global",
            "tenant": "kill.tenant",
            "surface": "kill.surface",
        }
        decision = Decision("base", "DISABLED", rules[scope], None, self._version)
        return {k.name: decision for k in self._document.kills if k.scope == scope}

    def fixed(self, variant: Generator, rule: Rule) -> Decision:
        reason: Reason = "STATIC" if rule == "default" else "TARGETING_MATCH"
        share = self._share(variant, reason, rule)
        return Decision(share.generator, share.reason, share.rule, None, self._version)

    def surface(self, rule: SurfaceRule) -> Decision | _Split:
        if rule.variant is not None:
            return self.fixed(rule.variant, "surface")
        return self._split(*rule_weights(rule, self._document), "surface")

    def rollout(self, rule: RolloutRule) -> _Rollout:
        promoted = rule.weight == BUCKETS
        reason: Reason = "TARGETING_MATCH" if promoted else "SPLIT"
        control = self._side(rule, "control", reason)
        alone = msgspec.structs.replace(control, member=None)
        if alone.reason != "DISABLED":
            lost = msgspec.structs.replace(alone, reason="STATIC", rule="unit_missing")
        else:
            lost = alone
        return _Rollout(
            rule=rule,
            start=prefix(FLAG, rule.id),
            candidate=self._side(rule, "candidate", reason),
            control=control,
            unitless=lost,
            stale=_stale(alone),
        )

    def _side(self, rule: RolloutRule, arm: Arm, reason: Reason) -> Decision:
        target = rule.candidate if arm == "candidate" else rule.control
        share = self._share(target.generator, reason, "rollout")
        killed = share.rule == "kill.variant"
        over = rule.weight == BUCKETS
        member = None if killed or over else Membership(rule.id, rule.stage, arm)
        model = None if killed else target.model
        return Decision(
            share.generator,
            share.reason,
            share.rule,
            None,
            self._version,
            model,
            member,
        )

    def percentage(self) -> Decision | _Split:
        document = self._document
        return self._split(document.lora, document.lora_pref, "percentage")

    def _split(
        self, lora: int, lora_pref: int, rule: Literal["surface", "percentage"]
    ) -> Decision | _Split:
        default = self._document.default
        if not lora and not lora_pref:
            return self.fixed(default, "surface" if rule == "surface" else "default")
        return _Split(
            lora,
            BUCKETS - lora_pref,
            (
                self._share("lora", "SPLIT", rule),
                self._share(default, "SPLIT", rule),
                self._share("lora_pref", "SPLIT", rule),
            ),
            _stale(self.fixed(default, rule)),
        )

    def _share(self, variant: Generator, reason: Reason, rule: Rule) -> _Share:
        if variant in self._dead:
            return _Share("base", "DISABLED", "kill.variant")
        return _Share(variant, reason, rule)


def _stale(decision: Decision) -> Decision:
    """The same for want of news; a kill stays a kill."""
    if decision.reason == "DISABLED":
        return decision
    return msgspec.structs.replace(decision, reason="STALE")


def compile_flags(document: FlagDocument, version: int) -> Snapshot:
    """Compile a document for the hot path; do it once per version."""
    return Snapshot(document, version)


def resolve(document: FlagDocument, version: int, query: Query) -> Decision:
    """Return what one query gets, for callers that ask once.

    Raises:
        PartError: a percentage has to decide, and the tenant or the unit cannot
            be part of a bucketing key.
    """
    return compile_flags(document, version).resolve(query)
