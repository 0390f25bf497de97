"""The loop: transformers' Trainer with our objective, batches, looks and checkpoints.

The Trainer brings schedule, clipping, state and, through accelerate, more devices. What
decides a run comes in as values: the batches are laid out before the first step, so a
run that was killed goes on with those that were left, and ends with the same weights.
With several processes each has its rows of every batch, so steps, schedule and weights
are those of one process.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import torch
from msgspec import UNSET
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from training import batches, processes
from training.batches import Batch
from training.checkpoints import Whole, Work
from training.config import Checkpoints, Optim, RunConfig
from training.errors import CheckpointError, TuneError
from training.progress import Progress
from training.task import Task
from training.watch import Watch


class Fitted(msgspec.Struct, frozen=True):
    """What came of the steps."""

    log: tuple[dict[str, float], ...]
    steps: int
    seconds: float
    starts: int
    tokens: int
    kept: Path | None
    """Where the best look's weights are; None: the model's last ones count."""


def fit(
    model: Any, config: RunConfig, task: Task, *, tokenizer: Any, work: Work
) -> Fitted:
    """Move a model through all of a run's batches, or those that are left.

    Args:
        model: what `training.models.tuned` gave; it is moved in place.
        config: the run's.
        task: its examples and its loss.
        tokenizer: the base's.
        work: the run's open directory of work; a whole checkpoint in it is gone on from.

    Raises:
        TuneError: the loss is no number.
        CheckpointError: a checkpoint cannot be written.
    """
    optim = config.optim
    lengths = [row.length for row in task.rows]
    steps = batches.plan(
        lengths, size=optim.batch_size, epochs=optim.epochs, seed=config.seed
    )
    processes.say(
        f"{config.ref}: {len(lengths)} examples, {sum(lengths) / len(lengths):.0f} tokens"
        f" each; {len(steps)} steps, {batches.waste(lengths, steps):.0%} padding"
    )
    before = work.newest()
    saved = before[1] if before else Whole(0, 0.0, 0)
    if before:
        processes.say(f"going on from step {saved.step}")
    clock = Clock(saved)
    watch = Watch(config, task, tokenizer, work, steps=len(steps))
    trainer = ObjectiveTrainer(
        config,
        task,
        steps,
        model=model,
        args=_arguments(config, work.path, len(steps)),
        data_collator=_collator(task, int(tokenizer.pad_token_id)),
        callbacks=[watch, Progress(work.path / "tensorboard"), Keeper(work, clock)],
    )
    watch.log = trainer.log
    trainer.remove_callback(PrinterCallback)  # Progress says it for people
    trainer.train(resume_from_checkpoint=str(before[0]) if before else None)
    done = trainer.state.global_step
    log = tuple(
        {key: float(value) for key, value in entry.items()}
        for entry in trainer.state.log_history
    )
    return Fitted(
        log=log,
        steps=done,
        seconds=round(clock.seconds(), 1),
        starts=saved.starts + 1,
        tokens=sum(lengths[i] for step in steps[:done] for i in step),
        kept=watch.kept(),
    )


class Clock:
    """Seconds of a run over all its starts."""

    def __init__(self, saved: Whole) -> None:
        self._saved = saved
        self._began = time.perf_counter()
        self.starts = saved.starts + 1

    def seconds(self) -> float:
        """Until now."""
        return self._saved.seconds + time.perf_counter() - self._began


class Keeper(TrainerCallback):
    """Marks each checkpoint as whole, once all of it is on the disk."""

    def __init__(self, work: Work, clock: Clock) -> None:
        self._work = work
        self._clock = clock

    def on_save(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
        """The Trainer has written the checkpoint of this step."""
        processes.wait()  # each writes the state of its own random numbers
        if not state.is_world_process_zero:
            return
        path = self._work.path / f"checkpoint-{state.global_step}"
        seconds = round(self._clock.seconds(), 1)
        self._work.finish(path, Whole(state.global_step, seconds, self._clock.starts))


class ObjectiveTrainer(Trainer):
    """The Trainer with a run's batches, loss and complaints."""

    def __init__(
        self, config: RunConfig, task: Task, steps: tuple[Batch, ...], **kw: Any
    ) -> None:
        super().__init__(train_dataset=Rows(task), **kw)
        self._rate = config.optim.learning_rate
        self._task = task
        self._steps = steps
        self._told: dict[str, float] = {}

    def get_train_dataloader(self) -> Any:
        """All batches of the run, in their order: of each, this process's rows."""
        # Not prepared by accelerate: it would give whole batches to one process each,
        # so as many steps fewer as there are processes, of batches that many times as
        # large as the configuration says.
        return torch.utils.data.DataLoader(
            self.train_dataset,
            batch_sampler=[list(processes.share(step)) for step in self._steps],
            collate_fn=self.data_collator,
        )

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kw: Any) -> Any:
        """This process's part of the task's loss; one that is no number ends the run."""
        bare = self.accelerator.unwrap_model(model)
        names, step = inputs.pop("names"), self.state.global_step
        if processes.spare(self._steps[step]):
            inputs["spare"] = True
        if self._task.draw is not None:
            inputs = self._task.draw(bare, inputs, step)
        value = self._task.loss(bare, inputs)
        told = inputs.get("told", {})
        self._told = {
            name: float(processes.everywhere(part)) for name, part in told.items()
        }
        whole = float(processes.everywhere(value))
        if not math.isfinite(whole):
            raise TuneError(
                f"the loss is {whole} at step {step + 1}, on"
                f" {', '.join(processes.gathered(names))}: look at these examples; if"
                f" they are sound, lower learning_rate ({self._rate:g})"
            )
        return (value, {}) if kw.get("return_outputs") else value

    def training_step(self, model: Any, *args: Any, **kw: Any) -> Any:
        """One batch forth and back; over all processes, where there are more."""
        part = super().training_step(model, *args, **kw)
        # The loss goes past the wrapper whose hooks would take the gradients' mean.
        processes.sum_gradients(model)
        return processes.everywhere(part)

    def log(self, logs: dict[str, float], *args: Any, **kw: Any) -> None:
        """With what the step's draw told."""
        super().log(logs | self._told if "loss" in logs else logs, *args, **kw)

    def _save_checkpoint(self, *args: Any, **kw: Any) -> None:
        try:
            super()._save_checkpoint(*args, **kw)
        # torch and safetensors have errors of their own for a full disk.
        except Exception as error:
            raise CheckpointError(
                f"the checkpoint of step {self.state.global_step} cannot be written:"
                f" {error}; the one before is whole. Make room, and run the same"
                " command again: it goes on from there"
            ) from error


