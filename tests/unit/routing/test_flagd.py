"""`routing.flagd`: flagd decides an export as we decide the document."""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import (  # pyright: ignore[reportMissingTypeStubs]  # has none
    EvaluationContext,
)

from routing.decision import Query
from routing.errors import FlagError
from routing.flagd import exported, imported
from routing.flags import FlagDocument
from routing.resolve import compile_flags
from routing.rules import Kill, RolloutRule, SurfaceRule, Target
from tests.unit.routing.making import DOCUMENTS, QUERIES

KEYS = 100_000


class Flagd:
    """flagd's own evaluation of an export."""

    def __init__(self, document: FlagDocument) -> None:
        self._core = FlagdCore()
        self._core.set_flags(exported(document, 7))

    def value(self, query: Query) -> str:
        given: dict[str, Any] = {"tenant": query.tenant}
        if query.surface is not None:
            given["surface"] = query.surface
        context = EvaluationContext(query.unit, given)
        return self._core.resolve_string_value("GENERATOR", "none", context).value


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS, QUERIES)
def test_flagd_decides_an_export_as_we_decide_the_document(
    document: FlagDocument, query: Query
) -> None:
    ours = compile_flags(document, 7).resolve(query).generator
    assert Flagd(document).value(query) == ours


def test_a_hundred_thousand_units_get_from_flagd_what_they_get_from_us() -> None:
    document = FlagDocument(
        lora=500,
        lora_pref=2_500,
        salt="r17",
        surfaces={"email": SurfaceRule(lora=4_000)},
        rollouts=(
            RolloutRule(
                "ro-1",
                Target("lora", "a@v1"),
                tenants=frozenset({"globex"}),
                weight=3_000,
            ),
        ),
        kills=(Kill("tenant", "gone"),),
    )
    flagd, ours = Flagd(document), compile_flags(document, 7)
    tenants, surfaces = ("acme", "globex", "ü", "gone"), ("assist", "email", None)
    for number in range(KEYS):
        digest = hashlib.sha256(number.to_bytes(8)).digest()
        tenant, surface = tenants[digest[0] % 4], surfaces[digest[1] % 3]
        query = Query(tenant, surface, f"会-{digest.hex()}")
        assert flagd.value(query) == ours.resolve(query).generator


@given(DOCUMENTS)
def test_an_export_can_be_imported_again(document: FlagDocument) -> None:
    assert imported(json.dumps(exported(document, 3)).encode()) == document


def test_rules_that_were_edited_by_hand_are_refused() -> None:
    whole = exported(FlagDocument(lora=500), 3)
    whole["flags"]["GENERATOR"]["targeting"]["if"][1]["if"][1]["fractional"][1][1] = 600
    with pytest.raises(FlagError, match=r"flags\.GENERATOR\.targeting: is not what"):
        imported(json.dumps(whole).encode())


@pytest.mark.parametrize("data", ["[]", "{}", '{"flags": {"GENERATOR": {}}}', "{", "7"])
def test_what_is_no_export_is_refused(data: str) -> None:
    with pytest.raises(FlagError):
        imported(data.encode())
