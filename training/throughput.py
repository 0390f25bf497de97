"""Throughput: the worker's steps beside plain TRL's, on the same examples in one run.

Both train a LoRA of one shape on the same base, batch size and examples, each several
times in turn, so that what else the machine does meets both. Tokens are those of the
examples; padding is work that nobody asked for, so it is not counted.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from training import models, supervised
from training.checkpoints import Owner, Work
from training.config import Checkpoints, Lora, RunConfig
from training.encode import prompt_text
from training.examples import Example


class Speed(msgspec.Struct, frozen=True):
    """Tokens per second of the runs of one of the two."""

    name: str
    runs: tuple[float, ...]

    @property
    def median(self) -> float:
        """Of its runs."""
        return statistics.median(self.runs)


class Compared(msgspec.Struct, frozen=True):
    """Both, and what they were given."""

    ours: Speed
    trl: Speed
    examples: int
    tokens: int

    @property
    def ratio(self) -> float:
        """Ours over TRL's, of the medians."""
        return self.ours.median / self.trl.median


def compare(
    config: RunConfig, base_dir: Path, data_dir: Path, *, count: int, rounds: int
) -> Compared:
    """Train both on the first examples of a curated set, `rounds` times in turn.

    Args:
        config: of a supervised run with a LoRA; its epochs and looks do not count.
        base_dir: the prepared base.
        data_dir: what `python -m training curate` wrote.
        count: how many examples, one epoch of them.
        rounds: runs of each.
    """
    chosen = supervised.split(config, data_dir)[0][:count]
    once = msgspec.structs.replace(
        config,
        fields=UNSET,
        looks=UNSET,
        checkpoints=Checkpoints(every=100_000),
        optim=msgspec.structs.replace(config.optim, epochs=1),
    )
    _, tokenizer = models.load_base(base_dir, seed=0)
    tokens = sum(supervised.row(tokenizer, each, once).length for each in chosen)
    found: dict[str, list[float]] = {"ours": [], "trl": []}
    steps: dict[str, Callable[[RunConfig, Path, tuple[Example, ...]], float]]
    steps = {"trl": _trl, "ours": _ours}
    for number in range(rounds):
        for name, run in steps.items():
            found[name].append(tokens / run(once, base_dir, chosen))
            print(f"{number + 1}. {name}: {found[name][-1]:.0f} tokens/s", flush=True)  # noqa: T201 - a benchmark's progress
    return Compared(
        Speed("this worker", tuple(found["ours"])),
        Speed("plain TRL", tuple(found["trl"])),
        len(chosen),
        tokens,
    )


def table(seen: Compared) -> str:
    """Both as Markdown."""
    rows = "\n".join(
        f"| {each.name} | {each.median:.0f} | {', '.join(f'{v:.0f}' for v in each.runs)} |"
        for each in (seen.ours, seen.trl)
    )
    return (
        f"{seen.examples} examples, {seen.tokens:,} tokens, {len(seen.ours.runs)} runs"
        " of each in turn.\n\n"
        f"| | tokens/s, median | each run |\n|---|--:|---|\n{rows}\n\n"
        f"Ratio: {seen.ratio:.2f}"
    )


def _ours(config: RunConfig, base_dir: Path, chosen: tuple[Example, ...]) -> float:
    from training.loop import fit  # noqa: PLC0415 - imports torch

    model, tokenizer = models.load_base(base_dir, seed=config.seed)
    model = models.tuned(model, config, None)
    task = supervised.encoded(config, tokenizer, chosen, ())
    with tempfile.TemporaryDirectory() as scratch:
        work = Work(Path(scratch) / "run", Owner("", "", ""))
        work.open(fresh=True)
        started = time.perf_counter()
        fit(model, config, task, tokenizer=tokenizer, work=work)
        return time.perf_counter() - started


def _trl(config: RunConfig, base_dir: Path, chosen: tuple[Example, ...]) -> float:
    import trl  # noqa: PLC0415 - heavy
    from datasets import Dataset  # noqa: PLC0415 - heavy

    model, tokenizer = models.load_base(base_dir, seed=config.seed)
    lines = [
        {"prompt": prompt_text(tokenizer, each.input), "completion": each.output.text()}
        for each in chosen
    ]
    with tempfile.TemporaryDirectory() as scratch:
        trainer: Any = trl.SFTTrainer(
            model=model,
            args=trl.SFTConfig(
                output_dir=scratch,
                per_device_train_batch_size=config.optim.batch_size,
                num_train_epochs=1,
                learning_rate=config.optim.learning_rate,
                max_length=config.max_length,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                use_cpu=True,
                bf16=False,
                gradient_checkpointing=False,
                dataloader_pin_memory=False,
                seed=config.seed,
            ),
            train_dataset=Dataset.from_list(lines),
            processing_class=tokenizer,
            peft_config=_peft(config.lora) if config.lora else None,
        )
        started = time.perf_counter()
        trainer.train()
        return time.perf_counter() - started


def _peft(shape: Lora) -> Any:
    from peft import LoraConfig  # noqa: PLC0415 - heavy

    return LoraConfig(
        r=shape.r,
        lora_alpha=shape.lora_alpha,
        lora_dropout=shape.lora_dropout,
        target_modules=list(shape.target_modules),
        task_type="CAUSAL_LM",
    )
