"""Watch: looks at the adapter while it learns, keeps the best, and ends the run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch
from msgspec import UNSET
from transformers import TrainerCallback

from structured.schema import compile_schema
from training import examples, processes, quickcheck
from training.checkpoints import Work
from training.config import RunConfig
from training.encode import on_device, pad
from training.errors import CheckpointError
from training.looks import Look, best, enough
from training.objectives import answer_logps
from training.task import Task

BATCH: Final = 8
_PREFIX: Final = "eval_"
"""The Trainer's prefix for what is not of the training batches."""


class Watch(TrainerCallback):
    """Looks every so many steps and after the last; without [looks], at the loss alone.

    What was seen goes into the Trainer's log, which a checkpoint holds: a run that goes
    on knows the looks before it.
    """

    log: Callable[[dict[str, float]], None]
    """The Trainer's; it exists only after its callbacks."""

    def __init__(
        self, config: RunConfig, task: Task, tokenizer: Any, work: Work, *, steps: int
    ) -> None:
        self._task = task
        self._tokenizer = tokenizer
        self._work = work
        self._steps = steps
        self._wanted = None if config.looks is UNSET else config.looks
        epoch = -(-len(task.rows) // config.optim.batch_size)
        self._every = self._wanted.every if self._wanted else epoch
        self._looks: list[Look] = []
        count = self._wanted.examples if self._wanted else 0
        self._asked = examples.spread(task.watched, count)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
        """Take up the looks that the checkpoint knows of."""
        self._looks = [look for entry in state.log_history if (look := _look(entry))]

    def on_step_end(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
        """Look, where one is due."""
        step = state.global_step
        # The last step is looked at unless it is near to a look that was.
        last = step == self._steps and 2 * (step % self._every) > self._every
        if step % self._every and not last:
            return
        if not self._task.checks and self._task.look is None:
            return
        # One process looks and says what it saw: all have to end at the same step.
        seen = processes.heard(self._seen(kw["model"]) if processes.is_main() else {})
        due = control.should_log
        self.log({f"{_PREFIX}{name}": value for name, value in seen.items()})
        # Logging takes that back: the step's loss would be told with the next one's,
        # and lost where a killed run goes on in between.
        control.should_log = due
        if self._wanted is None:
            return
        self._looks.append(Look(step=step, **seen))
        found = self._best()
        if found and found.step == step and state.is_world_process_zero:
            self._work.keep(step, kw["model"])
        if enough(self._looks, n=len(self._asked), patience=self._wanted.patience):
            control.should_training_stop = True

    def on_save(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
        """Older bests may go once a checkpoint knows of the newer one."""
        if (found := self._best()) and state.is_world_process_zero:
            self._work.forget(found.step)

    def kept(self) -> Path | None:
        """Where the best look's weights are.

        Raises:
            CheckpointError: they are gone.
        """
        found = self._best()
        if found is None:
            return None
        path = self._work.kept(found.step)
        if not path.is_dir():
            raise CheckpointError(
                f"{path} is gone, and it held the best look's weights: train anew"
                " with --fresh"
            )
        return path

    def _best(self) -> Look | None:
        return best(self._looks, n=max(1, len(self._asked)))

    def _seen(self, model: Any) -> dict[str, float]:
        model.eval()
        if self._task.look is not None:
            seen = self._task.look(model)
        else:
            seen = {"loss": self._loss(model)} | self._answers(model)
        model.train()
        return seen

    def _loss(self, model: Any) -> float:
        """Mean negative log-likelihood over all tokens of the validation answers."""
        rows = sorted(self._task.checks, key=lambda row: row.length)
        total, count = 0.0, 0
        pad_id = int(self._tokenizer.pad_token_id)
        for start in range(0, len(rows), BATCH):
            chunk: list[Any] = list(rows[start : start + BATCH])
            batch = on_device(pad(chunk, pad_id=pad_id), model)
            with torch.no_grad():
                logps = answer_logps(model, batch).logps
            total -= float(logps.sum())
            count += len(logps)
        return total / count

    def _answers(self, model: Any) -> dict[str, float]:
        if self._wanted is None:
            return {}
        asked = self._asked
        schema = compile_schema(quickcheck.SCHEMA.read_bytes(), name="assist")
        texts = quickcheck.answer_all(model, self._tokenizer, asked)
        judged = [
            quickcheck.judge(example, text, tokens, schema, finished=finished)
            for example, (text, tokens, finished) in zip(asked, texts, strict=True)
        ]
        return {
            "adherence": _mean([each.adheres for each in judged]),
            "status": _mean([each.status_right for each in judged]),
            "citations": _mean([each.citations_right for each in judged]),
        }


def _look(entry: dict[str, Any]) -> Look | None:
    """A look from an entry of the log; None where the entry is none."""
    if f"{_PREFIX}adherence" not in entry:
        return None
    names = [name for name in Look.__struct_fields__ if name != "step"]
    return Look(entry["step"], **{name: entry[f"{_PREFIX}{name}"] for name in names})


def _mean(flags: list[bool]) -> float:
    return sum(flags) / len(flags)
