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
