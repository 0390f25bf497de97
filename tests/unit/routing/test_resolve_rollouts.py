"""`routing.resolve`: who is in a rollout, as what, and what the stale get."""

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from routing.decision import Membership, Query
from routing.errors import FlagError
from routing.flags import FlagDocument, with_kill, with_rollout, without_rollouts
from routing.resolve import compile_flags, resolve
from routing.rules import Kill, RolloutRule, SurfaceRule, Target
from tests.unit.routing.making import DOCUMENTS, QUERIES

V1, V2 = Target("lora", "acme@v1"), Target("lora", "acme@v2")
CANARY = RolloutRule("ro-1", V1, tenants=frozenset({"acme"}), weight=2_000, stage=1)
UNITS = [f"conv-{at}" for at in range(2_000)]


def models(document: FlagDocument, *, stale: bool = False) -> list[str | None]:
    snapshot = compile_flags(document, 7)
    return [snapshot.resolve(Query("acme", None, u), stale=stale).model for u in UNITS]


def test_a_unit_of_the_scope_is_on_one_side_and_its_outcome_counts_there() -> None:
    document = FlagDocument(rollouts=(CANARY,))
    sides = {
        decision.member: (decision.generator, decision.model)
        for decision in (resolve(document, 7, Query("acme", None, u)) for u in UNITS)
    }
    assert sides == {
        Membership("ro-1", 1, "candidate"): ("lora", "acme@v1"),
        Membership("ro-1", 1, "control"): ("base", None),
    }
    found = models(document).count("acme@v1") / len(UNITS)
    assert found == pytest.approx(0.2, abs=0.03)


def test_another_tenant_goes_by_the_rest_of_the_document() -> None:
    document = FlagDocument(default="lora_pref", rollouts=(CANARY,))
    decision = resolve(document, 7, Query("globex", None, "conv-1"))
    assert (decision.generator, decision.member) == ("lora_pref", None)


def test_a_rollout_goes_before_surface_rules_and_percentages() -> None:
    document = FlagDocument(
        lora_pref=10_000,
        surfaces={"email": SurfaceRule(variant="lora_pref")},
        rollouts=(CANARY,),
    )
    for surface in (None, "email"):
        decision = resolve(document, 7, Query("acme", surface, "conv-1"))
        assert decision.rule == "rollout"
        assert decision.generator != "lora_pref"


def test_overrides_and_kills_go_before_a_rollout_and_count_for_none() -> None:
    whole = msgspec.structs.replace(CANARY, weight=9_999)
    pinned = FlagDocument(overrides={"acme": "lora_pref"}, rollouts=(whole,))
    killed = with_kill(FlagDocument(rollouts=(whole,)), Kill("variant", "lora"))
    for document, expected in ((pinned, "lora_pref"), (killed, "base")):
        decision = resolve(document, 7, Query("acme", None, "conv-1"))
        assert (decision.generator, decision.model, decision.member) == (
            expected,
            None,
            None,
        )


def test_a_promoted_rollout_is_what_its_scope_gets_unit_or_not() -> None:
    document = FlagDocument(rollouts=(msgspec.structs.replace(CANARY, weight=10_000),))
    for unit in (None, "conv-1"):
        decision = resolve(document, 7, Query("acme", None, unit))
        assert (decision.model, decision.reason) == ("acme@v1", "TARGETING_MATCH")
        assert decision.member is None


def test_of_two_rollouts_the_newer_counts_and_its_end_gives_the_older_back() -> None:
    promoted = msgspec.structs.replace(CANARY, weight=10_000)
    newer = RolloutRule("ro-2", V2, V1, weight=5_000)
    document = FlagDocument(rollouts=(promoted, newer))
    assert set(models(document)) == {"acme@v1", "acme@v2"}
    assert set(models(without_rollouts(document, {"ro-2"}))) == {"acme@v1"}


