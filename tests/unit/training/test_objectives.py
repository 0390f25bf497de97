"""The objectives against two oracles: transformers' own loss and TRL's DPO."""

import importlib
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from training import models, preference
from training.config import Lora
from training.encode import Encoded, pad
from training.objectives import (
    orpo_loss,
    preference_loss,
    sequence_logps,
    sft_loss,
)

SHAPE = Lora(4, 8, 0.0, ("q_proj", "v_proj", "down_proj"))
ROWS = (
    Encoded((1, 40, 41, 42), (50, 51, 2)),
    Encoded((1, 43), (60, 61, 62, 63, 2)),
)


@pytest.fixture
def tuned(tiny_base: Path) -> Any:
    """The tiny base with an adapter that already does something."""
    import torch  # noqa: PLC0415 - heavy; the data tests need none

    model, _ = models.load_base(tiny_base, seed=0)
    model = models.with_lora(model, SHAPE)
    for name, weights in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=0.1)
    return model


def test_the_supervised_loss_is_that_of_the_model_itself(tuned: Any) -> None:
    batch = pad(ROWS, pad_id=2)
    expected = tuned(**batch).loss
    assert float(sft_loss(tuned, batch).detach()) == pytest.approx(
        float(expected.detach()), rel=1e-5
    )


def test_padding_changes_no_log_probability(tuned: Any) -> None:
    together = sequence_logps(tuned, pad(ROWS, pad_id=2))
    for index, row in enumerate(ROWS):
        alone = sequence_logps(tuned, pad([row], pad_id=2))
        assert float(alone[0]) == pytest.approx(float(together[index]), rel=1e-4)


def test_the_prompt_and_the_padding_are_not_learnt() -> None:
    labels = pad(ROWS, pad_id=2)["labels"].tolist()
    assert labels[0] == [-100, -100, -100, -100, 50, 51, 2]
    assert labels[1] == [-100, -100, 60, 61, 62, 63, 2]


def test_at_the_reference_the_preference_loss_is_log_2(tuned: Any) -> None:
    rows = preference.with_reference(
        tuned, [preference.PairRow(ROWS[0], ROWS[1])], pad_id=2, size=1
    )
    batch = preference.pad_pairs(rows, pad_id=2)
    loss = preference_loss(tuned, batch, beta=0.1, sft_weight=0.0)
    assert float(loss.detach()) == pytest.approx(math.log(2), rel=1e-5)


def test_the_preference_loss_and_its_gradients_are_those_of_trl(
    tuned: Any, tmp_path: Path
) -> None:
    datasets = importlib.import_module("datasets")
    trl = importlib.import_module("trl")
    import torch  # noqa: PLC0415 - heavy; the data tests need none

    # The reference of TRL's trainer is the adapter at its construction.
    trainer = trl.DPOTrainer(
        model=tuned,
        args=trl.DPOConfig(
            output_dir=str(tmp_path),
            beta=0.3,
            loss_type=["sigmoid", "sft"],
            loss_weights=[1.0, 0.25],
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            disable_dropout=True,
            report_to="none",
            per_device_train_batch_size=1,
        ),
        train_dataset=datasets.Dataset.from_list(
            [json.loads('{"prompt": "a", "chosen": "b", "rejected": "c"}')]
        ),
        processing_class=_tokenizer(tuned),
    )
    model = trainer.model
    row = preference.PairRow(
        Encoded((1, 40, 41), (50, 51, 2)), Encoded((1, 40, 41), (60, 2))
    )
    rows = preference.with_reference(model, [row], pad_id=2, size=1)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "lora_B.default" in name:
                weights.add_(0.05)
    batch = preference.pad_pairs(rows, pad_id=2)
    mine = preference_loss(model, batch, beta=0.3, sft_weight=0.25)
    theirs = trainer.compute_loss(
        model,
        {
            "input_ids": batch["input_ids"],
            "attention_mask": batch["attention_mask"],
            "completion_mask": (batch["labels"] != -100).long(),
        },
    )
    assert float(mine.detach()) == pytest.approx(float(theirs.detach()), abs=1e-5)
    far = (_gradients(model, mine) - _gradients(model, theirs)).abs().max()
    assert float(far) < 1e-5


