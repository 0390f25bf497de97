"""A run's configuration: one TOML file, every value with its unit and its reason."""

import hashlib
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from training.errors import ConfigError
from training.fields import Fields


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
    words: Literal["deep", "wide"] = "deep"
    """Training words: few subjects said in many ways, or many said in few."""


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
    """For a fresh adapter; what goes on from another keeps its shape."""
    start: str | None = None
    """For SFT: the name of the stage whose adapter this one goes on from."""
    preference: Preference | None = None
    fields: Fields | UnsetType = UNSET
    """For SFT: what the tokens of the key fields weigh in the loss; all alike, unset."""

    def digest(self) -> str:
        """Hex sha256 of the values; comments and order in the file do not count."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


def load(path: Path, *, method: Literal["sft", "dpo"]) -> RunConfig:
    """Read the TOML configuration of a run by `method`.

    Raises:
        ConfigError: missing, malformed, of the other method, or without the part
            that its method needs.
    """
    try:
        config = msgspec.toml.decode(path.read_bytes(), type=RunConfig)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if config.method != method:
        raise ConfigError(
            f"{path}: method is {config.method}; `python -m training {config.method}`"
            " runs it"
        )
    if method == "sft" and (config.lora is None) == (config.start is None):
        raise ConfigError(
            f"{path}: method sft needs either a [lora] table or `start`, not both"
        )
    if method == "dpo" and config.preference is None:
        raise ConfigError(f"{path}: method dpo needs a [preference] table")
    return config
