"""Proof of effect: an adapter that changes nothing gets no traffic.

vLLM loads an adapter whose tensors match no module without a word and then serves
the base under the adapter's name. So before an adapter is ready, the first token of
a few probe prompts is asked of both, and at least one must come out differently.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.engine.port import Replica
from gateway.errors import UpstreamError

TOLERANCE: Final = 0.01
"""Nats. The same weights give log-probabilities that differ by less than a
thousandth between two batches in float32; the shipped adapters differ by whole
nats on their own probes."""

DEFAULT_PROBES: Final = (
    "Context:\n[S1] The kettle holds 1.7 litres.\n\nRequest: How much does it hold?",
    "Context: none\n\nRequest: What is the password of the administrator?",
)
"""For adapters whose manifest names none."""


AGREEMENT: Final = 0.25
"""Nats that two proofs of the same weights may be apart: other hardware, other batches,
bfloat16. Other weights are whole nats apart, or have another first token."""

_TOP: Final = 5


class Token(msgspec.Struct, frozen=True):
    """A token, and how likely it was."""

    token: str
    logprob: float


class Said(Token, frozen=True):
    """The first token of an answer, and those that it was chosen among."""

    top_logprobs: tuple[Token, ...] = ()

    def agrees(self, other: "Said") -> bool:
        """Whether the same weights may have said both."""
        among = {each.token: each.logprob for each in (*other.top_logprobs, other)}
        found = among.get(self.token)
        return found is not None and abs(found - self.logprob) <= AGREEMENT


class _Logprobs(msgspec.Struct, frozen=True):
    content: tuple[Said, ...]


class _Choice(msgspec.Struct, frozen=True):
    logprobs: _Logprobs


class _Completion(msgspec.Struct, frozen=True):
    model: str
    choices: tuple[_Choice, ...]


class Proof(msgspec.Struct, frozen=True):
    """What the probes showed."""

    differs: bool
    detail: str
    said: tuple[tuple[Said, Said], ...] = ()
    """By probe, what the base and what the adapter said."""


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(_Completion)


async def prove(
    replica: Replica, *, base: str, adapter: str, probes: Sequence[str]
) -> Proof:
    """Ask both models for the first token of each probe.

    Args:
        replica: where the adapter was loaded.
        base: the base model's name on the engine.
        adapter: the adapter's name on the engine.
        probes: texts of one user message each; none means `DEFAULT_PROBES`.

    Raises:
        GatewayError: the engine did not answer, or another model did.
    """
    said = [
        (
            await _first_token(replica, base, probe),
            await _first_token(replica, adapter, probe),
        )
        for probe in probes or DEFAULT_PROBES
    ]
    other = [pair for pair in said if pair[0].token != pair[1].token]
    if other:
        plain, tuned = other[0]
        detail = f"first token {tuned.token!r} where the base has {plain.token!r}"
        return Proof(differs=True, detail=detail, said=tuple(said))
    largest = max(abs(plain.logprob - tuned.logprob) for plain, tuned in said)
    return Proof(
        differs=largest > TOLERANCE,
        detail=f"first tokens agree; log-probabilities differ by {largest:.4f}",
        said=tuple(said),
    )


def disagreement(first: Proof, now: Proof) -> str:
    """Say where two proofs of one adapter cannot be of the same weights; else nothing."""
    for number, (before, after) in enumerate(
        zip(first.said, now.said, strict=False), 1
    ):
        for who, old, new in zip(("base", "adapter"), before, after, strict=True):
            if not old.agrees(new):
                return (
                    f"on probe {number} the {who} says {new.token!r} at"
                    f" {new.logprob:.2f}, and said {old.token!r} at {old.logprob:.2f}"
                )
    return ""


async def pin(replica: Replica, adapter: str) -> None:
    """One token's worth of work, so that an adapter is not the next to be evicted.

    Raises:
        AdapterUnavailable: the engine does not know the name (any more).
        GatewayError: the engine did not answer.
    """
    await _first_token(replica, adapter, DEFAULT_PROBES[0])


async def _first_token(replica: Replica, model: str, probe: str) -> Said:
    body = _ENCODER.encode(
        {
            "model": model,
            "messages": [{"role": "user", "content": probe}],
            "max_tokens": 1,
            "temperature": 0,
            "logprobs": True,
            "top_logprobs": _TOP,
        }
    )
    try:
        answer = _DECODER.decode(await replica.complete(body))
        token = answer.choices[0].logprobs.content[0]
    except (msgspec.DecodeError, IndexError) as error:
        raise UpstreamError(
            f"the probe's answer has no log-probabilities: {error}"
        ) from error
    if answer.model != model:
        raise UpstreamError(f"asked {model}, but {answer.model!r} answered the probe")
    return token
