"""Bounds on a share whose samples share documents."""

import math
from random import Random  # noqa: TID251 - simulates data; nobody is bucketed by it

import pytest
from hypothesis import given, strategies as st

from evals import clustered, statistics
from evals.clustered import Documents

SHARES = st.lists(st.floats(0, 1), min_size=1, max_size=40)


def several(means: list[float]) -> Documents:
    return Documents(tuple(means), single=False)


def test_one_sample_a_document_is_a_binomial_rate() -> None:
    documents = clustered.grouped((f"d{i}", float(i > 1)) for i in range(473))
    assert documents.single
    assert clustered.lower(documents, 0.95) == statistics.lower(471, 473)
    assert clustered.upper(documents, 0.95) == statistics.upper(471, 473)


def test_documents_weigh_alike_whatever_their_size() -> None:
    scores = [("long", 1.0)] * 9 + [("short", 0.0)]
    documents = clustered.grouped(scores)
    assert documents.n == 2
    assert documents.share == 0.5


def test_copies_of_a_sample_prove_nothing() -> None:
    """Fifty times the same document is one document: its bound stays where it was."""
    once = clustered.grouped([("d1", 1.0), ("d1", 1.0)])
    often = clustered.grouped([("d1", 1.0)] * 50)
    assert clustered.lower(often, 0.95) == clustered.lower(once, 0.95) < 0.1


@given(SHARES, st.sampled_from([0.9, 0.95, 0.99]))
def test_the_estimate_lies_between_its_bounds(
    means: list[float], confidence: float
) -> None:
    documents = several(means)
    low = clustered.lower(documents, confidence)
    high = clustered.upper(documents, confidence)
    assert -1e-9 <= low <= documents.share + 1e-9
    assert documents.share - 1e-9 <= high <= 1 + 1e-9


@given(SHARES, st.floats(0.05, 0.95))
def test_a_bound_excludes_what_its_p_value_rules_out(
    means: list[float], share: float
) -> None:
    documents = several(means)
    low = clustered.lower(documents, 0.95)
    if abs(low - share) > 1e-6:
        assert (clustered.against(documents, share) < 0.05) == (low > share)


@given(SHARES, st.randoms())
def test_the_order_of_the_documents_does_not_matter(
    means: list[float], rng: Random
) -> None:
    other = list(means)
    rng.shuffle(other)
    one, two = several(means), several(other)
    assert math.isclose(
        clustered.against(one, 0.5), clustered.against(two, 0.5), rel_tol=1e-6
    )


def test_more_confidence_is_a_lower_bound() -> None:
    documents = several([1.0] * 30 + [0.5] * 10)
    assert clustered.lower(documents, 0.99) < clustered.lower(documents, 0.9)


@pytest.mark.parametrize("together", [0.0, 0.5, 1.0])
def test_a_lower_bound_holds_the_truth_on_clustered_data(together: float) -> None:
    # 300 sets of 40 documents of 5; at 95 % more than 27 misses are one in a thousand.
    rng = Random(f"clustered/{together}")  # noqa: S311 -- a simulation
    misses = 0
    for _ in range(300):
        scores: list[tuple[str, float]] = []
        for i in range(40):
            own = 0.9
            if together == 1:
                own = float(rng.random() < own)
            elif together:
                own = rng.betavariate(0.9, 0.1)
            scores += [(str(i), float(rng.random() < own)) for _ in range(5)]
        misses += clustered.against(clustered.grouped(scores), 0.9) <= 0.05
    assert misses <= 27


@pytest.mark.parametrize("scores", [[], [("d1", 1.5)]])
def test_what_is_no_share_is_refused(scores: list[tuple[str, float]]) -> None:
    with pytest.raises(ValueError, match=r"is right|at least one"):
        clustered.grouped(scores)