def _random_rows(seed: int, count: int, *, weighed: bool) -> list[Encoded]:
    """Random prompts and answers, of weights in which no two tokens are alike."""
    import torch  # noqa: PLC0415 - heavy; the data tests need none

    torch.manual_seed(seed)

    def ids(low: int, high: int) -> tuple[int, ...]:
        length = int(torch.randint(low, high, ()))
        return tuple(torch.randint(3, 250, (length,)).tolist())

    rows: list[Encoded] = []
    for _ in range(count):
        prompt, answer = ids(2, 9), ids(2, 12)
        weights = tuple(torch.rand(len(answer)).tolist()) if weighed else ()
        rows.append(Encoded(prompt, answer, weights))
    return rows


def _gradients(model: Any, loss: Any) -> Any:
    import torch  # noqa: PLC0415 - as above

    model.zero_grad()
    loss.backward()
    moved = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    assert moved
    return torch.cat(moved).clone()


def _plain_means(model: Any, rows: list[Encoded]) -> tuple[list[Any], list[Any]]:
    """Log-probabilities of each answer's tokens, one row at a time; and their means."""
    import torch  # noqa: PLC0415 - as above

    tokens: list[Any] = []
    for row in rows:
        ids = torch.tensor([[*row.prompt, *row.answer]])
        logps = model(input_ids=ids).logits.log_softmax(-1)[0]
        at = range(len(row.prompt) - 1, row.length - 1)
        picked = [logps[i, t] for i, t in zip(at, row.answer, strict=True)]
        tokens.append(torch.stack(picked))
    return tokens, [row.mean() for row in tokens]


@pytest.mark.parametrize("seed", range(4))
def test_the_weighted_loss_and_its_gradients_are_those_of_a_plain_reference(
    tuned: Any, seed: int
) -> None:
    import torch  # noqa: PLC0415 - as above

    rows = _random_rows(seed, 4, weighed=True)
    tokens, _ = _plain_means(tuned, rows)
    weights = torch.cat([torch.tensor(row.weights) for row in rows])
    plain = -(torch.cat(tokens) * weights).sum() / weights.sum()
    mine = sft_loss(tuned, pad(rows, pad_id=2))
    assert float(mine.detach()) == pytest.approx(float(plain.detach()), abs=1e-5)
    far = (_gradients(tuned, mine) - _gradients(tuned, plain)).abs().max()
    assert float(far) < 1e-5


def test_weights_that_are_all_alike_change_nothing(tuned: Any) -> None:
    heavy = [msgspec.structs.replace(r, weights=(2.0,) * len(r.answer)) for r in ROWS]
    mine, plain = (sft_loss(tuned, pad(r, pad_id=2)) for r in (heavy, ROWS))
    assert float(mine.detach()) == pytest.approx(float(plain.detach()), rel=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_orpo_and_its_gradients_are_those_of_trl(
    tuned: Any, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch  # noqa: PLC0415 - as above

    # It says on import that it may go away, which is why the loss is our own.
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    trl = importlib.import_module("trl.experimental.orpo")
    rows = _random_rows(seed, 6, weighed=False)
    tokens, means = _plain_means(tuned, rows)
    # TRL's method needs its beta alone; its trainer would learn the prompt as well.
    here = SimpleNamespace(device="cpu")
    holder = SimpleNamespace(beta=0.25, accelerator=here)
    losses, *_ = trl.ORPOTrainer.odds_ratio_loss(
        holder, torch.stack(means[:3]), torch.stack(means[3:])
    )
    theirs = -torch.cat(tokens[:3]).mean() - losses.mean()
    mine = orpo_loss(tuned, pad(rows, pad_id=2), odds_weight=0.25)
    assert float(mine.detach()) == pytest.approx(float(theirs.detach()), abs=1e-5)
    far = (_gradients(tuned, mine) - _gradients(tuned, theirs)).abs().max()
    assert float(far) < 1e-5


def _tokenizer(model: Any) -> Any:
    import transformers  # noqa: PLC0415 - as above

    return transformers.AutoTokenizer.from_pretrained(model.name_or_path)
