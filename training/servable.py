"""Whether a replica can serve what a run would make: asked before the first step.

The pre-flight says it of a finished adapter; to hear it after an hour's training is an
hour lost. It is the same check, on the configuration that PEFT would write.
"""

from typing import Any

import msgspec
from msgspec import UNSET

from adapters.peft_config import config_problems
from adapters.preflight import Limits
from training.config import RunConfig
from training.errors import ConfigError


def check(config: RunConfig) -> None:
    """Refuse a LoRA that no replica would mount.

    Bottlenecks, reward and whole models pass: nobody expects them to be mounted, and what is
    made of them says so.

    Raises:
        ConfigError: naming each key and what would be right.
    """
    if config.lora is None or config.method == "reward":
        return
    document: dict[str, Any] = msgspec.to_builtins(config.lora)
    document["target_modules"] = list(config.lora.target_modules)
    wrong = config_problems({"peft_type": "LORA"} | document, Limits().max_lora_rank)
    if wrong:
        raise ConfigError(f"{config.ref} could not be served: {'; '.join(wrong)}")


def why_not(config: RunConfig) -> str:
    """Why no replica serves what the run makes; nothing where one does."""
    if config.method == "reward":
        return (
            "a reward model says what answers are worth and gives none: it is for RLOO"
        )
    if config.bottleneck is not UNSET:
        return "a bottleneck adapter is no LoRA, and vLLM serves LoRA alone"
    if config.full is True:
        return (
            "a whole model is no adapter: serve it as a base, on a replica of its own"
        )
    return ""
