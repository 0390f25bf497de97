"""The supervised run: LoRA on every projection, loss on the answer only."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from training import base, examples
from training.config import Lora, RunConfig
from training.data.generate import generate
from training.encode import Encoded, encode, pad
from training.errors import ConfigError, DataError
from training.files import whole_directory
from training.objectives import sft_loss

RUN_RECORD = "run.json"


class Run(msgspec.Struct, frozen=True):
    """What a finished run leaves beside its adapter, for the manifest."""

    config: RunConfig
    config_digest: str
    base_digest: str
    data_digest: str
    examples: int
    seconds: float
    steps: int
    log: tuple[dict[str, float], ...]
    versions: dict[str, str]
    earlier: tuple["Run", ...] = ()
    """The stages that this one went on from, the first one first."""


def train(
    config: RunConfig,
    *,
    base_dir: Path,
    out: Path,
    start: Path | None = None,
    max_steps: int = -1,
) -> Run:
    """Train and write adapter and run record to `out`, whole or not at all.

    Args:
        config: of method "sft".
        base_dir: the prepared base checkpoint.
        out: directory for the adapter.
        start: the run to go on from, if the configuration names one.
        max_steps: stop early; -1 runs all epochs.

    Raises:
        ConfigError: no LoRA shape and nothing to go on from, or both.
        BaseError: the base is not there, or not what it was.
        DataError: an example exceeds `max_length`.
    """
    if (config.start is None) != (start is None):
        raise ConfigError(
            f"the configuration goes on from {config.start or 'nothing'};"
            " give that run's directory with --start, and none without"
        )
    record = base.verify(base_dir, ref=config.base)
    data = config.data
    chosen = generate("train", count=data.train, seed=data.seed, words=data.words)
    watched = generate("val", count=data.val, seed=data.seed, words=data.words)
    model, tokenizer = load_base(base_dir, seed=config.seed)
    rows = [_row(tokenizer, example, config) for example in chosen]
    checks = [_row(tokenizer, example, config) for example in watched]
    _say_size(rows, config)
    earlier: tuple[Run, ...] = ()
    if start is not None:
        model, before = continued(model, start), read_run(start)
        earlier = (*before.earlier, msgspec.structs.replace(before, earlier=()))
    elif config.lora is not None:
        model = with_lora(model, config.lora)
    with whole_directory(out) as draft:
        started = time.perf_counter()
        log, steps = fit(
            model,
            config,
            rows=rows,
            checks=checks,
            pad_id=int(tokenizer.pad_token_id),
            loss=sft_loss,
            scratch=draft / "scratch",
            max_steps=max_steps,
        )
        run = Run(
            config=config,
            config_digest=config.digest(),
            base_digest=record.digest,
            data_digest=examples.digest(chosen),
            examples=len(chosen),
            seconds=round(time.perf_counter() - started, 1),
            steps=steps,
            log=tuple(log),
            versions=versions(),
            earlier=earlier,
        )
        save(model, draft, run)
    return run


def continued(model: Any, adapter_dir: Path) -> Any:
    """Put a trained adapter on the model, to be trained on (in float32)."""
    from peft import PeftModel  # noqa: PLC0415 - heavy

    tuned: Any = PeftModel.from_pretrained(model, str(adapter_dir), is_trainable=True)
    return tuned


def read_run(trained: Path) -> Run:
    """Read a run's record.

    Raises:
        DataError: there is none.
    """
    try:
        return msgspec.json.decode((trained / RUN_RECORD).read_bytes(), type=Run)
    except (OSError, msgspec.MsgspecError) as error:
        raise DataError(f"{trained} holds no finished run: {error}") from error


def load_base(base_dir: Path, *, seed: int) -> tuple[Any, Any]:
    """The base model in float32 (bfloat16 is emulated on these CPUs) and tokenizer."""
    import torch  # noqa: PLC0415 - heavy, and absent where only data is made
    from transformers import (  # noqa: PLC0415 - as above
        AutoModelForCausalLM,
        AutoTokenizer,
        set_seed,
    )

    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(base_dir)
    model = AutoModelForCausalLM.from_pretrained(base_dir, dtype=torch.float32)
    return model, tokenizer


def fit(  # noqa: PLR0913 - one call assembles a run; each argument is one of its parts
    model: Any,
    config: RunConfig,
    *,
    rows: Sequence[Any],
    checks: Sequence[Any],
    pad_id: int,
    loss: Callable[[Any, dict[str, Any]], Any],
    scratch: Path,
    max_steps: int = -1,
    collate: Callable[..., dict[str, Any]] = pad,
) -> tuple[list[dict[str, float]], int]:
    """Move the adapter with transformers' Trainer.

    The Trainer brings schedule, clipping, evaluation and, on bigger machines,
    accelerate; the objective comes in as a function.

    Returns:
        The log (loss, learning rate, epoch …) and the number of steps.
    """
    import shutil  # noqa: PLC0415 - beside its only use

    import torch  # noqa: PLC0415 - heavy, and absent where only data is made
    from transformers import (  # noqa: PLC0415 - as above
        PrinterCallback,
        Trainer,
        TrainingArguments,
    )

    from training.progress import Progress  # noqa: PLC0415 - imports transformers

    class ObjectiveTrainer(Trainer):
        def compute_loss(self, model: Any, inputs: Any, *args: Any, **kw: Any) -> Any:
            value = loss(model, inputs)
            return (value, {}) if kw.get("return_outputs") else value

        def prediction_step(
            self, model: Any, inputs: Any, *args: Any, **kw: Any
        ) -> Any:
            with torch.no_grad():
                value = loss(model, self._prepare_inputs(inputs))
            return value.detach(), None, None

    optim = config.optim
    steps_an_epoch = -(-len(rows) // optim.batch_size)
    total = max_steps if max_steps > 0 else steps_an_epoch * optim.epochs
    arguments = TrainingArguments(
        output_dir=str(scratch),
        per_device_train_batch_size=optim.batch_size,
        per_device_eval_batch_size=optim.batch_size,
        num_train_epochs=optim.epochs,
        max_steps=max_steps,
        learning_rate=optim.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=max(1, round(total * optim.warmup_ratio)),
        weight_decay=optim.weight_decay,
        max_grad_norm=optim.max_grad_norm,
        train_sampling_strategy="group_by_length",
        eval_strategy="epoch" if checks else "no",
        save_strategy="no",
        report_to="none",
        logging_steps=5,
        disable_tqdm=True,
        remove_unused_columns=False,
        label_names=["labels"],
        use_cpu=not torch.cuda.is_available(),
        bf16=False,
        gradient_checkpointing=False,
        dataloader_pin_memory=False,
        seed=config.seed,
    )
    trainer = ObjectiveTrainer(
        model=model,
        args=arguments,
        train_dataset=Rows(rows),
        eval_dataset=Rows(checks) if checks else None,
        data_collator=lambda batch: collate(
            [item["row"] for item in batch], pad_id=pad_id
        ),
        callbacks=[Progress()],
    )
    trainer.remove_callback(PrinterCallback)  # Progress says it for people
    trainer.train()
    shutil.rmtree(scratch, ignore_errors=True)
    log = [
        {key: float(value) for key, value in entry.items()}
        for entry in trainer.state.log_history
    ]
    return log, trainer.state.global_step


class Rows:
    """Encoded rows as a data set that the Trainer can sort by length."""

    def __init__(self, rows: Sequence[Any]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        """How many rows."""
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One row; `input_ids` is there for its length alone."""
        row = self._rows[index]
        return {"row": row, "input_ids": range(row.length)}


