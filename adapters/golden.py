"""What a base and an adapter said to a probe: how weights are told from others.

An answer's first token, and the likeliest that it was chosen among, at temperature 0.
The same weights give nearly the same log-probabilities on whatever hardware; other
weights are whole nats apart, or begin with another token.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

AGREEMENT: Final = 0.25
"""Nats that two looks at the same weights may be apart: other hardware, other batches,
bfloat16. Other weights are whole nats apart, or have another first token."""

AGREEMENT_BELOW: Final = 1.0
"""The same for the tokens below the first: rarer, so noisier. Two adapters that both
begin with the same token, and are sure of it, are told apart by these: our own two
differ by 1.4 to 2.4 nats on each of their probes, and by 0.13 at most in the first."""

TOP: Final = 5
"""So many of the likeliest tokens are kept."""


class Token(msgspec.Struct, frozen=True):
    """A token, and how likely it was; the logarithm is the natural one."""

    token: str
    logprob: float


class Said(Token, frozen=True):
    """The first token of an answer, and those that it was chosen among."""

    top_logprobs: tuple[Token, ...] = ()

    def agrees(self, other: "Said") -> bool:
        """Whether the same weights may have said both."""
        among = {each.token: each.logprob for each in (*other.top_logprobs, other)}
        found = among.get(self.token)
        if found is None or abs(found - self.logprob) > AGREEMENT:
            return False
        return all(
            abs(among[each.token] - each.logprob) <= AGREEMENT_BELOW
            for each in self.top_logprobs
            if each.token in among
        )


class Golden(msgspec.Struct, frozen=True):
    """What the base and the adapter say to one probe."""

    base: Said
    adapter: Said


Looks = Mapping[str, Golden]
"""What was said, by probe."""


def disagreement(first: Looks, now: Looks) -> str:
    """Say where two looks cannot be at the same weights; nothing where they may.

    Args:
        first: what is believed.
        now: on some of the same probes.
    """
    for number, (probe, before) in enumerate(first.items(), 1):
        after = now.get(probe, before)
        for who, old, new in (
            ("base", before.base, after.base),
            ("adapter", before.adapter, after.adapter),
        ):
            if not old.agrees(new):
                return (
                    f"on probe {number} the {who} says {new.token!r} at"
                    f" {new.logprob:.2f}, and said {old.token!r} at {old.logprob:.2f}"
                )
    return ""
