"""The JSONTestSuite parsing corpus: what must be refused is never adherent."""

import pytest

from structured.check import check
from structured.outcome import Accepted, Rejected
from structured.schema import compile_schema
from tests.conformance.suites import parsing_texts

AMBIGUOUS = {
    "y_object_duplicated_key.json",
    "y_object_duplicated_key_and_value.json",
}
"""JSON by its grammar, but RFC 8259 leaves open which of two members with one name
counts, and parsers differ: the client might read another status than was checked. They
are refused, as `duplicate_key`."""

ANYTHING = compile_schema(b"true", name="anything")


@pytest.fixture(scope="module")
def texts() -> dict[str, bytes]:
    return parsing_texts()


def checked(raw: bytes, *, repair: bool) -> Accepted | Rejected:
    return check(raw, ANYTHING, context_ids=None, finish_reason="stop", repair=repair)


def test_the_corpus_is_the_whole_corpus(texts: dict[str, bytes]) -> None:
    kinds = [
        sum(name.startswith(kind) for name in texts) for kind in ("y_", "n_", "i_")
    ]
    assert kinds == [95, 188, 35]


def test_what_must_be_refused_is_refused(texts: dict[str, bytes]) -> None:
    taken = [
        name
        for name, raw in texts.items()
        if name.startswith("n_") and isinstance(checked(raw, repair=False), Accepted)
    ]
    assert taken == []


def test_what_must_be_refused_is_never_adherent_where_it_is_repaired(
    texts: dict[str, bytes],
) -> None:
    outcomes = {
        name: checked(raw, repair=True)
        for name, raw in texts.items()
        if name.startswith("n_")
    }
    taken = {k: one for k, one in outcomes.items() if isinstance(one, Accepted)}
    assert [name for name, one in taken.items() if not one.repairs] == []
    assert taken, "a trailing comma is mended, so something has to be here"


@pytest.mark.parametrize("repair", [False, True])
def test_what_must_be_taken_is_taken_untouched(
    texts: dict[str, bytes], *, repair: bool
) -> None:
    for name, raw in texts.items():
        if name.startswith("y_") and name not in AMBIGUOUS:
            outcome = checked(raw, repair=repair)
            assert isinstance(outcome, Accepted), name
            assert (outcome.raw, outcome.repairs) == (raw, ()), name


def test_two_members_of_one_name_are_refused_by_policy(
    texts: dict[str, bytes],
) -> None:
    for name in AMBIGUOUS:
        outcome = checked(texts[name], repair=True)
        assert isinstance(outcome, Rejected)
        assert outcome.code == "duplicate_key"


def test_what_is_free_has_an_outcome(texts: dict[str, bytes]) -> None:
    for name, raw in texts.items():
        if name.startswith("i_"):
            assert isinstance(checked(raw, repair=True), Accepted | Rejected), name
