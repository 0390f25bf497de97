"""Judges: what an answer that the policy has drawn is worth, as one number."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from structured.schema import Schema, compile_schema
from training import quickcheck, reward
from training.config import RunConfig
from training.encode import Encoded, on_device, pad
from training.errors import ConfigError
from training.examples import Example
from training.rank import Rank, Said, rank
from training.rewarded import Judged, Rules


class Answered(msgspec.Struct, frozen=True):
    """An example with an answer that was drawn for it."""

    example: Example
    row: Encoded
    """Prompt and answer as token ids."""
    said: Said


Judge = Callable[[Sequence[Answered]], list[float]]


def judge(
    config: RunConfig, tokenizer: Any, model_dir: Path | None, base_dir: Path
) -> Judge:
    """A configuration's judge.

    Args:
        config: of method "rloo".
        tokenizer: the base's.
        model_dir: the run of the reward model, where the configuration names one.
        base_dir: the base that the reward model is put on.

    Raises:
        ConfigError: a directory is missing, or not asked for.
        DataError: another reward model than the configuration's, or none.
    """
    wanted = config.reward
    if isinstance(wanted, Judged):
        if model_dir is None:
            raise ConfigError(
                "the configuration names a reward model: give its run by --reward"
            )
        scorer = reward.load(base_dir, model_dir, digest=wanted.digest)
        return by_model(scorer, int(tokenizer.pad_token_id), wanted.unfinished)
    if model_dir is not None or not isinstance(wanted, Rules) or not config.rloo:
        raise ConfigError("the configuration's reward is by rules: leave --reward out")
    schema = compile_schema(quickcheck.SCHEMA.read_bytes(), name="assist")
    return by_rules(wanted, config.rloo.max_answer, schema)


def by_rules(weights: Rules, most: int, schema: Schema) -> Judge:
    """A judge by the rules that rank answers and judge them in the evals."""

    def judged(answered: Sequence[Answered]) -> list[float]:
        return [
            worth(rank(each.example, each.said, schema), weights, most)
            for each in answered
        ]

    return judged


def worth(seen: Rank, weights: Rules, most: int) -> float:
    """A rank as a number; 0 where the answer is not valid, whatever it says.

    Being short counts where all else is right: it must not pay to say less than is asked.
    """
    if not seen.valid:
        return 0.0
    parts = (
        (seen.status, weights.status),
        (seen.citations, weights.citations),
        (seen.value, weights.value),
    )
    total = weights.valid + sum(weight for right, weight in parts if right)
    if all(right for right, _ in parts):
        total += weights.brevity * (1 + seen.short / most)
    return total


def by_model(scorer: Any, pad_id: int, unfinished: float) -> Judge:
    """A judge by a reward model."""
    import torch  # noqa: PLC0415 - heavy, and absent where only data is made

    def judged(answered: Sequence[Answered]) -> list[float]:
        batch = on_device(pad([each.row for each in answered], pad_id=pad_id), scorer)
        with torch.no_grad():
            scores = reward.scores(scorer, batch).tolist()
        return [
            score if each.said.finished else unfinished
            for each, score in zip(answered, scores, strict=True)
        ]

    return judged
