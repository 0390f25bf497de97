"""The model that a run moves: a base, and what of it learns."""

import logging
from pathlib import Path
from typing import Any

from msgspec import UNSET

from training.config import Lora, Quantised, RunConfig
from training.errors import ConfigError, DataError


def loaded(config: RunConfig, base_dir: Path) -> tuple[Any, Any]:
    """A run's base and its tokenizer. Raises ConfigError, as `load_base` does."""
    if config.backend is not UNSET:
        from training import fast  # noqa: PLC0415 - a back end that is not used elsewhere

        return fast.load_base(config, base_dir)
    quantised = None if config.quantised is UNSET else config.quantised
    return load_base(base_dir, seed=config.seed, quantised=quantised)


def load_base(
    base_dir: Path, *, seed: int, quantised: Quantised | None = None
) -> tuple[Any, Any]:
    """The base model and its tokenizer.

    In float32: bfloat16 is emulated on CPUs without it, and no step ends there.

    Args:
        base_dir: the prepared base.
        seed: for whatever is drawn from here on, the adapter's first weights included.
        quantised: load the weights of the linear layers in four bits.

    Raises:
        ConfigError: four bits are asked for, and bitsandbytes is not there.
    """
    if quantised is None:
        # At import it warns of a kernel that only four bits would use.
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    import torch  # noqa: PLC0415 - heavy, and absent where only data is made
    from transformers import (  # noqa: PLC0415 - as above
        AutoModelForCausalLM,
        AutoTokenizer,
        set_seed,
    )

    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(base_dir)
    more = {} if quantised is None else {"quantization_config": _four_bits(quantised)}
    model = AutoModelForCausalLM.from_pretrained(base_dir, dtype=torch.float32, **more)
    return model, tokenizer


def tuned(model: Any, config: RunConfig, start: Path | None) -> Any:
    """Put on a base what a configuration lets learn.

    Args:
        model: the base, as `load_base` gives it.
        config: with exactly one way to tune, which `config.load` has seen to.
        start: the run or the adapter to go on from, where the configuration names one.

    Raises:
        ConfigError: a directory to go on from is missing, or not asked for.
        DataError: there is no adapter in it.
    """
    named = config.preference.parent if config.preference else config.start
    if (named is None) != (start is None):
        raise ConfigError(
            f"the configuration goes on from {named or 'nothing'};"
            " give its directory with --from, and none without"
        )
    if start is not None:
        return continued(model, start)
    if config.lora is not None:
        return _fresh(model, config, config.lora)
    if config.bottleneck is not UNSET:
        from training.bottleneck import with_bottleneck  # noqa: PLC0415 - imports torch

        return with_bottleneck(model, size=config.bottleneck.size)
    return model.requires_grad_(requires_grad=True)


def _fresh(model: Any, config: RunConfig, shape: Lora) -> Any:
    if config.backend is not UNSET:
        from training import fast  # noqa: PLC0415 - as above

        return fast.with_lora(model, config, shape)
    if config.method == "reward":
        from training.head import with_head  # noqa: PLC0415 - of one method alone

        return with_lora(with_head(model), shape, kind="SEQ_CLS")
    return with_lora(model, shape)


def continued(model: Any, adapter_dir: Path) -> Any:
    """Put a trained adapter on the model, to be trained on (in float32).

    Raises:
        DataError: there is none, or it is of another base.
    """
    from peft import PeftModel  # noqa: PLC0415 - heavy

    from training import bottleneck  # noqa: PLC0415 - imports torch

    if bottleneck.is_in(adapter_dir):
        return bottleneck.load(model, adapter_dir)
    try:
        return PeftModel.from_pretrained(model, str(adapter_dir), is_trainable=True)
    except (OSError, ValueError) as error:
        raise DataError(f"{adapter_dir} holds no adapter: {error}") from error


def save(model: Any, directory: Path) -> None:
    """Write what was moved of a model, with its configuration."""
    from training import bottleneck  # noqa: PLC0415 - imports torch

    if bottleneck.has_bottleneck(model):
        bottleneck.save(model, directory)
    else:
        model.save_pretrained(directory, safe_serialization=True)


def with_lora(model: Any, shape: Lora, *, kind: str = "CAUSAL_LM") -> Any:
    """Put a fresh LoRA on the model; over four bits, its weights stay float32.

    Args:
        model: the base.
        shape: the adapter's.
        kind: PEFT's `task_type`; of "SEQ_CLS", a head learns and is saved with it.
    """
    import torch  # noqa: PLC0415 - heavy
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415 - heavy

    on: Any = get_peft_model(
        model,
        LoraConfig(
            r=shape.r,
            lora_alpha=shape.lora_alpha,
            lora_dropout=shape.lora_dropout,
            target_modules=list(shape.target_modules),
            task_type=kind,
        ),
    )
    for parameter in on.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(torch.float32)
    return on


def body(model: Any) -> Any:
    """The causal language model under whatever was put on it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _four_bits(quantised: Quantised) -> Any:
    import importlib.util  # noqa: PLC0415 - beside its only use

    import torch  # noqa: PLC0415 - heavy
    from transformers import BitsAndBytesConfig  # noqa: PLC0415 - heavy

    if importlib.util.find_spec("bitsandbytes") is None:
        raise ConfigError(
            "[quantised] needs bitsandbytes, which this environment lacks:"
            " `make .venv-trainer` installs it"
        )
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=quantised.kind,
        bnb_4bit_use_double_quant=quantised.double,
        bnb_4bit_compute_dtype=torch.float32,
    )
