"""Looks: what the adapter can at a step, which look is the best, and when it is enough.

Two things are looked at. The validation loss says how likely the right answers have
become. What is generated says whether they come: a loss may fall while the model loses
the form, or refuses nothing any more. So a look is better if what is generated has become
better, whatever the loss; or if the loss is lower, and what is generated no worse.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

GIVE: Final = 0.02
"""How far a share may lie under the best one and still count as no worse: at 50 looked
at, one example."""


class Look(msgspec.Struct, frozen=True):
    """What was seen at a step."""

    step: int
    loss: float
    """Mean over the validation answers' tokens (nats)."""
    adherence: float
    """Share of generated answers that are valid as they come."""
    status: float
    """Share whose status is right: answered, doubted, refused when due."""
    citations: float
    """Share that cites exactly the right passages."""

    @property
    def able(self) -> float:
        """Adherence, status and citations in one: their mean."""
        return (self.adherence + self.status + self.citations) / 3


def best(looks: Sequence[Look]) -> Look | None:
    """The best of looks, in the order in which they came."""
    found: Look | None = None
    peak = 0.0
    for look in looks:
        peak = max(peak, look.able)
        if found is None or _beats(look, found, peak):
            found = look
    return found


def _beats(new: Look, old: Look, peak: float) -> bool:
    """The peak is of all looks so far: small losses of ability do not add up."""
    if new.able > old.able + GIVE:
        return True
    return new.loss < old.loss and new.able >= peak - GIVE


def enough(looks: Sequence[Look], *, patience: int) -> bool:
    """Whether the last `patience` looks brought nothing better."""
    found = best(looks)
    if found is None:
        return False
    return sum(look.step > found.step for look in looks) >= patience
