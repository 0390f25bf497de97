"""Hypothesis strategies for flag documents and what is asked of them."""

from typing import Final

from hypothesis import strategies as st

from routing.decision import Query
from routing.flags import FlagDocument
from routing.rules import GENERATORS, Kill, RolloutRule, SurfaceRule, Target

TENANTS: Final = ("acme", "globex", "ü")
SURFACES: Final = ("assist", "email")
WEIGHTS: Final = st.integers(0, 5000)
VARIANTS: Final = st.sampled_from(GENERATORS)
RULES: Final = st.one_of(
    st.builds(SurfaceRule, variant=VARIANTS),
    st.builds(SurfaceRule, lora=WEIGHTS, lora_pref=st.none() | WEIGHTS),
)
KILLS: Final = st.one_of(
    st.just(Kill("global")),
    st.builds(Kill, st.just("tenant"), st.sampled_from(TENANTS)),
    st.builds(Kill, st.just("surface"), st.sampled_from(SURFACES)),
    st.builds(Kill, st.just("variant"), st.sampled_from(GENERATORS[1:])),
)
TARGETS: Final = st.one_of(
    st.just(Target()),
    st.builds(
        Target, st.sampled_from(GENERATORS[1:]), st.sampled_from(["a@v1", "a@v2"])
    ),
)
ROLLOUTS: Final = st.builds(
    RolloutRule,
    id=st.sampled_from(["ro-1", "ro-2", "ro-3"]),
    candidate=TARGETS.filter(lambda target: target.model is not None),
    control=TARGETS,
    tenants=st.frozensets(st.sampled_from(TENANTS)),
    surfaces=st.frozensets(st.sampled_from(SURFACES)),
    weight=st.integers(0, 10_000) | st.just(10_000),
    stage=st.integers(0, 5),
).filter(lambda rule: rule.candidate != rule.control)
DOCUMENTS: Final = st.builds(
    FlagDocument,
    default=VARIANTS,
    lora=WEIGHTS,
    lora_pref=WEIGHTS,
    salt=st.sampled_from(["r1", "r17", "ü"]),
    overrides=st.dictionaries(st.sampled_from(TENANTS), VARIANTS),
    surfaces=st.dictionaries(st.sampled_from(SURFACES), RULES),
    kills=st.lists(KILLS, unique=True, max_size=3).map(tuple),
    rollouts=st.lists(ROLLOUTS, unique_by=lambda rule: rule.id, max_size=3).map(tuple),
)
QUERIES: Final = st.builds(
    Query,
    tenant=st.sampled_from(TENANTS),
    surface=st.none() | st.sampled_from(SURFACES),
    unit=st.none() | st.integers(0, 500).map("conv-{}".format),
)
