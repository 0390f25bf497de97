"""The tables of RLOO and of reward models in a run's configuration."""

from typing import Annotated

import msgspec
from msgspec import Meta

_Positive = Annotated[int, Meta(ge=1)]
_Weight = Annotated[float, Meta(ge=0)]
_Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]


class Rloo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """RLOO: answers drawn from the policy, moved towards those that are worth more."""

    samples: Annotated[int, Meta(ge=2)]
    """Answers a prompt; each one's baseline is the mean of the others."""
    temperature: Annotated[float, Meta(gt=0)]
    max_answer: _Positive
    """Tokens; an answer is cut there."""
    beta: _Weight
    """What a nat away from the starting adapter costs, in units of the reward."""


class Rules(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="rules",
):
    """A reward by `training.rank`'s rules: the sum of what is right of a valid answer."""

    valid: _Weight
    status: _Weight
    citations: _Weight
    value: _Weight
    brevity: _Weight
    """Times the share of `max_answer` that is left, where all the rest is right."""


class Judged(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="model",
):
    """A reward by a model that was trained with method "reward"."""

    digest: _Digest
    """sha256 of its `adapter_model.safetensors`."""
    unfinished: float
    """What an answer is worth that had to be cut: the model has never seen one."""


class Judge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reward model: a number for an answer, learnt from pairs."""

    held_out: _Positive
    """Pairs at least that it is not trained on, and its accuracy measured with."""
