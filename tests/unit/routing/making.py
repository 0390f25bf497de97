"""Hypothesis strategies for flag documents and what is asked of them."""

from typing import Final

from hypothesis import strategies as st

from routing.flags import GENERATORS, FlagDocument, Kill, SurfaceRule
from routing.resolve import Query

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
DOCUMENTS: Final = st.builds(
    FlagDocument,
    default=VARIANTS,
    lora=WEIGHTS,
    lora_pref=WEIGHTS,
    salt=st.sampled_from(["r1", "r17", "ü"]),
    overrides=st.dictionaries(st.sampled_from(TENANTS), VARIANTS),
    surfaces=st.dictionaries(st.sampled_from(SURFACES), RULES),
    kills=st.lists(KILLS, unique=True, max_size=3).map(tuple),
)
QUERIES: Final = st.builds(
    Query,
    tenant=st.sampled_from(TENANTS),
    surface=st.none() | st.sampled_from(SURFACES),
    unit=st.none() | st.integers(0, 500).map("conv-{}".format),
)