def save(model: Any, draft: Path, run: Run) -> None:
    """Write adapter weights, PEFT's configuration and the run record."""
    model.save_pretrained(draft, safe_serialization=True)
    text = msgspec.json.format(msgspec.json.encode(run), indent=2)
    (draft / RUN_RECORD).write_bytes(text + b"\n")


def versions() -> dict[str, str]:
    """Versions of what decides a run's numbers."""
    import importlib.metadata  # noqa: PLC0415 - beside its only use

    names = ("torch", "transformers", "peft", "trl", "accelerate")
    found: dict[str, str] = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _row(tokenizer: Any, example: examples.Example, config: RunConfig) -> Encoded:
    return encode(
        tokenizer,
        example.input,
        example.output.text(),
        max_length=config.max_length,
        fields=config.fields or None,
    )


def with_lora(model: Any, shape: Lora) -> Any:
    """Put a fresh LoRA on the model."""
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415 - heavy

    return get_peft_model(
        model,
        LoraConfig(
            r=shape.r,
            lora_alpha=shape.lora_alpha,
            lora_dropout=shape.lora_dropout,
            target_modules=list(shape.target_modules),
            task_type="CAUSAL_LM",
        ),
    )


def _say_size(rows: Sequence[Encoded], config: RunConfig) -> None:
    tokens = sum(row.length for row in rows)
    learnt = sum(len(row.answer) for row in rows)
    print(  # noqa: T201 - a worker's progress
        f"{config.ref}: {len(rows)} examples, {tokens / len(rows):.0f} tokens each,"
        f" {learnt / len(rows):.0f} of them learnt",
        flush=True,
    )
