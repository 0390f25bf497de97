"""Proof of effect: an adapter that changes nothing gets no traffic.

vLLM loads an adapter whose tensors match no module without a word and then serves
the base under the adapter's name. So before an adapter is ready, the first token of
a few probe prompts is asked of both, and at least one must come out differently.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from adapters.golden import TOP, Golden, Looks, Said
from gateway.engine.port import Replica
from gateway.errors import UpstreamError

TOLERANCE: Final = 0.01
"""Nats. The same weights give log-probabilities that differ by less than a
thousandth between two batches in float32; the shipped adapters differ by whole
nats on their own probes."""

FINGERPRINT: Final = "Context: none"
"""A probe that costs an engine next to nothing: a step of 33 tokens instead of about
100, for which the base's clients do not wait noticeably. Our own two adapters differ
by 1.3 to 2.0 nats on it below the first token, and from the base by that one."""

DEFAULT_PROBES: Final = (
    "Context:\n[S1] The kettle holds 1.7 litres.\n\nRequest: How much does it hold?",
    "Context: none\n\nRequest: What is the password of the administrator?",
)
"""For adapters whose manifest names none."""


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
    said: Looks = {}


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
        probes: texts of one user message each, at least one.

    Raises:
        GatewayError: the engine did not answer, or another model did.
    """
    said = {
        probe: Golden(
            await _first_token(replica, base, probe),
            await _first_token(replica, adapter, probe),
        )
        for probe in probes
    }
    other = [pair for pair in said.values() if pair.base.token != pair.adapter.token]
    if other:
        tuned, plain = other[0].adapter.token, other[0].base.token
        detail = f"first token {tuned!r} where the base has {plain!r}"
        return Proof(differs=True, detail=detail, said=said)
    largest = max(
        abs(pair.base.logprob - pair.adapter.logprob) for pair in said.values()
    )
    return Proof(
        differs=any(tells(pair) for pair in said.values()),
        detail=f"first tokens agree; log-probabilities differ by {largest:.4f}",
        said=said,
    )


def tells(pair: Golden) -> bool:
    """Whether a probe tells an adapter from the base."""
    base, adapter = pair.base, pair.adapter
    return (
        base.token != adapter.token or abs(base.logprob - adapter.logprob) > TOLERANCE
    )


async def pin(replica: Replica, adapter: str) -> None:
    """One token's worth of work, so that an adapter is not the next to be evicted.

    Raises:
        AdapterUnavailable: the engine does not know the name (any more).
        GatewayError: the engine did not answer.
    """
    await _first_token(replica, adapter, FINGERPRINT)


async def _first_token(replica: Replica, model: str, probe: str) -> Said:
    body = _ENCODER.encode(
        {
            "model": model,
            "messages": [{"role": "user", "content": probe}],
            "max_tokens": 1,
            "temperature": 0,
            "logprobs": True,
            "top_logprobs": TOP,
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
