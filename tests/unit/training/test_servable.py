from pathlib import Path

import msgspec
import pytest

from training import config, servable
from training.config import Bottleneck, RunConfig
from training.errors import ConfigError

CONFIGS = Path(__file__).parents[3] / "training" / "configs"


def loaded() -> RunConfig:
    return config.load(CONFIGS / "sft.toml")


def test_what_ships_can_be_served() -> None:
    servable.check(loaded())
    assert servable.why_not(loaded()) == ""


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"lora_bias": True}, "lora_bias"),
        ({"modules_to_save": ("lm_head",)}, "modules_to_save"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights"),
        ({"init_lora_weights": "olora"}, "init_lora_weights"),
        ({"r": 12}, "r is 12"),
        ({"r": 32}, "at most 16"),
        ({"target_modules": ("embed_tokens",)}, "embed_tokens"),
        ({"lora_alpha": 0}, "lora_alpha"),
    ],
)
def test_what_no_replica_mounts_is_refused_before_the_first_step(
    changed: dict[str, object], named: str
) -> None:
    good = loaded()
    assert good.lora is not None
    bad = msgspec.structs.replace(
        good, lora=msgspec.structs.replace(good.lora, **changed)
    )
    with pytest.raises(ConfigError, match=named):
        servable.check(bad)


def test_a_bottleneck_and_a_whole_model_say_why_they_are_not_served() -> None:
    bottleneck = msgspec.structs.replace(loaded(), lora=None, bottleneck=Bottleneck(8))
    servable.check(bottleneck)
    assert "vLLM serves LoRA alone" in servable.why_not(bottleneck)
    whole = msgspec.structs.replace(loaded(), lora=None, full=True)
    assert "no adapter" in servable.why_not(whole)
