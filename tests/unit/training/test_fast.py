"""unsloth by a stand-in: what it is asked for, and what is said where it is not."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import msgspec
import pytest

from training import config, fast, models
from training.config import Quantised, RunConfig
from training.errors import ConfigError

ROOT: Final = Path(__file__).parents[3]
CONFIGS: Final = ROOT / "training" / "configs"


class FastLanguageModel:
    """Stands in for unsloth's: notes what it is asked for."""

    asked: dict[str, dict[str, Any]] = {}  # noqa: RUF012 - emptied by the fixture

    @classmethod
    def from_pretrained(cls, **kw: Any) -> tuple[str, str]:
        cls.asked["from_pretrained"] = kw
        return "model", "tokenizer"

    @classmethod
    def get_peft_model(cls, model: str, **kw: Any) -> str:
        cls.asked["get_peft_model"] = kw
        return f"tuned {model}"


@pytest.fixture
def unsloth(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    module = ModuleType("unsloth")
    module.FastLanguageModel = FastLanguageModel  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "unsloth", module)
    FastLanguageModel.asked = {}
    return FastLanguageModel.asked


def fast_run(directory: Path, **changed: object) -> RunConfig:
    path = directory / "run.toml"
    path.write_text(f'backend = "unsloth"\n{(CONFIGS / "sft.toml").read_text()}')
    settings = config.load(path)
    return msgspec.structs.replace(settings, **changed)


def test_unsloth_loads_the_base_and_makes_the_lora(
    unsloth: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    settings = fast_run(tmp_path)
    model, tokenizer = models.loaded(settings, tmp_path)
    assert (model, tokenizer) == ("model", "tokenizer")
    assert models.tuned(model, settings, None) == "tuned model"
    assert unsloth["from_pretrained"] == {
        "model_name": str(tmp_path),
        "max_seq_length": 320,
        "dtype": None,
        "load_in_4bit": False,
    }
    asked = unsloth["get_peft_model"]
    assert (asked["r"], asked["lora_alpha"], asked["lora_dropout"]) == (16, 32, 0.0)
    assert asked["target_modules"][:2] == ["q_proj", "k_proj"]
    assert asked["random_state"] == 20261
    assert asked["bias"] == "none"
    models.loaded(fast_run(tmp_path, quantised=Quantised()), tmp_path)
    assert unsloth["from_pretrained"]["load_in_4bit"] is True
    with pytest.raises(ConfigError, match='kind = "nf4" and double = true'):
        models.loaded(fast_run(tmp_path, quantised=Quantised("fp4")), tmp_path)


def test_without_unsloth_the_sentence_names_its_lock(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "unsloth", None)
    with pytest.raises(ConfigError, match=r"locks/trainer-unsloth\.txt") as caught:
        models.loaded(fast_run(tmp_path), tmp_path)
    assert (ROOT / fast.LOCK).is_file()
    assert "without `backend`" in str(caught.value)


def test_unsloth_is_for_a_fresh_lora(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(f'backend = "unsloth"\n{(CONFIGS / "rloo.toml").read_text()}')
    with pytest.raises(ConfigError, match=r"backend is for a fresh \[lora\]"):
        config.load(path)


def test_without_what_came_later_a_digest_is_what_it_was() -> None:
    plain = msgspec.json.encode(config.load(CONFIGS / "sft.toml"))
    names = msgspec.json.decode(plain, type=dict[str, Any])
    assert not {"backend", "rloo", "reward", "judge"} & names.keys()
