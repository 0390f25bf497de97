"""Progress: one line every few steps for people, and TensorBoard's events for curves."""

import time
from pathlib import Path
from typing import Any, Final

from transformers import TrainerCallback

from training import processes

_SHOWN: Final = {
    "loss": ".4f",
    "reward": ".3f",
    "kl": ".3f",
    "eval_loss": ".4f",
    "eval_accuracy": ".0%",
    "eval_adherence": ".0%",
    "eval_status": ".0%",
    "eval_citations": ".0%",
}
"""What a line tells, of what is logged."""

EVERY: Final = 5
"""Steps between lines; looks have one of their own."""


class Progress(TrainerCallback):
    """Print step, what was seen, and the time that is left; write events."""

    def __init__(self, events: Path) -> None:
        """Args: events: the directory for TensorBoard, which makes curves of them."""
        self._events = events
        self._began = 0.0
        self._first = 0
        self._writer: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
        """Start the clock; a run that goes on counts from where it does."""
        from tensorboardX import SummaryWriter  # noqa: PLC0415 - imports protobuf

        self._began = time.perf_counter()
        self._first = state.global_step
        if state.is_world_process_zero:
            # What was written after the checkpoint is written again: it is cut off.
            self._writer = SummaryWriter(str(self._events), purge_step=self._first + 1)

    def on_log(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
        """Print and write what was just logged."""
        logs: dict[str, float] = kw.get("logs") or {}
        step = state.global_step
        for name, value in logs.items():
            if self._writer is not None:
                self._writer.add_scalar(name, value, step)
        told = [f"{n} {logs[n]:{form}}" for n, form in _SHOWN.items() if n in logs]
        due = step % EVERY == 0 or "eval_loss" in logs
        if not told or not due or step <= self._first:
            return
        spent = time.perf_counter() - self._began
        left = spent / (step - self._first) * (state.max_steps - step)
        processes.say(
            f"step {step}/{state.max_steps}  {'  '.join(told)}"
            f"  {spent:.0f} s done, {left:.0f} s to go"
        )

    def on_train_end(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
        """All events to the disk."""
        if self._writer is not None:
            self._writer.close()
