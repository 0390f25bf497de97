"""Reward models: a number for an answer, learnt from pairs.

The base with a LoRA and a head of one output, in PEFT's own form, so that checkpoints,
saving and loading are PEFT's. It says what an answer is worth and gives none itself: it
is for RLOO, and is neither served nor published.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import UNSET

from training import models, preference
from training.config import RunConfig
from training.data.pairs import Pair
from training.encode import on_device
from training.errors import ConfigError, DataError
from training.files import sha256_file
from training.head import with_head
from training.objectives import over
from training.preference import PairRow, pad_pairs
from training.task import Task

WEIGHTS: Final = "adapter_model.safetensors"
_BATCH: Final = 8


def load(base_dir: Path, run_dir: Path, *, digest: str) -> Any:
    """A trained reward model, for inference.

    Args:
        base_dir: the prepared base that it was trained on.
        run_dir: what its run has left.
        digest: sha256 of its weights.

    Raises:
        DataError: there is none, or another one.
    """
    from peft import PeftModel  # noqa: PLC0415 - heavy

    weights = run_dir / WEIGHTS
    try:
        found = sha256_file(weights)
    except OSError as error:
        raise DataError(f"{run_dir} holds no reward model: {error}") from error
    if found != digest:
        raise DataError(
            f"{weights} has digest {found}, the configuration names {digest}: give that"
            " reward model, or name this one"
        )
    model, _ = models.load_base(base_dir, seed=0)
    try:
        scorer = PeftModel.from_pretrained(with_head(model), str(run_dir))
    except (OSError, ValueError) as error:
        raise DataError(f"{run_dir} holds no reward model: {error}") from error
    return scorer.requires_grad_(requires_grad=False).eval()


def scores(model: Any, batch: dict[str, Any]) -> Any:
    """What each row is worth: of the hidden state of its last token."""
    import torch  # noqa: PLC0415 - heavy

    scorer = models.body(model)
    mask = batch["attention_mask"]
    hidden = scorer.model(
        input_ids=batch["input_ids"], attention_mask=mask, use_cache=False
    ).last_hidden_state
    # Not the model's own way, which looks for the padding's id: that is the end token's.
    last = hidden[torch.arange(len(mask), device=mask.device), mask.sum(1) - 1]
    return scorer.score(last).squeeze(-1).float()


def reward_loss(model: Any, batch: dict[str, Any]) -> Any:
    """Bradley and Terry's: -log sigmoid(worth of chosen - worth of rejected), its mean.

    As in Ouyang et al. 2022 (arXiv 2203.02155, equation 1), with one pair a prompt.

    Args:
        model: as `with_head` gives it, with a LoRA.
        batch: rows `[chosen..., rejected...]`.
    """
    import torch  # noqa: PLC0415 - heavy

    chosen, rejected = scores(model, batch).chunk(2)
    values = torch.nn.functional.logsigmoid(chosen - rejected)
    return -over(batch, values.sum(), values.new_tensor(float(len(values))))


def task(config: RunConfig, tokenizer: Any, data_dir: Path | None) -> Task:
    """Encode a configuration's pairs, some of them held out.

    Raises:
        ConfigError: the directory of the pairs is missing.
        DataError: other pairs than the configuration's, too few, or a sequence too long.
    """
    if config.judge is UNSET:
        raise ConfigError("a reward model needs a [judge] table")
    pairs = preference.chosen_pairs(config, data_dir)
    learnt, held = split(pairs, config.judge.held_out)
    pad_id = int(tokenizer.pad_token_id)
    seen = [preference.pair_row(tokenizer, pair, config) for pair in held]
    return Task(
        rows=tuple(preference.pair_row(tokenizer, pair, config) for pair in learnt),
        names=tuple(pair.id for pair in learnt),
        loss=reward_loss,
        collate=pad_pairs,
        digest=preference.pairs_digest(pairs),
        look=lambda model: looked(model, seen, pad_id=pad_id),
    )


def split(
    pairs: Sequence[Pair], held_out: int
) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """Pairs to learn from, and at least so many others, of other inputs.

    By the digest of the input: all pairs of a question are on the same side.

    Raises:
        DataError: none is left to learn from.
    """
    by_input: dict[str, list[Pair]] = {}
    for pair in pairs:
        name = hashlib.sha256(msgspec.json.encode(pair.input)).hexdigest()
        by_input.setdefault(name, []).append(pair)
    held: set[str] = set()
    for name in sorted(by_input):
        if len(held) >= held_out:
            break
        held.update(pair.id for pair in by_input[name])
    learnt = tuple(pair for pair in pairs if pair.id not in held)
    if not learnt:
        raise DataError(
            f"{len(pairs)} pairs, and held_out is {held_out}: none is left to learn from"
        )
    return learnt, tuple(pair for pair in pairs if pair.id in held)


def looked(model: Any, rows: Sequence[PairRow], *, pad_id: int) -> dict[str, float]:
    """Of held-out pairs: the share told right, and the mean loss (nats)."""
    import torch  # noqa: PLC0415 - heavy

    margins: list[float] = []
    for start in range(0, len(rows), _BATCH):
        batch = pad_pairs(rows[start : start + _BATCH], pad_id=pad_id)
        with torch.no_grad():
            chosen, rejected = scores(model, on_device(batch, model)).chunk(2)
        margins += (chosen - rejected).tolist()
    losses = -torch.nn.functional.logsigmoid(torch.tensor(margins))
    return {
        "accuracy": sum(margin > 0 for margin in margins) / len(margins),
        "loss": float(losses.mean()),
    }
