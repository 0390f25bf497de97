"""A run's task: what is learnt, by which loss, and what is looked at meanwhile."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from training.examples import Example


class Row(Protocol):
    """An encoded example, or pair, as a batch takes it."""

    @property
    def length(self) -> int:
        """Tokens that the model reads for it."""
        ...


class Collate(Protocol):
    """Rows to one padded batch."""

    def __call__(self, rows: Sequence[Any], *, pad_id: int) -> dict[str, Any]:
        """Tensors, `input_ids` among them."""
        ...


class Task(msgspec.Struct, frozen=True):
    """All that the loop needs to know of a method."""

    rows: tuple[Row, ...]
    names: tuple[str, ...]
    """The id of each row's example, for whoever has to look at a bad batch."""
    loss: Callable[[Any, dict[str, Any]], Any]
    collate: Collate
    digest: str
    """sha256 of the examples' JSON lines."""
    checks: tuple[Row, ...] = ()
    """Rows of the validation split, for the supervised loss."""
    watched: tuple[Example, ...] = ()
    """Validation examples that looks have answered."""
    look: Callable[[Any], dict[str, float]] | None = None
    """What is looked at where it is not the supervised loss: the model to numbers."""
    draw: Callable[[Any, dict[str, Any], int], dict[str, Any]] | None = None
    """Makes the batch that is learnt from of the one that was laid out, with what the
    model says at this step: of model, batch and step alone, so a resumed run draws the
    same. The loss may write more into `told`, which it brings: what the log says of the
    step, each number as this process's part of the sum."""