def _collator(task: Task, pad_id: int) -> Callable[[Any], dict[str, Any]]:
    def collated(picked: list[tuple[Any, str]]) -> dict[str, Any]:
        batch = task.collate([row for row, _ in picked], pad_id=pad_id)
        return batch | {"names": [name for _, name in picked]}

    return collated


def _arguments(config: RunConfig, work: Path, steps: int) -> Any:
    optim: Optim = config.optim
    every = Checkpoints() if config.checkpoints is UNSET else config.checkpoints
    return TrainingArguments(
        output_dir=str(work),
        num_train_epochs=1,  # the batches are those of all epochs
        learning_rate=optim.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=max(1, round(steps * optim.warmup_ratio)),
        weight_decay=optim.weight_decay,
        max_grad_norm=optim.max_grad_norm,
        eval_strategy="no",  # Watch looks
        save_strategy="steps",
        save_steps=every.every,
        report_to="none",
        logging_steps=1,  # a mean over more would begin anew where a killed run goes on
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        remove_unused_columns=False,
        use_cpu=not torch.cuda.is_available(),
        bf16=False,
        gradient_checkpointing=False,
        dataloader_pin_memory=False,
        seed=config.seed,
    )


class Rows:
    """Encoded rows with their names."""

    def __init__(self, task: Task) -> None:
        self._rows = tuple(zip(task.rows, task.names, strict=True))

    def __len__(self) -> int:
        """How many there are."""
        return len(self._rows)

    def __getitem__(self, index: int) -> Any:
        """A row and its name."""
        return self._rows[index]
