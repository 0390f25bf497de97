"""Both runs from end to end on a base of two layers."""

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from adapters.manifest import load
from structured.prompt import render
from training import base, config, publish, quickcheck, record
from training.config import Data
from training.data.generate import generate
from training.encode import encode, prompt_text
from training.errors import DataError, PublishError
from training.run import Places, run

CONFIGS = Path(__file__).parents[3] / "training" / "configs"
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def small(method: str) -> config.RunConfig:
    if method == "sft":
        loaded = config.load(CONFIGS / "sft.toml", method="sft")
    else:
        loaded = config.load(CONFIGS / "dpo.toml", method="dpo")
    optim = msgspec.structs.replace(
        loaded.optim, batch_size=4, epochs=1, learning_rate=0.01
    )
    wanted = loaded.preference
    return msgspec.structs.replace(
        loaded,
        max_length=2000,
        data=Data(seed=1, train=16, val=4),
        optim=optim,
        preference=wanted and msgspec.structs.replace(wanted, pairs=8),
    )


@pytest.fixture(scope="module")
def trained(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "acme-behav-lora@v1"
    run(small("sft"), Places(tiny_base, out))
    return out


def test_a_supervised_run_moves_the_loss_and_leaves_only_its_files(
    trained: Path,
) -> None:
    done = record.read_run(trained)
    losses = [entry["eval_loss"] for entry in done.log if "eval_loss" in entry]
    assert done.steps == 4
    assert done.starts == 1
    assert losses[-1] < 5.56  # the log of 259, the vocabulary's size
    assert {path.name for path in trained.iterdir()} == {
        "adapter_model.safetensors",
        "adapter_config.json",
        "README.md",  # PEFT's, which publishing replaces
        "run.json",
        "curves.svg",
        "tensorboard",
    }
    assert [path.name for path in trained.parent.iterdir()] == [trained.name]


def test_the_same_seed_gives_the_same_adapter(tiny_base: Path, trained: Path) -> None:
    again = trained.with_name("again")
    run(small("sft"), Places(tiny_base, again))
    name = publish.WEIGHTS
    assert (again / name).read_bytes() == (trained / name).read_bytes()


def test_a_preference_run_goes_on_from_its_parent(
    tiny_base: Path, trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "acme-behav-pref@v1"
    done = run(small("dpo"), Places(tiny_base, out, start=trained))
    mean = next(entry["train_loss"] for entry in done.log if "train_loss" in entry)
    assert done.steps == 2
    assert 0 < mean < 5  # log 2 at the start, and half of the answers' loss
    name = publish.WEIGHTS
    assert (out / name).read_bytes() != (trained / name).read_bytes()
    assert json.loads((out / "adapter_config.json").read_text())["r"] == 16


def test_a_published_adapter_is_sealed_and_names_no_machine(
    tiny_base: Path, trained: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    quickcheck.write(
        report, quickcheck.look(base_dir=tiny_base, adapter_dir=trained, limit=2)
    )
    out = tmp_path / "acme-behav-lora@v1"
    manifest = publish.publish(
        trained=trained, report=report, base_dir=tiny_base, out=out, now=NOW
    )
    assert {path.name for path in out.iterdir()} == {
        "adapter_model.safetensors",
        "adapter_config.json",
        "manifest.json",
        "README.md",
        "bom.json",
    }
    assert load(out) == manifest
    assert manifest.base.digest == base.verify(tiny_base).digest
    for name in ("adapter_config.json", "manifest.json", "README.md", "bom.json"):
        assert str(tiny_base.parent) not in (out / name).read_text()


def test_an_adapter_is_not_published_beside_another_base(
    tiny_base: Path, trained: Path, tmp_path: Path
) -> None:
    found = record.read_run(trained)
    other = tmp_path / "run"
    other.mkdir()
    changed = msgspec.structs.replace(found, base_digest="0" * 64)
    (other / record.RUN_RECORD).write_bytes(msgspec.json.encode(changed))
    with pytest.raises(PublishError, match="base digest"):
        publish.publish(
            trained=other,
            report=tmp_path / "none",
            base_dir=tiny_base,
            out=tmp_path / "out",
            now=NOW,
        )


def test_a_prompt_is_tokenised_in_training_as_a_chat_is_in_serving(
    tiny_base: Path,
) -> None:
    from transformers import AutoTokenizer  # noqa: PLC0415 - heavy

    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    example = generate("val")[0]
    served = tokenizer.apply_chat_template(
        [{"role": m.role, "content": m.content} for m in render(example.input)],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
    )["input_ids"]
    text = example.output.text()
    row = encode(tokenizer, example.input, text, max_length=2000)
    assert list(row.prompt) == list(served)
    assert tokenizer.decode(row.answer) == text + tokenizer.eos_token
    assert prompt_text(tokenizer, example.input).endswith("<|im_start|>assistant\n")


def test_an_example_that_is_too_long_is_refused_and_not_cut(tiny_base: Path) -> None:
    from transformers import AutoTokenizer  # noqa: PLC0415 - heavy

    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    example = generate("val")[0]
    with pytest.raises(DataError, match="max_length 10"):
        encode(tokenizer, example.input, "{}", max_length=10)
