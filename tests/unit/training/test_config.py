from pathlib import Path

import msgspec
import pytest

from training.config import load
from training.errors import ConfigError

CONFIGS = Path(__file__).parents[3] / "training" / "configs"


def test_the_shipped_configurations_load() -> None:
    assert load(CONFIGS / "sft.toml", method="sft").ref == "acme-behav-lora@v1"
    assert load(CONFIGS / "dpo.toml", method="dpo").ref == "acme-behav-pref@v1"


def test_a_configuration_for_the_other_method_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="python -m training dpo"):
        load(CONFIGS / "dpo.toml", method="sft")


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sft.toml"
    path.write_text((CONFIGS / "sft.toml").read_text() + "\nwarmup = 3\n")
    with pytest.raises(ConfigError, match="warmup"):
        load(path, method="sft")


def test_a_run_without_an_adapter_shape_is_refused(tmp_path: Path) -> None:
    text = (CONFIGS / "sft.toml").read_text()
    start, stop = text.index("[lora]"), text.index("[optim]")
    path = tmp_path / "sft.toml"
    path.write_text(text[:start] + text[stop:])
    with pytest.raises(ConfigError, match=r"\[lora\]"):
        load(path, method="sft")


def test_the_digest_follows_the_values_and_not_the_file(tmp_path: Path) -> None:
    config = load(CONFIGS / "sft.toml", method="sft")
    path = tmp_path / "sft.toml"
    path.write_text("# a remark\n" + (CONFIGS / "sft.toml").read_text())
    assert load(path, method="sft").digest() == config.digest()
    assert msgspec.structs.replace(config, seed=1).digest() != config.digest()
