"""Progress on standard output: one line every few steps, for people and for logs."""

import time
from typing import Any

from transformers import TrainerCallback


class Progress(TrainerCallback):
    """Print step, loss and the time that is left."""

    def __init__(self) -> None:
        self._started = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def on_log(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
        """Print what was just logged."""
        logs: dict[str, float] = kw.get("logs") or {}
        name = next((key for key in ("eval_loss", "loss") if key in logs), None)
        if name is None or not state.global_step:
            return
        spent = time.perf_counter() - self._started
        left = spent / state.global_step * (state.max_steps - state.global_step)
        print(  # noqa: T201 - a worker's progress
            f"step {state.global_step}/{state.max_steps}"
            f"  {name} {float(logs[name]):.4f}"
            f"  {spent:.0f} s done, {left:.0f} s to go",
            flush=True,
        )
