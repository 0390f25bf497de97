"""What adapter_config.json may say, given what vLLM makes of it.

PEFT grows a switch with every release, and an engine that does not know one
ignores it: the adapter then loads and answers differently from what was
trained. So each key is either known here, or has to be empty.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

RANKS: Final = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The ranks that vLLM 0.32 takes as --max-lora-rank."""

MODULES: Final = (
    "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
)  # fmt: skip
"""The linear layers of a Llama-type decoder block."""

_FIXED: Final[Mapping[str, tuple[object, ...]]] = {
    "peft_type": ("LORA",),
    "task_type": ("CAUSAL_LM", None),
    "bias": ("none",),
    "init_lora_weights": (True, False, None, "gaussian", "eva", "orthogonal"),
    "use_rslora": (True, False),
}
"""Initialisations that change the base's weights (PiSSA, OLoRA, CorDA, LoftQ) are out."""

_FREE: Final = frozenset(
    {
        "auto_mapping", "base_model_name_or_path", "eva_config", "exclude_modules",
        "inference_mode", "layers_pattern", "layers_to_transform", "lora_dropout",
        "megatron_core", "peft_version", "qalora_group_size", "revision",
    }
)  # fmt: skip
"""Keys that matter in training alone, or only repeat what the tensors show."""

_CHECKED: Final = frozenset({"r", "lora_alpha", "target_modules"})


def config_problems(config: Mapping[str, Any], max_lora_rank: int) -> list[str]:
    """List what keeps an adapter_config.json from being served as it was trained.

    Args:
        config: the document.
        max_lora_rank: the server's --max-lora-rank.
    """
    problems = [
        *_rank_problems(config.get("r"), max_lora_rank),
        *_alpha_problems(config.get("lora_alpha")),
        *_module_problems(config.get("target_modules")),
    ]
    if "peft_type" not in config:
        problems.append("peft_type is missing; expected 'LORA'")
    for key, value in config.items():
        problems.extend(_key_problems(key, value))
    return problems


def _key_problems(key: str, value: object) -> list[str]:
    if key in _FREE or key in _CHECKED:
        return []
    allowed = _FIXED.get(key)
    if allowed is not None:
        if any(
            value is one or (isinstance(one, str) and value == one) for one in allowed
        ):
            return []
        return [f"{key} is {value!r}; expected one of {', '.join(map(repr, allowed))}"]
    if value is None or value is False or value in ({}, [], ""):
        return []
    return [f"{key} is {value!r}; plain LoRA alone is served, so it must be empty"]


def _rank_problems(rank: object, max_lora_rank: int) -> list[str]:
    if type(rank) is not int or rank not in RANKS:
        return [f"r is {rank!r}; expected one of {', '.join(map(str, RANKS))}"]
    if rank > max_lora_rank:
        return [f"r is {rank}; the server takes at most {max_lora_rank}"]
    return []


def _alpha_problems(alpha: object) -> list[str]:
    if type(alpha) in (int, float) and math.isfinite(alpha) and alpha > 0:  # pyright: ignore[reportArgumentType, reportOperatorIssue] - the type was asked for
        return []
    return [f"lora_alpha is {alpha!r}; expected a finite number above 0"]


def _module_problems(modules: object) -> list[str]:
    if not isinstance(modules, list) or not modules:
        return [f"target_modules is {modules!r}; expected a list of module names"]
    unknown = [name for name in modules if name not in MODULES]  # pyright: ignore[reportUnknownVariableType] - a JSON list holds anything
    if unknown:
        return [f"target_modules names {unknown!r}; the base has {', '.join(MODULES)}"]
    return []
