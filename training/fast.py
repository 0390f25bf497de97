"""unsloth as the back end on a host with a GPU: its kernels under the same objectives.

It patches transformers when it is imported, so it is imported here alone and first. It
was never run by this project, which has no GPU; what is tested is what it is asked for.
"""

import importlib
from pathlib import Path
from typing import Any, Final

from msgspec import UNSET

from training.config import Lora, RunConfig
from training.errors import ConfigError

LOCK: Final = "locks/trainer-unsloth.txt"


def load_base(config: RunConfig, base_dir: Path) -> tuple[Any, Any]:
    """The base and its tokenizer, as unsloth loads them.

    Raises:
        ConfigError: it is not installed, or finds no GPU; or other four bits than its.
    """
    wanted = config.quantised
    if wanted is not UNSET and (wanted.kind, wanted.double) != ("nf4", True):
        raise ConfigError(
            'unsloth\'s four bits are kind = "nf4" and double = true: say so in'
            " [quantised], or leave `backend` out"
        )
    fast = _model_class()
    from transformers import set_seed  # noqa: PLC0415 - after unsloth, which patches it

    set_seed(config.seed)
    model, tokenizer = fast.from_pretrained(
        model_name=str(base_dir),
        max_seq_length=config.max_length,
        dtype=None,  # what the GPU is best at
        load_in_4bit=wanted is not UNSET,
    )
    return model, tokenizer


def with_lora(model: Any, config: RunConfig, shape: Lora) -> Any:
    """Put a fresh LoRA on what `load_base` gave."""
    return _model_class().get_peft_model(
        model,
        r=shape.r,
        lora_alpha=shape.lora_alpha,
        lora_dropout=shape.lora_dropout,
        target_modules=list(shape.target_modules),
        bias="none",
        use_gradient_checkpointing=False,
        random_state=config.seed,
        max_seq_length=config.max_length,
    )


def _model_class() -> Any:
    try:
        return importlib.import_module("unsloth").FastLanguageModel
    # Where there is no GPU it does not import, and says so by the second.
    except (ImportError, NotImplementedError) as error:
        raise ConfigError(
            'backend = "unsloth" needs a GPU and an environment of its own, from'
            f" {LOCK}: {error}; without `backend` the run is done by transformers and PEFT"
        ) from error
