"""Looks: what the adapter can at a step, which look is the best, and when it is enough.

Two things are looked at. The validation loss says how likely the right answers have
become. What is generated says whether they come: a loss may fall while the model loses
the form, or refuses nothing any more. So a look is better if what is generated has become
better, whatever the loss; or if the loss is lower, and what is generated no worse.
"""

import math
from collections.abc import Sequence

import msgspec


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


def give(n: int) -> float:
    """By how much shares of n answers may differ and still count as alike.

    One standard error of the difference of two shares at its widest, sqrt(2 p (1 - p) / n)
    at p = 1/2. With less, a look of 48 answers decided by luck: it preferred weights whose
    loss was nearly twice as high for four right answers more.
    """
    return math.sqrt(0.5 / n)


def best(looks: Sequence[Look], *, n: int) -> Look | None:
    """The best of looks at n answers each, in the order in which they came."""
    found: Look | None = None
    peak = 0.0
    for look in looks:
        peak = max(peak, look.able)
        if found is None or _beats(look, found, peak, give(n)):
            found = look
    return found


def _beats(new: Look, old: Look, peak: float, slack: float) -> bool:
    """The peak is of all looks so far: small losses of ability do not add up."""
    if new.able > old.able + slack:
        return True
    return new.loss < old.loss and new.able >= peak - slack


def enough(looks: Sequence[Look], *, n: int, patience: int) -> bool:
    """Whether the last `patience` looks brought nothing better."""
    found = best(looks, n=n)
    if found is None:
        return False
    return sum(look.step > found.step for look in looks) >= patience
