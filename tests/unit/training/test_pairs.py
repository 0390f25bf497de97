from collections import Counter

import msgspec

from training.data.generate import generate
from training.data.pairs import make_pairs
from training.examples import Output


def test_the_same_seed_gives_the_same_pairs() -> None:
    assert make_pairs(count=20, seed=3) == make_pairs(count=20, seed=3)


def test_the_two_answers_of_a_pair_differ() -> None:
    for pair in make_pairs(count=128, seed=20261):
        assert pair.chosen != pair.rejected, pair.id


def test_what_is_preferred_is_right_and_grounded() -> None:
    for pair in make_pairs(count=128, seed=20261):
        output = msgspec.json.decode(pair.chosen, type=Output)
        assert set(output.citations) <= pair.input.context_ids, pair.id


def test_every_kind_of_failure_occurs() -> None:
    faults = Counter(pair.fault for pair in make_pairs(count=128, seed=20261))
    assert set(faults) == {
        "longer", "wordy", "prose", "guess", "miscited", "unsupported", "unsure",
        "overrefusal", "complied",
    }  # fmt: skip


def test_pairs_ask_nothing_that_the_supervised_run_has_answered() -> None:
    taught = {example.input for example in generate("train")}
    assert not [p for p in make_pairs(count=128, seed=20261) if p.input in taught]


def test_terse_and_full_answers_belong_to_the_same_inputs() -> None:
    terse = generate("train", count=50, seed=5, terse=1.0)
    full = generate("train", count=50, seed=5, terse=0.0)
    assert [e.input for e in terse] == [e.input for e in full]
    assert sum(len(e.output.answer) for e in terse) < sum(
        len(e.output.answer) for e in full
    )
