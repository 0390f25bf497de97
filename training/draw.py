"""Answers drawn from the policy: each a function of its seed, whatever is beside it."""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import torch
from transformers import LogitsProcessor, LogitsProcessorList

_LEAST: Final = 1e-30
"""A draw of 0 would win whatever its token's probability."""


class Drawn(msgspec.Struct, frozen=True):
    """One answer as token ids, the end token included where there is one."""

    ids: tuple[int, ...]
    finished: bool
    """Whether it ended by itself, and was not cut."""


class How(msgspec.Struct, frozen=True):
    """How answers are drawn."""

    temperature: float
    most: int
    """Tokens; longer answers are cut."""
    end: int
    """The id of the end token."""


def left_padded(prompts: Sequence[Sequence[int]], *, pad_id: int) -> dict[str, Any]:
    """A batch of prompts that answers can be put behind: input_ids, attention_mask."""
    width = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), width), pad_id, dtype=torch.long)
    mask = torch.zeros((len(prompts), width), dtype=torch.long)
    for index, prompt in enumerate(prompts):
        ids[index, width - len(prompt) :] = torch.tensor(prompt)
        mask[index, width - len(prompt) :] = 1
    return {"input_ids": ids, "attention_mask": mask}


def answers(
    model: Any, prompts: dict[str, Any], seeds: Sequence[str], how: How
) -> list[Drawn]:
    """Draw an answer to each prompt from all of the policy's distribution.

    By the Gumbel-max trick: the largest of log-probabilities plus Gumbel noise is a draw.
    The noise of a row comes from a generator of its own, so an answer depends on no other
    row, and a run of two processes, or one that was resumed, draws what one would have.

    Args:
        model: the policy, in evaluation mode.
        prompts: what `left_padded` gave, where the model is.
        seeds: one a row.
        how: temperature, length and end.
    """
    with torch.no_grad():
        output = model.generate(
            **prompts,
            max_new_tokens=how.most,
            do_sample=False,
            logits_processor=LogitsProcessorList([_Noise(seeds, how.temperature)]),
        )
    made = output[:, prompts["input_ids"].shape[1] :].tolist()
    return [ended(row, how.end) for row in made]


class _Noise(LogitsProcessor):
    """Adds each row's own noise to its logits."""

    def __init__(self, seeds: Sequence[str], temperature: float) -> None:
        self._temperature = temperature
        # Of the CPU wherever the model is: other devices have other streams.
        self._generators = [torch.Generator().manual_seed(_number(s)) for s in seeds]

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        noise = torch.stack(
            [
                torch.empty(scores.shape[-1]).exponential_(generator=generator)
                for generator in self._generators
            ]
        )
        gumbel = -noise.clamp_min(_LEAST).log().to(scores.device)
        return scores.float() / self._temperature + gumbel


def _number(seed: str) -> int:
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:7], "big")


def ended(row: list[int], end: int) -> Drawn:
    """What was generated, up to the first end token."""
    if end not in row:
        return Drawn(tuple(row), finished=False)
    return Drawn(tuple(row[: row.index(end) + 1]), finished=True)
