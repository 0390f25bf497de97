"""`routing.gates`: what each gate looks at, and when it says what."""

from collections.abc import Sequence

import pytest

from routing.evidence import Cusum, Trials, rate
from routing.gates import GATES, Gate, Measure, Seen, read, split
from routing.tally import Count, Moments, Stage, Tally

BY_NAME = {gate.measure: gate for gate in GATES}
RATES: Sequence[Measure] = ("adherence", "repairs", "citations")
PROBED: Sequence[Measure] = ("refusals", "accuracy")


def seen(candidate: Tally, control: Tally = Tally(), part: float = 0.5) -> Seen:  # noqa: B008 -- frozen
    return Seen(part, Stage(candidate, control), edge=10)


def counted(measure: Measure, failures: int, successes: int) -> Tally:
    count = Count(failures, successes)
    return Tally(
        errors=count if measure == "errors" else Count(),
        adherence=count if measure == "adherence" else Count(),
        repairs=count if measure == "repairs" else Count(),
        citations=count if measure == "citations" else Count(),
        refusals=count if measure == "refusals" else Count(),
        accuracy=count if measure == "accuracy" else Count(),
    )


@pytest.mark.parametrize("measure", RATES)
def test_a_rate_far_above_its_bound_fails_and_far_below_passes(
    measure: Measure,
) -> None:
    gate = BY_NAME[measure]
    assert read(gate, [seen(counted(measure, 30, 170))]).verdict == "fail"
    assert read(gate, [seen(counted(measure, 1, 999))]).verdict == "pass"
    assert read(gate, [seen(counted(measure, 1, 60))]).verdict == "inconclusive"


@pytest.mark.parametrize("measure", PROBED)
def test_probes_alone_count_for_what_only_they_can_show(measure: Measure) -> None:
    gate = BY_NAME[measure]
    bad = counted(measure, 40, 40)
    assert (
        read(gate, [Seen(0.5, Stage(candidate=bad, control=bad))]).missing == "probes"
    )
    assert read(gate, [Seen(0.5, Stage(probes=bad))]).verdict == "fail"


def test_errors_that_the_control_has_as_well_are_no_harm() -> None:
    gate, outage = BY_NAME["errors"], counted("errors", 60, 140)
    assert read(gate, [seen(outage, outage)]).verdict == "inconclusive"
    assert read(gate, [seen(outage, counted("errors", 1, 199))]).verdict == "fail"


def test_a_candidate_without_errors_is_good_even_if_the_control_has_none() -> None:
    fine = counted("errors", 0, 800)
    assert read(BY_NAME["errors"], [seen(fine, fine)]).verdict == "pass"


def timed(fast: int, slow: int) -> Tally:
    return Tally(ttft=(0, fast) + (0,) * 20 + (slow,) + (0,) * 34)


def test_the_first_token_is_compared_with_the_controls_of_the_same_time() -> None:
    gate = BY_NAME["ttft"]
    worse = read(gate, [seen(timed(600, 120), timed(700, 35))])
    assert (worse.verdict, worse.candidate) == ("fail", Count(120, 600))
    both = read(gate, [seen(timed(600, 120), timed(600, 120))])
    assert both.verdict != "fail"


def test_without_a_p95_from_before_the_first_token_says_nothing() -> None:
    blind = Seen(0.5, Stage(timed(1, 500), timed(500, 1)), edge=None)
    found = read(BY_NAME["ttft"], [blind])
    assert (found.verdict, found.candidate) == ("inconclusive", Count())
    assert "p95" in found.missing


def spoken(n: int, mean: int) -> Tally:
    return Tally(tokens=Moments(n, n * mean, n * (mean * mean + 400)))


@pytest.mark.parametrize(
    ("mean", "verdict"),
    [
        (82, "pass"),
        (140, "fail"),
        (95, "inconclusive"),
        (40, "fail"),
        (70, "inconclusive"),
    ],
)
def test_tokens_pass_between_ten_and_twenty_five_per_cent_fewer(
    mean: int, verdict: str
) -> None:
    found = read(BY_NAME["tokens"], [seen(spoken(3_000, mean), spoken(3_000, 100))])
    assert found.verdict == verdict
    assert found.estimate == pytest.approx(mean / 100)


def test_without_valid_answers_of_the_control_tokens_say_what_is_missing() -> None:
    found = read(BY_NAME["tokens"], [seen(spoken(500, 80), Tally())])
    assert found.verdict == "inconclusive"
    assert "valid answers of each arm" in found.missing


def test_evidence_is_carried_over_from_stage_to_stage() -> None:
    gate, some = BY_NAME["adherence"], counted("adherence", 0, 100)
    assert read(gate, [seen(some)]).verdict == "inconclusive"
    assert read(
        gate, [seen(some, part=part) for part in (0.05, 0.25, 0.5)]
    ).verdict == ("pass")


def test_a_change_for_the_worse_fails_what_had_passed() -> None:
    odds = rate(0.01, "change")
    late = Cusum().after(Trials(odds, 0, 3_000)).after(Trials(odds, 20, 100))
    found = read(BY_NAME["adherence"], [seen(counted("adherence", 20, 3_100))], late)
    assert found.verdict == "fail"
    assert found.good > 2


def test_units_split_as_they_should_be_are_no_evidence_and_others_are() -> None:
    def given(candidate: int, control: int, part: float) -> Seen:
        return seen(Tally(assigned=candidate), Tally(assigned=control), part)

    assert split([given(100, 1_900, 0.05)]) < 0
    assert split([given(200, 1_800, 0.05)]) > 3
    assert split([given(5, 1_995, 0.05)]) > 3
    assert split([given(500, 0, 1.0)]) == 0


def test_a_slow_arm_whose_outcomes_are_late_is_no_wrong_split() -> None:
    fast = Tally(units=500, assigned=510)
    slow = Tally(units=100, assigned=490)
    assert split([seen(fast, slow, 0.5)]) < 0


def test_a_bound_can_be_loosened() -> None:
    loose = Gate("adherence", harm=0.2, good=0.3)
    assert read(loose, [seen(counted("adherence", 10, 90))]).verdict == "pass"