def test_a_request_without_a_unit_gets_the_control_and_says_so() -> None:
    decision = resolve(FlagDocument(rollouts=(CANARY,)), 7, Query("acme"))
    assert (decision.generator, decision.rule, decision.member) == (
        "base",
        "unit_missing",
        None,
    )


def test_the_stale_serve_no_canary_but_what_is_promoted() -> None:
    promoted = RolloutRule("ro-0", V1, weight=10_000)
    newer = RolloutRule("ro-2", V2, V1, weight=5_000)
    assert set(models(FlagDocument(rollouts=(promoted, newer)), stale=True)) == {
        "acme@v1"
    }
    percent = compile_flags(FlagDocument(lora=9_999), 7)
    decision = percent.resolve(Query("acme", None, "conv-1"), stale=True)
    assert (decision.generator, decision.reason) == ("base", "STALE")


@settings(deadline=None)
@given(DOCUMENTS, QUERIES)
def test_no_stale_decision_is_a_draw(document: FlagDocument, query: Query) -> None:
    decision = compile_flags(document, 7).resolve(query, stale=True)
    assert decision.bucket is None
    assert decision.reason != "SPLIT"
    assert decision.member is None


@settings(deadline=None)
@given(st.integers(0, 9_999), st.integers(0, 9_999), st.integers(0, 500))
def test_a_unit_that_got_the_candidate_keeps_it_while_the_weight_grows(
    one: int, other: int, at: int
) -> None:
    low, high = sorted((one, other))
    query = Query("acme", None, f"conv-{at}")
    before, after = (
        resolve(
            FlagDocument(rollouts=(msgspec.structs.replace(CANARY, weight=w),)),
            7,
            query,
        )
        for w in (low, high)
    )
    if before.model == "acme@v1":
        assert after.model == "acme@v1"


def test_the_text_of_a_decision_names_the_rollout() -> None:
    decision = resolve(FlagDocument(rollouts=(CANARY,)), 7, Query("acme", None, "c"))
    assert decision.text.startswith("SPLIT; rule=rollout; rollout=ro-1; bucket=")


def test_scopes_overlap_where_some_request_is_in_both() -> None:
    def scope(tenants: set[str], surfaces: set[str]) -> RolloutRule:
        return RolloutRule("r", V1, Target(), frozenset(tenants), frozenset(surfaces))

    assert scope({"a"}, set()).overlaps(scope(set(), {"email"}))
    assert scope({"a", "b"}, {"email"}).overlaps(scope({"b"}, {"email", "chat"}))
    assert not scope({"a"}, {"email"}).overlaps(scope({"b"}, {"email"}))
    assert not scope({"a"}, {"email"}).overlaps(scope({"a"}, {"chat"}))


def test_a_rollout_is_replaced_by_its_id() -> None:
    document = with_rollout(FlagDocument(), CANARY)
    more = msgspec.structs.replace(CANARY, weight=5_000)
    assert with_rollout(document, more).rollouts == (more,)


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        (RolloutRule("", V1), "id"),
        (RolloutRule("r/1", V1), "id"),
        (RolloutRule("r", V1, weight=10_001), "weight"),
        (RolloutRule("r", V1, tenants=frozenset({"a/b"})), "tenants"),
        (RolloutRule("r", V1, surfaces=frozenset({""})), "surfaces"),
        (RolloutRule("r", Target("lora")), "candidate.model"),
        (RolloutRule("r", V1, Target("base", "x@v1")), "control.model"),
        (RolloutRule("r", Target(), V1), "candidate.generator"),
        (RolloutRule("r", V1, V1), "candidate"),
    ],
)
def test_a_rollout_that_cannot_be_is_refused_with_its_path(
    rule: RolloutRule, path: str
) -> None:
    with pytest.raises(FlagError) as caught:
        FlagDocument(rollouts=(rule,))
    assert caught.value.path == f"rollouts[0].{path}"


def test_two_rollouts_have_two_ids() -> None:
    with pytest.raises(FlagError, match=r"rollouts\[1\].id"):
        FlagDocument(rollouts=(CANARY, CANARY))
