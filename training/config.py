"""A run's configuration: one TOML file, every value with its unit and its reason."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from training.errors import ConfigError
from training.fields import Fields
from training.rewarded import Judge, Judged, Rloo, Rules

Method = Literal["sft", "dpo", "orpo", "rloo", "reward"]

_Positive = Annotated[int, Meta(ge=1)]
_Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]


class Lora(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The adapter's shape, in PEFT's words."""

    r: int
    lora_alpha: int
    lora_dropout: float
    target_modules: tuple[str, ...]
    use_dora: bool | UnsetType = UNSET
    """PEFT's switches that no replica serves; they are refused with the reason."""
    lora_bias: bool | UnsetType = UNSET
    modules_to_save: tuple[str, ...] | UnsetType = UNSET
    init_lora_weights: bool | str | UnsetType = UNSET


class Bottleneck(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Houlsby's adapter behind each layer's MLP; cannot be served by vLLM."""

    size: _Positive
    """Width of the bottleneck, in units of the hidden state's width."""


class Quantised(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """QLoRA: the base in four bits while the adapter learns."""

    kind: Literal["nf4", "fp4"] = "nf4"
    double: bool = True
    """Quantise the scales, too: 0.4 bits a weight less."""


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


class Curated(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which curated data set: what `python -m training curate` wrote."""

    digest: _Digest
    """Of `train.jsonl`: sha256."""
    limit: _Positive | UnsetType = UNSET
    """So many examples alone, evenly over all; at an equal budget, or in a hurry. The set
    is in the order of its dates, and what comes first is not of all intents alike."""


class Preference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The preference objective: sigmoid DPO plus a share of plain SFT."""

    parent: str
    """Ref of the adapter to continue from; it is the reference policy, too."""
    pairs: int
    beta: float
    sft_weight: float


class Orpo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """ORPO: supervised loss and log odds ratio in one, without a reference."""

    odds_weight: Annotated[float, Meta(gt=0)]
    """The paper's lambda."""


class Pairs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which preference pairs: a file of JSON lines."""

    digest: _Digest
    """sha256 of the file."""


class Looks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Now and then a look at what the adapter can: the best look is what is kept."""

    every: _Positive
    """Steps between looks."""
    examples: _Positive
    """Validation examples that are answered, greedily."""
    patience: _Positive
    """Looks without a better one, after which the run ends."""
    losses: _Positive | UnsetType = UNSET
    """Validation examples that give the loss; all without. With 256 of them
    and 48 answers a look took 146 s on two cores."""


class Checkpoints(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a killed run goes on from."""

    every: _Positive = 25
    """Steps: about two minutes' work is what a kill costs at most on two cores."""


class RunConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One training run. What came later is absent by default: old digests hold."""

    ref: str
    base: str
    method: Method
    seed: int
    max_length: int
    """Tokens of prompt and answer; a longer example is refused, never cut."""
    optim: Optim
    data: Data | UnsetType = UNSET
    curated: Curated | UnsetType = UNSET
    lora: Lora | None = None
    """For a fresh adapter; what goes on from another keeps its shape."""
    bottleneck: Bottleneck | UnsetType = UNSET
    full: bool | UnsetType = UNSET
    """Move the whole model; what comes of it is a base of its own, and no adapter."""
    quantised: Quantised | UnsetType = UNSET
    start: str | None = None
    """The name of the stage, or the ref of the adapter, that this one goes on from."""
    preference: Preference | None = None
    orpo: Orpo | UnsetType = UNSET
    pairs: Pairs | UnsetType = UNSET
    rloo: Rloo | UnsetType = UNSET
    reward: Rules | Judged | UnsetType = UNSET
    judge: Judge | UnsetType = UNSET
    fields: Fields | UnsetType = UNSET
    """For SFT: what the tokens of the key fields weigh in the loss; all alike, unset."""
    base_digest: _Digest | UnsetType = UNSET
    """The base must be this one; unset, the one that its own record names."""
    max_target: _Positive | UnsetType = UNSET
    """Tokens of an answer; a longer one is refused, for a cut one would be learnt."""
    looks: Looks | UnsetType = UNSET
    checkpoints: Checkpoints | UnsetType = UNSET
    backend: Literal["unsloth"] | UnsetType = UNSET
    """Load a base and its fresh [lora] through unsloth's kernels, on a GPU host."""

    def digest(self) -> str:
        """Hex sha256 of the values; comments and order in the file do not count."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()

    def given(self) -> frozenset[str]:
        """Names of the optional parts that are there."""
        values = msgspec.structs.asdict(self)
        return frozenset(
            name
            for name, value in values.items()
            if value is not UNSET and value is not None and value is not False
        )


ONE_OF: Final[Mapping[Method, tuple[tuple[frozenset[str], str], ...]]] = {
    "sft": (
        (frozenset({"data", "curated"}), "one of [data] and [curated]"),
        (
            frozenset({"lora", "bottleneck", "full", "start"}),
            "one of [lora], [bottleneck], full = true and start",
        ),
    ),
    "dpo": (
        (frozenset({"preference"}), "a [preference] table"),
        (frozenset({"data", "pairs"}), "one of [data] and [pairs]"),
    ),
    "orpo": (
        (frozenset({"orpo"}), "an [orpo] table"),
        (frozenset({"pairs"}), "a [pairs] table"),
        (frozenset({"lora", "start"}), "one of [lora] and start"),
    ),
    "rloo": (
        (frozenset({"rloo"}), "an [rloo] table"),
        (frozenset({"reward"}), "a [reward] table"),
        (frozenset({"data", "curated"}), "one of [data] and [curated]"),
        (frozenset({"start"}), "start, an adapter that can answer already"),
    ),
    "reward": (
        (frozenset({"judge"}), "a [judge] table"),
        (frozenset({"pairs"}), "a [pairs] table"),
        (frozenset({"lora"}), "a [lora] table"),
    ),
}
"""Of each set, by method, a configuration has exactly one."""

_REWARDED: Final = frozenset({"rloo", "reward", "judge"})
_SHAPES: Final = frozenset({"bottleneck", "full"})

NEVER: Final[Mapping[Method, frozenset[str]]] = {
    "sft": _REWARDED | {"preference", "orpo", "pairs"},
    "dpo": _REWARDED | _SHAPES | {"orpo", "fields", "lora", "curated"},
    "orpo": _REWARDED | _SHAPES | {"preference", "fields", "data", "curated"},
    "rloo": _SHAPES | {"preference", "orpo", "pairs", "judge", "fields", "lora"},
    "reward": _SHAPES
    | {"preference", "orpo", "rloo", "reward", "fields", "data", "curated"}
    | {"start", "looks", "backend"},
}
"""Parts that a method makes nothing of."""


def load(path: Path, *, method: Method | None = None) -> RunConfig:
    """Read the TOML configuration of a run, by `method` if one is named.

    Raises:
        ConfigError: missing, malformed, of another method, or without what its
            method needs, or with what its method makes nothing of.
    """
    return parse(read(path), name=str(path), method=method)


def read(path: Path) -> str:
    """The text of a configuration, unchecked. Raises ConfigError."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error


def parse(text: str, *, name: str, method: Method | None = None) -> RunConfig:
    """Check the text of a run's configuration, as it travels with a job.

    Args:
        text: TOML.
        name: where it is from, for the error's sentence.
        method: the one that it must be by, if one is named.

    Raises:
        ConfigError: as `load`, but for a file that is missing.
    """
    try:
        config = msgspec.toml.decode(text, type=RunConfig)
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from error
    if method is not None and config.method != method:
        raise ConfigError(
            f"{name}: method is {config.method}; `python -m training {config.method}`"
            " runs it"
        )
    if why := wrong(config):
        raise ConfigError(f"{name}: {why}")
    return config


def wrong(config: RunConfig) -> str:
    """Say what a configuration has too much or too little of; nothing if it is right."""
    given = config.given()
    for choices, said in ONE_OF[config.method]:
        if len(choices & given) != 1:
            there = ", ".join(sorted(choices & given)) or "none"
            return f"a run by {config.method} needs {said}; there is {there}"
    if useless := NEVER[config.method] & given:
        return (
            f"a run by {config.method} makes nothing of {', '.join(sorted(useless))}:"
            " leave it out"
        )
    if "backend" in given and "lora" not in given:
        return "backend is for a fresh [lora]: what goes on from another needs none"
    if "quantised" in given and "lora" not in given:
        return "[quantised] is for a fresh [lora]: nothing else learns on four bits"
    return ""
