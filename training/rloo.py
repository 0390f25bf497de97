"""The RLOO task: prompts, and at every step the answers that the policy gives to them."""

import functools
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from training import supervised
from training.config import RunConfig
from training.encode import Encoded, on_device, pad
from training.errors import ConfigError, DataError
from training.examples import Example
from training.judges import Answered, Judge
from training.objectives import over, rloo_loss, sequence_logps
from training.rank import Said
from training.rewarded import Rloo
from training.task import Task


class Asked(msgspec.Struct, frozen=True):
    """A prompt as token ids."""

    prompt: tuple[int, ...]
    example: Example

    @property
    def length(self) -> int:
        """Tokens of the prompt: what will be answered is not known."""
        return len(self.prompt)


def task(
    config: RunConfig, tokenizer: Any, data_dir: Path | None, policy: Any, judge: Judge
) -> Task:
    """Encode a configuration's prompts.

    Args:
        config: of method "rloo".
        tokenizer: the base's.
        data_dir: the curated set, where the configuration names one.
        policy: the model as it is before the first step; leaving it costs.
        judge: says what an answer is worth.

    Raises:
        ConfigError: a directory is missing, or not asked for.
        DataError: other data than the configuration's, or an example that is too long.
    """
    if config.rloo is UNSET:
        raise ConfigError("a run by rloo needs an [rloo] table")
    wanted = config.rloo
    chosen, watched = supervised.split(config, data_dir)
    plain = supervised.encoded(config, tokenizer, chosen, watched)
    rows = tuple(_asked(tokenizer, each, config, wanted) for each in chosen)
    drawer = Drawer(config.seed, wanted, tokenizer, judge, Start(policy))
    return msgspec.structs.replace(
        plain,
        rows=rows,
        loss=functools.partial(
            rloo_loss,
            beta=wanted.beta,
            samples=wanted.samples,
            temperature=wanted.temperature,
        ),
        collate=collate,
        draw=drawer.draw,
    )


class Start:
    """The policy that a run starts from, in the few weights that are going to move."""

    def __init__(self, model: Any) -> None:
        self._kept = {
            name: weights.detach().clone()
            for name, weights in model.named_parameters()
            if weights.requires_grad
        }

    @contextmanager
    def put_in(self, model: Any) -> Generator[None]:
        """The model is the starting policy within the block: no second one in memory."""
        moved = [(p, p.data, n) for n, p in model.named_parameters() if n in self._kept]
        for parameter, _, name in moved:
            self._kept[name] = self._kept[name].to(parameter.device)
            parameter.data = self._kept[name]
        try:
            yield
        finally:
            for parameter, now, _ in moved:
                parameter.data = now


class Drawer:
    """Answers to a batch of prompts, with what they are worth."""

    def __init__(
        self, seed: int, wanted: Rloo, tokenizer: Any, judge: Judge, start: Start
    ) -> None:
        self._seed = seed
        self._wanted = wanted
        self._tokenizer = tokenizer
        self._judge = judge
        self._start = start

    def draw(self, model: Any, batch: dict[str, Any], step: int) -> dict[str, Any]:
        """The batch to learn from: as `rloo_loss` takes it.

        Args:
            model: the policy, in training mode, in which it is left.
            batch: what `collate` gave.
            step: how many have been done; with the seed it decides what is drawn.
        """
        answered = self._answered(model.eval(), batch["asked"], step)
        pad_id = int(self._tokenizer.pad_token_id)
        made = on_device(pad([each.row for each in answered], pad_id=pad_id), model)
        with self._start.put_in(model):
            made["reference"] = sequence_logps(
                model, made, temperature=self._wanted.temperature
            )
        model.train()
        rewards = made["reference"].new_tensor(self._judge(answered))
        lengths = rewards.new_tensor([float(each.said.tokens) for each in answered])
        count = rewards.new_tensor(float(len(answered)))
        return made | {
            "spare": batch.get("spare", False),
            "rewards": rewards,
            "told": {
                "reward": over(batch, rewards.sum(), count),
                "answer_tokens": over(batch, lengths.sum(), count),
            },
        }

    def _answered(
        self, model: Any, asked: Sequence[Asked], step: int
    ) -> list[Answered]:
        from training import draw  # noqa: PLC0415 - imports torch

        wanted, tokenizer = self._wanted, self._tokenizer
        how = draw.How(
            wanted.temperature, wanted.max_answer, int(tokenizer.eos_token_id)
        )
        many = [(row, number) for row in asked for number in range(wanted.samples)]
        prompts = draw.left_padded(
            [row.prompt for row, _ in many], pad_id=int(tokenizer.pad_token_id)
        )
        seeds = [f"{self._seed}/{step}/{row.example.id}/{n}" for row, n in many]
        drawn = draw.answers(model, on_device(prompts, model), seeds, how)
        answered: list[Answered] = []
        for (row, _), each in zip(many, drawn, strict=True):
            text = tokenizer.decode(each.ids[: len(each.ids) - each.finished])
            said = Said(text, len(each.ids), finished=each.finished)
            answered.append(Answered(row.example, Encoded(row.prompt, each.ids), said))
        return answered


def collate(rows: Sequence[Asked], *, pad_id: int) -> dict[str, Any]:
    """Prompts; their tensors are there for the Trainer, which counts what is read."""
    from training import draw  # noqa: PLC0415 - imports torch

    prompts = draw.left_padded([row.prompt for row in rows], pad_id=pad_id)
    return prompts | {"asked": list(rows)}


def _asked(tokenizer: Any, example: Example, config: RunConfig, wanted: Rloo) -> Asked:
    row = Asked(supervised.row(tokenizer, example, config).prompt, example)
    if row.length + wanted.max_answer > config.max_length:
        raise DataError(
            f"the prompt of {example.id} has {row.length} tokens: with max_answer"
            f" {wanted.max_answer} that is more than max_length {config.max_length}"
        )
    return row
