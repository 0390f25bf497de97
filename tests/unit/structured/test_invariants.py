"""What holds for every text: the promises of the design, as properties.

A corrupted text has four outcomes: exact, a typed refusal, wrong but flagged (another
value, its repairs listed) and silently wrong (another value, no repair listed). The
last must not exist.
"""

from typing import cast

import pytest
from hypothesis import assume, given, settings, strategies as st

from structured.check import check
from structured.closing import openers
from structured.outcome import Accepted, Rejected
from structured.schema import Schema, compile_schema
from tests.unit.structured.cases import (
    CORRUPTIONS,
    IDS,
    LOSES_QUOTES,
    ONE_READING,
    Case,
    cases,
)

KNOWN = frozenset(IDS)
RELAXED = settings(deadline=None)
NIGHTLY = settings.default is not None and settings.default.max_examples > 1_000


def few(examples: int, *, shares: int = 1) -> settings:
    """So many examples by day; by night the profile's, shared between parameters."""
    if not NIGHTLY or settings.default is None:
        return settings(deadline=None, max_examples=examples)
    return settings(deadline=None, max_examples=settings.default.max_examples // shares)


AT = st.integers(0, 500)


def run(raw: bytes, schema: Schema, reason: str = "stop") -> Accepted | Rejected:
    return check(raw, schema, context_ids=None, finish_reason=reason, repair=True)


def judge(case: Case, raw: bytes, outcome: Accepted | Rejected) -> str:
    if isinstance(outcome, Rejected):
        return "refused"
    if repr(outcome.value) == repr(case.value):
        return "exact"
    if outcome.raw == raw and not outcome.repairs:
        return "another valid text"  # `12` cut to `1`: nothing was there to see
    return "flagged" if outcome.repairs else "silently wrong"


@RELAXED
@given(cases(), st.sampled_from(["", " ", "\n\t"]))
def test_valid_bytes_are_untouched(case: Case, space: str) -> None:
    raw = (space + case.text + space).encode()
    outcome = run(raw, case.schema)
    assert isinstance(outcome, Accepted)
    assert (outcome.raw, outcome.repairs) == (raw, ())
    assert repr(outcome.value) == repr(case.value)


@RELAXED
@given(cases(), AT)
def test_a_cut_text_never_yields_a_success(case: Case, at: int) -> None:
    raw = case.text.encode()
    outcome = run(raw[: at % (len(raw) + 1)], case.schema, "length")
    assert isinstance(outcome, Rejected)
    assert (outcome.stage, outcome.code) == ("gate", "truncated")


@few(30)
@given(cases())
def test_a_prefix_that_claims_to_be_complete_is_refused_or_whole(case: Case) -> None:
    raw = case.text.encode()
    # a number's prefix is a number: no text can tell, and no repair is involved
    assume(raw[:1] in (b"{", b"[", b'"'))
    for length in range(len(raw)):
        cut = raw[:length]
        assert judge(case, cut, run(cut, case.schema)) in ("refused", "exact")


@pytest.mark.parametrize("name", CORRUPTIONS)
@few(25, shares=len(CORRUPTIONS))
@given(case=cases(), at=AT)
def test_no_corruption_is_silently_wrong(name: str, case: Case, at: int) -> None:
    raw = CORRUPTIONS[name](case.text.encode(), at)
    outcome = judge(case, raw, run(raw, case.schema))
    assert outcome != "silently wrong"
    if name not in LOSES_QUOTES:
        assert outcome != "flagged"


@pytest.mark.parametrize("name", ONE_READING)
@RELAXED
@given(case=cases(), at=AT)
def test_a_text_with_one_reading_comes_back_exactly(
    name: str, case: Case, at: int
) -> None:
    assume(case.text.startswith("{") and openers(case.schema.document) == "{")
    assume(case.value != {})
    raw = ONE_READING[name](case.text.encode(), at)
    assert judge(case, raw, run(raw, case.schema)) == "exact"


@pytest.mark.parametrize("name", CORRUPTIONS)
@few(15, shares=len(CORRUPTIONS))
@given(case=cases(), at=AT)
def test_what_was_repaired_is_valid_and_stays_as_it_is(
    name: str, case: Case, at: int
) -> None:
    outcome = run(CORRUPTIONS[name](case.text.encode(), at), case.schema)
    if isinstance(outcome, Accepted):
        again = run(outcome.raw, case.schema)
        assert again == Accepted(outcome.raw, outcome.value, ())


@RELAXED
@given(
    case=cases(citing=True),
    name=st.sampled_from(sorted(CORRUPTIONS)),
    at=AT,
    context=st.frozensets(st.sampled_from(IDS)),
)
def test_citations_come_from_the_text_and_from_the_context(
    case: Case, name: str, at: int, context: frozenset[str]
) -> None:
    given_ids = cast("dict[str, list[str]]", case.value)["citations"]
    raw = CORRUPTIONS[name](case.text.encode(), at)
    outcome = check(
        raw, case.schema, context_ids=context, finish_reason="stop", repair=True
    )
    if isinstance(outcome, Accepted):
        cited = cast("dict[str, list[str]]", outcome.value)["citations"]
        assert set(cited) <= set(given_ids) & context


@RELAXED
@given(cases(), st.text(max_size=30), st.text(max_size=30))
def test_any_text_around_changes_nothing_or_is_refused(
    case: Case, before: str, after: str
) -> None:
    assume(case.text[:1] in ("{", "["))
    raw = (before + case.text + after).encode(errors="surrogatepass")
    outcome = judge(case, raw, run(raw, case.schema))
    assert outcome not in ("silently wrong", "flagged")


@few(100)
@given(
    st.text(st.sampled_from("{}[]:,\"'“”‘’\\ \n\0abTrue1-.e`/"), max_size=60),  # noqa: RUF001 (typographic quotes are the subject)
    st.sampled_from([b'{"type":"object"}', b"true", b'{"type":"array"}']),
)
def test_any_text_has_an_outcome(text: str, source: bytes) -> None:
    schema = compile_schema(source, name="any")
    outcome = run(text.encode(), schema)
    assert isinstance(outcome, Accepted | Rejected)
