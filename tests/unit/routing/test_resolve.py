import itertools
from typing import Any, get_args

import pytest
from hypothesis import given, settings, strategies as st
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import (  # pyright: ignore[reportMissingTypeStubs]  # has none
    EvaluationContext,
)

from routing.decision import Decision, Query, Reason, Rule
from routing.errors import PartError
from routing.flags import FlagDocument, rule_weights, with_kill
from routing.resolve import compile_flags, resolve
from routing.rules import GENERATORS, Generator, Kill, SurfaceRule
from tests.unit.routing.making import DOCUMENTS, KILLS, QUERIES, WEIGHTS

CONV_42 = 9816  # the bucket of GENERATOR/r17/acme/conv-42


def outcome(document: FlagDocument, query: Query) -> tuple[str, str, str]:
    decision = resolve(document, 7, query)
    return decision.generator, decision.reason, decision.rule


PRESENT = list(itertools.product((False, True), repeat=8))


@pytest.mark.parametrize("present", PRESENT)
def test_the_first_rule_that_applies_decides_in_the_order_of_precedence(
    present: tuple[bool, ...],
) -> None:
    everything, tenant, surface, variant, override, pinned, weights, unit = present
    kills = {
        Kill("global"): everything,
        Kill("tenant", "acme"): tenant,
        Kill("surface", "email"): surface,
        Kill("variant", "lora"): variant,
    }
    document = FlagDocument(
        default="lora_pref",
        lora=10_000 if weights else 0,
        salt="r17",
        overrides={"acme": "lora"} if override else {},
        surfaces={"email": SurfaceRule(variant="lora")} if pinned else {},
        kills=tuple(kill for kill, there in kills.items() if there),
    )
    candidate = ("base", "DISABLED", "kill.variant") if variant else None
    expected = next(
        outcome
        for applies, outcome in (
            (everything, ("base", "DISABLED", "kill.global")),
            (tenant, ("base", "DISABLED", "kill.tenant")),
            (surface, ("base", "DISABLED", "kill.surface")),
            (override, candidate or ("lora", "TARGETING_MATCH", "override")),
            (pinned, candidate or ("lora", "TARGETING_MATCH", "surface")),
            (weights and not unit, ("base", "STATIC", "unit_missing")),
            (weights, candidate or ("lora", "SPLIT", "percentage")),
            (True, ("lora_pref", "STATIC", "default")),
        )
        if applies
    )
    assert outcome(document, Query("acme", "email", "conv-42" if unit else None)) == (
        expected
    )


@pytest.mark.parametrize(
    ("lora", "lora_pref", "expected"),
    [
        (CONV_42, 0, "base"),
        (CONV_42 + 1, 0, "lora"),
        (0, 10_000 - CONV_42 - 1, "base"),
        (0, 10_000 - CONV_42, "lora_pref"),
        (CONV_42 + 1, 10_000 - CONV_42 - 1, "lora"),
        (CONV_42, 10_000 - CONV_42, "lora_pref"),
    ],
)
def test_the_split_begins_and_ends_exactly_at_its_weights(
    lora: int, lora_pref: int, expected: str
) -> None:
    document = FlagDocument(lora=lora, lora_pref=lora_pref, salt="r17")
    decision = resolve(document, 7, Query("acme", None, "conv-42"))
    assert decision == Decision(
        *(decision.generator, "SPLIT", "percentage", CONV_42, 7)
    )
    assert decision.generator == expected


def test_a_surface_may_have_weights_of_its_own() -> None:
    rule = SurfaceRule(lora=CONV_42 + 1)
    document = FlagDocument(salt="r17", surfaces={"email": rule})
    assert outcome(document, Query("acme", "email", "conv-42")) == (
        *("lora", "SPLIT", "surface"),
    )
    assert outcome(document, Query("acme", "assist", "conv-42"))[2] == "default"
    assert outcome(document, Query("acme", "email"))[2] == "unit_missing"


def test_a_surface_with_no_weight_takes_its_requests_out_of_the_canary() -> None:
    document = FlagDocument(
        lora=10_000, surfaces={"email": SurfaceRule(lora=0, lora_pref=0)}
    )
    assert outcome(document, Query("acme", "email", "conv-42")) == (
        *("base", "TARGETING_MATCH", "surface"),
    )


def test_a_weight_that_a_surface_leaves_out_is_the_documents() -> None:
    document = FlagDocument(
        lora_pref=10_000 - CONV_42,
        salt="r17",
        surfaces={"email": SurfaceRule(lora=1)},
    )
    assert outcome(document, Query("acme", "email", "conv-42"))[0] == "lora_pref"


def test_an_override_to_a_killed_variant_gives_the_base() -> None:
    document = FlagDocument(
        overrides={"acme": "lora"}, kills=(Kill("variant", "lora"),)
    )
    assert outcome(document, Query("acme")) == ("base", "DISABLED", "kill.variant")


def test_a_kill_of_one_variant_leaves_the_other_where_it_was() -> None:
    document = FlagDocument(lora=3000, lora_pref=3000)
    killed = with_kill(document, Kill("variant", "lora"))
    for at in range(300):
        query = Query("acme", None, f"conv-{at}")
        before, after = resolve(document, 7, query), resolve(killed, 7, query)
        assert after.generator == (
            "base" if before.generator == "lora" else before.generator
        )
        assert after.bucket == before.bucket


def test_an_empty_unit_is_a_missing_one() -> None:
    assert outcome(FlagDocument(lora=10_000), Query("acme", None, "")) == (
        *("base", "STATIC", "unit_missing"),
    )


