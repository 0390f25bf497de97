import itertools
from collections import Counter
from random import Random  # noqa: TID251 - makes lengths; nobody is bucketed by it

import pytest

from training.batches import plan, waste

LENGTHS = tuple(Random(1).choices(range(60, 701), k=500))  # noqa: S311 - not a secret


def test_every_epoch_shows_each_row_once() -> None:
    batches = plan(LENGTHS, size=8, epochs=3, seed=1)
    counted = Counter(itertools.chain.from_iterable(batches))
    assert counted == dict.fromkeys(range(500), 3)


def test_the_same_seed_gives_the_same_batches_and_another_gives_others() -> None:
    assert plan(LENGTHS, size=8, epochs=2, seed=1) == plan(
        LENGTHS, size=8, epochs=2, seed=1
    )
    assert plan(LENGTHS, size=8, epochs=2, seed=1) != plan(
        LENGTHS, size=8, epochs=2, seed=2
    )


def test_epochs_differ() -> None:
    batches = plan(LENGTHS, size=8, epochs=2, seed=1)
    assert batches[: len(batches) // 2] != batches[len(batches) // 2 :]


def test_rows_of_like_length_go_together() -> None:
    order = list(range(500))
    Random(2).shuffle(order)  # noqa: S311 - not a secret
    blind = [tuple(order[i : i + 8]) for i in range(0, 500, 8)]
    assert waste(LENGTHS, plan(LENGTHS, size=8, epochs=1, seed=1)) < 0.06
    assert waste(LENGTHS, blind) > 0.3


@pytest.mark.parametrize("count", [1, 7, 8, 9])
def test_few_rows_make_few_batches(count: int) -> None:
    batches = plan(LENGTHS[:count], size=8, epochs=1, seed=1)
    assert sorted(itertools.chain.from_iterable(batches)) == list(range(count))
    assert max(map(len, batches)) <= 8
