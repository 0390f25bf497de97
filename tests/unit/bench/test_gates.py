"""`bench.gates`: its sums over many runs are those of `routing.evidence`."""

from math import log

import numpy as np
import pytest

from bench.gates import NEVER, changed, crossed, longer, naive
from routing.evidence import Cusum, Trials, log_evidence, rate
from routing.gates import ALPHA_HARM

RNG = np.random.default_rng(7)
DRAWS = RNG.random((20, 600)) < 0.04


def test_evidence_crosses_when_the_production_code_says_so() -> None:
    odds = rate(0.01, "harm")
    for run, found in zip(DRAWS, crossed(odds, DRAWS, ALPHA_HARM), strict=True):
        hits, expected = 0, NEVER
        for at, hit in enumerate(run.tolist(), 1):
            hits += hit
            trials = Trials(odds, hits, at - hits)
            if log_evidence([trials]) >= -log(ALPHA_HARM):
                expected = at
                break
        assert found == expected


def test_a_change_is_detected_when_the_production_code_says_so() -> None:
    odds = rate(0.01, "change")
    for run, found in zip(DRAWS, changed(odds, DRAWS, 1_000.0), strict=True):
        detector, expected = Cusum(), NEVER
        for at, hit in enumerate(run.tolist(), 1):
            detector = detector.after(Trials(odds, hit, 1 - hit))
            if detector.log_evidence >= log(1_000.0):
                expected = at
                break
        assert found == expected


def test_the_naive_rule_looks_from_the_hundredth_on() -> None:
    draws = np.zeros((3, 300), dtype=np.bool_)
    draws[0, :3] = True
    draws[1, 200:204] = True
    assert naive(0.01, draws).tolist() == [101, 203, NEVER]


@pytest.mark.parametrize(("times", "expected"), [(2.0, 100), (0.5, NEVER)])
def test_more_tokens_are_noticed_and_fewer_are_not(times: float, expected: int) -> None:
    control = RNG.lognormal(4, 0.5, (2, 400))
    candidate = RNG.lognormal(4, 0.5, (2, 400)) * times
    assert longer(candidate, control, 1.0).tolist() == [expected] * 2