def test_a_unit_that_cannot_be_hashed_is_refused_only_where_it_would_be() -> None:
    bad = Query("acme", None, "conv\n42")
    with pytest.raises(PartError, match="control character"):
        resolve(FlagDocument(lora=1), 7, bad)
    assert outcome(FlagDocument(), bad)[2] == "default"


def test_the_text_of_a_decision_is_a_header_value() -> None:
    split = resolve(FlagDocument(lora=1, salt="r17"), 7, Query("acme", None, "conv-42"))
    assert split.text == "SPLIT; rule=percentage; bucket=9816; version=7"
    assert resolve(FlagDocument(), 7, Query("acme")).text == (
        "STATIC; rule=default; version=7"
    )


@settings(deadline=None)
@given(DOCUMENTS, QUERIES, KILLS)
def test_a_killed_scope_never_gets_anything_but_the_base(
    document: FlagDocument, query: Query, kill: Kill
) -> None:
    before = resolve(document, 7, query)
    after = resolve(with_kill(document, kill), 7, query)
    hit = {
        "global": True,
        "tenant": kill.name == query.tenant,
        "surface": kill.name == query.surface,
        "variant": kill.name == before.generator,
    }[kill.scope]
    assert after.generator == ("base" if hit else before.generator)


@settings(deadline=None)
@given(DOCUMENTS, QUERIES)
def test_every_decision_is_complete_and_comes_from_closed_sets(
    document: FlagDocument, query: Query
) -> None:
    decision = resolve(document, 7, query)
    assert decision.generator in GENERATORS
    assert decision.reason in get_args(Reason)
    assert decision.rule in get_args(Rule)
    assert (decision.bucket is not None) == (
        decision.reason == "SPLIT"
        or (decision.rule == "kill.variant" and splits(document, query))
    )
    assert decision.reason != "DISABLED" or decision.generator == "base"
    assert decision.version == 7
    assert decision == compile_flags(document, 7).resolve(query)


def splits(document: FlagDocument, query: Query) -> bool:
    if not query.unit or query.tenant in document.overrides:
        return False
    for rollout in reversed(document.rollouts):
        if rollout.covers(query.tenant, query.surface):
            return rollout.weight < 10_000
    rule = document.surfaces.get(query.surface or "", SurfaceRule())
    return rule.variant is None and any(rule_weights(rule, document))


@settings(deadline=None)
@given(
    weight=WEIGHTS,
    more=WEIGHTS,
    others=st.tuples(WEIGHTS, WEIGHTS),
    unit=st.integers(0, 10_000),
    variant=st.sampled_from(GENERATORS[1:]),
)
def test_a_unit_that_got_a_candidate_keeps_it_while_any_weight_grows(
    weight: int, more: int, others: tuple[int, int], unit: int, variant: Generator
) -> None:
    low, high = sorted((weight, more))
    before = FlagDocument(**weights(variant, low, others[0]))
    after = FlagDocument(**weights(variant, high, others[1]))
    query = Query("acme", None, f"conv-{unit}")
    if resolve(before, 7, query).generator == variant:
        assert resolve(after, 8, query).generator == variant


def weights(variant: Generator, own: int, other: int) -> dict[str, Any]:
    return {variant: own, "lora_pref" if variant == "lora" else "lora": other}


def exposed(variant: Generator, weight: int) -> set[int]:
    document = FlagDocument(**weights(variant, weight, 0), salt="r17")
    snapshot = compile_flags(document, 7)
    return {
        at
        for at in range(100_000)
        if snapshot.resolve(Query("acme", "assist", f"conv-{at}")).generator == variant
    }


@pytest.mark.parametrize("variant", ["lora", "lora_pref"])
def test_five_percent_are_five_percent_and_stay_in_at_fifty(variant: Generator) -> None:
    few, many = exposed(variant, 500), exposed(variant, 5000)
    assert abs(len(few) / 100_000 - 0.05) <= 0.003
    assert abs(len(many) / 100_000 - 0.5) <= 0.006
    assert few <= many


def test_another_salt_draws_other_units() -> None:
    units = [f"conv-{at}" for at in range(2000)]

    def drawn(salt: str) -> set[str]:
        snapshot = compile_flags(FlagDocument(lora=500, salt=salt), 7)
        return {
            u
            for u in units
            if snapshot.resolve(Query("acme", None, u)).generator == "lora"
        }

    first, second = drawn("r1"), drawn("r2")
    assert len(first & second) < len(first) / 3


@settings(max_examples=150, deadline=None)
@given(lora=WEIGHTS, lora_pref=WEIGHTS, at=st.integers(0, 10_000))
def test_flagd_itself_splits_the_same_way(lora: int, lora_pref: int, at: int) -> None:
    parts: list[Any] = ["GENERATOR", "/", "r17", "/", {"var": "tenant"}, "/"]
    core = FlagdCore()
    core.set_flags(
        {
            "flags": {
                "GENERATOR": {
                    "state": "ENABLED",
                    "variants": {name: name for name in GENERATORS},
                    "defaultVariant": "base",
                    "targeting": {
                        "fractional": [
                            {"cat": [*parts, {"var": "targetingKey"}]},
                            ["lora", lora],
                            ["base", 10_000 - lora - lora_pref],
                            ["lora_pref", lora_pref],
                        ]
                    },
                }
            }
        }
    )
    context = EvaluationContext(f"conv-{at}", {"tenant": "acme"})
    theirs = core.resolve_string_value("GENERATOR", "none", context).value
    document = FlagDocument(lora=lora, lora_pref=lora_pref, salt="r17")
    assert resolve(document, 7, Query("acme", None, f"conv-{at}")).generator == theirs
