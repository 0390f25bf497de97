"""Which examples each step reads: all of a run's batches, laid out before the first.

A pure function of lengths and seed, so a run that was killed goes on with exactly the
batches that were left. Examples of like length go together, since a batch is as wide
as its longest row and what is padded is computed for nothing.
"""

from collections.abc import Sequence
from random import Random  # noqa: TID251 - shuffles examples; nobody is bucketed by it
from typing import Final

Batch = tuple[int, ...]

POOL: Final = 32
"""Batches that are sorted by length together: more waste less, and mix less."""


def plan(
    lengths: Sequence[int], *, size: int, epochs: int, seed: int
) -> tuple[Batch, ...]:
    """Indices of the rows of each step; every epoch shows each row once.

    Args:
        lengths: of the rows, in tokens.
        size: rows a batch; the last of an epoch may have fewer.
        epochs: how often each row comes.
        seed: another gives another order.
    """
    batches: list[Batch] = []
    for epoch in range(epochs):
        rng = Random(f"{seed}/{epoch}")  # noqa: S311 - not a secret
        batches += _epoch(lengths, size, rng)
    return tuple(batches)


def waste(lengths: Sequence[int], batches: Sequence[Batch]) -> float:
    """Share of the positions that a run computes which are padding."""
    wide = sum(len(batch) * max(lengths[i] for i in batch) for batch in batches)
    return 1 - sum(lengths[i] for batch in batches for i in batch) / wide


def _epoch(lengths: Sequence[int], size: int, rng: Random) -> list[Batch]:
    order = list(range(len(lengths)))
    rng.shuffle(order)
    batches: list[Batch] = []
    for start in range(0, len(order), POOL * size):
        pool = sorted(order[start : start + POOL * size], key=lambda i: -lengths[i])
        batches += [tuple(pool[at : at + size]) for at in range(0, len(pool), size)]
    # The widest batch comes first: what does not fit in memory shows in the first step.
    widest = max(range(len(batches)), key=lambda i: lengths[batches[i][0]])
    first = batches.pop(widest)
    rng.shuffle(batches)
    return [first, *batches]
