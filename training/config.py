"""A run's configuration: one TOML file, every value with its unit and its reason."""

import hashlib
from pathlib import Path
from typing import Literal

import msgspec

from training.errors import ConfigError


class Lora(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The adapter's shape, in PEFT's words."""

    r: int
    lora_alpha: int
    lora_dropout: float
    target_modules: tuple[str, ...]


class Optim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the adapter is moved."""

    learning_rate: float
    epochs: int
    batch_size: int
    """Examples a step; no accumulation."""
    warmup_ratio: float
    weight_decay: float
    max_grad_norm: float


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which generated examples; the generator makes the same ones again."""

    seed: int
    train: int
    val: int


class Preference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The preference objective: sigmoid DPO plus a share of plain SFT."""

    parent: str
    """Ref of the adapter to continue from; it is the reference policy, too."""
    pairs: int
    beta: float
    sft_weight: float


class RunConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One training run."""

    ref: str
    base: str
    method: Literal["sft", "dpo"]
    seed: int
    max_length: int
    """Tokens of prompt and answer; a longer example is refused, never cut."""
    data: Data
    optim: Optim
    lora: Lora | None = None
    """For SFT; a preference run keeps its parent's shape."""
    preference: Preference | None = None

    def digest(self) -> str:
        """Hex sha256 of the values; comments and order in the file do not count."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


def load(path: Path) -> RunConfig:
    """Read a TOML configuration.

    Raises:
        ConfigError: missing, malformed, or a part is absent that its method needs.
    """
    try:
        config = msgspec.toml.decode(path.read_bytes(), type=RunConfig)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if config.method == "sft" and config.lora is None:
        raise ConfigError(f"{path}: method sft needs a [lora] table")
    if config.method == "dpo" and config.preference is None:
        raise ConfigError(f"{path}: method dpo needs a [preference] table")
    return config
