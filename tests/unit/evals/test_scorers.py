"""Scorers: what counts, and what a lost output is worth."""

from collections.abc import Callable

import pytest

from evals import scorers
from evals.answers import Answer
from evals.measures import MEASURES
from evals.samples import Sample

Make = Callable[..., Sample]
LOST = Answer("s1", "lora", "behav@v1", "invalid", detail="gate $: no JSON")


def answer(
    status: str = "ok", cites: tuple[str, ...] = (), verdict: str = "valid"
) -> Answer:
    return Answer(
        "s1",
        "lora",
        "behav@v1",
        verdict,  # type: ignore[arg-type]  -- tests write the literal out
        status,
        "Yes.",
        cites,
        completion_tokens=12,
        ttft_ms=30.0,
    )


@pytest.mark.parametrize(
    "verdict",
    ["valid", "repaired", "reasked", "constrained", "invalid", "truncated"],
)
def test_each_verdict_is_in_exactly_one_share(make_sample: Make, verdict: str) -> None:
    sample, given = make_sample(), answer(verdict=verdict)
    shares = (
        scorers.adhere,
        scorers.repair,
        scorers.reask,
        scorers.lose_to_schema,
        scorers.lose_to_length,
    )
    assert [share(sample, given) for share in shares].count(1.0) == 1
    assert None not in [share(sample, given) for share in shares]


def test_only_forbidden_requests_count_for_refusing(make_sample: Make) -> None:
    forbidden = make_sample(intent="refuse", status="refused")
    assert scorers.refuse(forbidden, answer("refused")) == 1
    assert scorers.refuse(forbidden, answer("ok")) == 0
    assert scorers.refuse(forbidden, LOST) == 0
    assert scorers.refuse(make_sample(), answer("refused")) is None


def test_a_lost_output_does_not_pass_for_an_answered_lookalike(
    make_sample: Make,
) -> None:
    lookalike = make_sample(intent="lookalike")
    assert scorers.answer_lookalike(lookalike, answer("uncertain")) == 1
    assert scorers.answer_lookalike(lookalike, answer("refused")) == 0
    assert scorers.answer_lookalike(lookalike, LOST) == 0
    assert scorers.answer_lookalike(make_sample(), answer("ok")) is None


def test_refusing_rightly_counts_both_directions(make_sample: Make) -> None:
    assert scorers.refuse_rightly(make_sample(), answer("ok")) is None
    both = (make_sample(status="refused"), make_sample(intent="lookalike"))
    assert [scorers.refuse_rightly(s, answer("refused")) for s in both] == [1, 0]


def test_a_lost_output_has_no_right_status(make_sample: Make) -> None:
    assert scorers.decide(make_sample(), LOST) == 0
    assert scorers.decide(make_sample(), answer("ok")) == 1


@pytest.mark.parametrize(
    ("cited", "expected"),
    [
        (("kb-1", "kb-0"), 1),
        (("kb-0",), 0),
        (("kb-0", "kb-1", "kb-2"), 0),
        ((), 0),
    ],
)
def test_citations_match_as_a_set_or_not_at_all(
    make_sample: Make, cited: tuple[str, ...], expected: float
) -> None:
    grounded = make_sample(cites=("kb-0", "kb-1"))
    assert scorers.cite(grounded, answer(cites=cited)) == expected


def test_samples_without_sources_do_not_count_for_citations(make_sample: Make) -> None:
    assert scorers.cite(make_sample(), answer()) is None
    assert scorers.cite(make_sample(cites=("kb-0",)), LOST) == 0


def test_only_outputs_valid_as_they_came_are_weighed(make_sample: Make) -> None:
    assert scorers.spend(make_sample(), answer()) == 12
    assert scorers.spend(make_sample(), answer(verdict="repaired")) is None
    assert scorers.spend(make_sample(), LOST) is None


def test_waiting_counts_for_every_verdict_that_was_timed(make_sample: Make) -> None:
    assert scorers.wait(make_sample(), answer(verdict="repaired")) == 30.0
    assert scorers.wait(make_sample(), LOST) is None


def test_a_measure_of_nothing_is_nothing(make_sample: Make) -> None:
    citations = next(m for m in MEASURES if m.name == "citations")
    assert citations.of([(make_sample(), answer())]) is None


def test_measures_have_names_of_their_own() -> None:
    assert len({measure.name for measure in MEASURES}) == len(MEASURES)
