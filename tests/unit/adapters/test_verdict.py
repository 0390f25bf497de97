"""The evals' verdict on an adapter's bytes: what is one, and what contradicts itself."""

import math
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from adapters.errors import ManifestError
from adapters.verdict import (
    MOST_GATES,
    EvalVerdict,
    GateResult,
    Word,
    decode,
    encode,
    lacking,
    overall,
)
from tests.verdicts import FAILED, PASSED, UNSURE, as_json, verdict

REF, DIGEST = "acme-test-lora@v1", "a" * 64
WORDS: tuple[Word, ...] = get_args(Word)
TOKENS = GateResult("tokens", "fail", "0.75 to 0.9 of the baseline", 300, 0.95, 0.94)


def read(found: EvalVerdict, **changes: Any) -> EvalVerdict:
    return decode(msgspec.json.encode(as_json(found) | changes), "here.json")


@given(st.sets(st.sampled_from((PASSED, FAILED, UNSURE, TOKENS)), min_size=1))
def test_what_is_written_is_read_back_as_it_was(gates: set[GateResult]) -> None:
    made = verdict(REF, DIGEST, *gates)
    assert decode(encode(made)) == made


@given(st.lists(st.sampled_from(WORDS)))
def test_all_come_to_a_pass_only_by_passes_and_to_a_failure_by_one(
    words: list[Word],
) -> None:
    found = overall(tuple(words))
    assert (found == "fail") is ("fail" in words)
    assert (found == "pass") is (bool(words) and set(words) == {"pass"})
    assert found in WORDS


def test_no_gates_prove_nothing() -> None:
    with pytest.raises(ManifestError, match="says pass, but its gates come to inconcl"):
        read(verdict(REF, DIGEST), gates=[])


@pytest.mark.parametrize("gate", [PASSED, FAILED, UNSURE])
@pytest.mark.parametrize("word", WORDS)
def test_a_verdict_that_contradicts_its_gates_is_refused(
    gate: GateResult, word: Word
) -> None:
    made = verdict(REF, DIGEST, gate, verdict=word)
    if word == gate.verdict:
        assert read(made) == made
        return
    said = rf"^here\.json: says {word}, but its gates come to {gate.verdict}$"
    with pytest.raises(ManifestError, match=said):
        read(made)


def test_a_gate_that_is_named_twice_is_refused() -> None:
    with pytest.raises(ManifestError, match="names the gate refusal twice"):
        read(verdict(REF, DIGEST, FAILED, PASSED, replace(PASSED, name="refusal")))


def test_a_gate_that_passes_on_nothing_is_refused() -> None:
    with pytest.raises(ManifestError, match="adherence passes with n = 0"):
        read(verdict(REF, DIGEST, replace(PASSED, n=0)))
    unsure = verdict(REF, DIGEST, replace(UNSURE, n=0, value=None, low=None))
    assert read(unsure) == unsure


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ref": "../climbing@v1"}, "ref"),
        ({"digest": "ab"}, "digest"),
        ({"base": "acme-test-lora@v1"}, "base"),
        ({"verdict": "splendid"}, "verdict"),
        ({"confidence": 1.0}, "confidence"),
        ({"samples": -1}, "samples"),
        ({"made": "2026-11-22T21:00:00"}, "made"),
        ({"schema_version": 2}, "schema_version"),
        ({"gates": [{"name": "adherence"}]}, r"gates\[0\]"),
        ({"command": "x" * 401}, "command"),
        ({"mood": "good"}, "mood"),
    ],
)
def test_what_is_no_verdict_is_refused_with_its_field(
    change: dict[str, Any], says: str
) -> None:
    with pytest.raises(ManifestError, match=says):
        read(verdict(REF, DIGEST), **change)


def test_a_verdict_is_bounded_in_size() -> None:
    many = [replace(PASSED, name=f"gate {number}") for number in range(MOST_GATES)]
    assert read(verdict(REF, DIGEST, *many)).verdict == "pass"
    with pytest.raises(ManifestError, match="gates"):
        read(verdict(REF, DIGEST, *many, PASSED))


@pytest.mark.parametrize("raw", [b"", b"\xff", b"[]", b"{", b"[" * 100_000])
def test_what_is_no_json_is_no_verdict(raw: bytes) -> None:
    with pytest.raises(ManifestError):
        decode(raw)


@pytest.mark.parametrize(
    "gate",
    [
        replace(PASSED, value=math.nan),
        replace(PASSED, high=math.inf),
        replace(PASSED, says="x" * 401),
        replace(PASSED, n=-1),
    ],
)
def test_what_could_not_be_read_back_is_not_written(gate: GateResult) -> None:
    with pytest.raises(ManifestError):
        encode(verdict(REF, DIGEST, gate))


def test_figures_are_written_as_the_demand_writes_its_own() -> None:
    assert (FAILED.seen, FAILED.bounds) == ("81 %", "[78.3 %, 83.5 %]")
    assert (TOKENS.seen, TOKENS.bounds) == ("0.95", "[0.94, …]")
    nothing = replace(UNSURE, value=None, low=None)
    assert (nothing.seen, nothing.bounds) == ("nothing", "")
    assert replace(FAILED, value=0.9896).seen == "98.96 %"


def test_what_did_not_pass_is_named_with_its_figures_failures_first() -> None:
    assert lacking(verdict(REF, DIGEST, UNSURE, PASSED, FAILED, TOKENS)) == (
        "refusal: 81 % of at least 99 %, n = 650",
        "tokens: 0.95 of 0.75 to 0.9 of the baseline, n = 300",
        "citation inconclusive: 97.5 % of at least 95 %, n = 40",
    )
    assert lacking(verdict(REF, DIGEST)) == ()
