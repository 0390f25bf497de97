"""Every way to tune, from end to end on a base of two layers."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from training import examples, models, preference, quickcheck, record
from training.config import (
    UNSET,
    Bottleneck,
    Curated,
    Data,
    Orpo,
    Pairs,
    Quantised,
    RunConfig,
    load,
)
from training.data.generate import generate
from training.data.pairs import make_pairs
from training.errors import BaseError, ConfigError, DataError
from training.run import Places, run

CONFIGS = Path(__file__).parents[3] / "training" / "configs"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    import torch  # noqa: PLC0415 - heavy

    torch.set_num_threads(1)


def small(**changed: object) -> RunConfig:
    loaded = load(CONFIGS / "sft.toml")
    quick = msgspec.structs.replace(
        loaded,
        max_length=2000,
        data=Data(seed=1, train=16, val=4),
        optim=msgspec.structs.replace(
            loaded.optim, batch_size=4, epochs=1, learning_rate=0.01
        ),
    )
    return msgspec.structs.replace(quick, **changed)


def first_losses(out: Path) -> tuple[float, float]:
    losses = [entry["loss"] for entry in record.read_run(out).log if "loss" in entry]
    return losses[0], losses[-1]


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"lora": None, "bottleneck": Bottleneck(8)},
        {"lora": None, "full": True},
        {"quantised": Quantised()},
    ],
    ids=["lora", "bottleneck", "full", "qlora"],
)
def test_every_way_to_tune_starts_at_the_base_and_moves_the_loss(
    tiny_base: Path, tmp_path: Path, changed: dict[str, object]
) -> None:
    out = tmp_path / "adapter"
    run(small(**changed), Places(tiny_base, out))
    first, last = first_losses(out)
    assert first == pytest.approx(5.6, abs=0.2)  # the log of 259, give or take
    assert last < first


def test_a_bottleneck_is_saved_by_itself_and_loaded_as_it_was(
    tiny_base: Path, tmp_path: Path
) -> None:
    import torch  # noqa: PLC0415 - heavy

    out = tmp_path / "adapter"
    run(small(lora=None, bottleneck=Bottleneck(8)), Places(tiny_base, out))
    assert json.loads((out / "adapter_config.json").read_text()) == {
        "peft_type": "BOTTLENECK",
        "size": 8,
    }
    assert (out / "adapter_model.safetensors").stat().st_size < 30_000
    model, _ = quickcheck.load(tiny_base, out)
    plain, _ = models.load_base(tiny_base, seed=0)
    ids = torch.tensor([[1, 40, 41]])
    with torch.no_grad():
        assert not torch.allclose(model(ids).logits, plain.eval()(ids).logits)


def test_a_bottleneck_of_another_base_is_refused(
    tiny_base: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file  # noqa: PLC0415 - imports torch

    out = tmp_path / "adapter"
    run(small(lora=None, bottleneck=Bottleneck(8)), Places(tiny_base, out))
    weights = out / "adapter_model.safetensors"
    kept = dict(list(load_file(weights).items())[1:])
    save_file(kept, weights)
    with pytest.raises(DataError, match="of another base"):
        quickcheck.load(tiny_base, out)


def curated(tmp_path: Path) -> tuple[Path, Curated]:
    chosen = generate("train", count=16, seed=1)
    (tmp_path / "train.jsonl").write_bytes(examples.dumps(chosen))
    (tmp_path / "val.jsonl").write_bytes(examples.dumps(generate("val", count=4)))
    return tmp_path, Curated(examples.digest(chosen))


def test_a_curated_set_is_trained_on_if_it_is_the_configurations(
    tiny_base: Path, tmp_path: Path
) -> None:
    data, named = curated(tmp_path)
    config = small(data=UNSET, curated=named)
    done = run(config, Places(tiny_base, tmp_path / "adapter", data))
    assert (done.data_digest, done.examples) == (named.digest, 16)
    other = small(data=UNSET, curated=Curated("0" * 64))
    with pytest.raises(DataError, match="curate again, or name this one"):
        run(other, Places(tiny_base, tmp_path / "other", data))


def test_a_set_of_one_intent_and_an_empty_one_are_refused(
    tiny_base: Path, tmp_path: Path
) -> None:
    data, _ = curated(tmp_path)
    one = tuple(e for e in generate("train", count=16) if e.intent == "refuse")
    (data / "train.jsonl").write_bytes(examples.dumps(one))
    config = small(data=UNSET, curated=Curated(examples.digest(one)))
    with pytest.raises(DataError, match="of one intent"):
        run(config, Places(tiny_base, tmp_path / "adapter", data))
    (data / "train.jsonl").write_bytes(b"")
    with pytest.raises(DataError, match="is empty"):
        run(config, Places(tiny_base, tmp_path / "adapter", data))


def test_an_answer_beyond_max_target_is_refused_with_its_id(
    tiny_base: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"the answer of train-\S+ has \d+ tokens"):
        run(small(max_target=10), Places(tiny_base, tmp_path / "adapter"))


def test_a_base_that_is_not_the_configurations_is_refused(
    tiny_base: Path, tmp_path: Path
) -> None:
    with pytest.raises(BaseError, match="prepare that base, or name this one"):
        run(small(base_digest="0" * 64), Places(tiny_base, tmp_path / "adapter"))


def orpo(data: Path, **changed: object) -> RunConfig:
    pairs = make_pairs(count=8, seed=1)
    (data / "pairs.jsonl").write_bytes(preference.dumps(pairs))
    named = Pairs(preference.pairs_digest(pairs))
    return small(method="orpo", data=UNSET, orpo=Orpo(0.1), pairs=named, **changed)


def test_orpo_runs_from_the_base_on_a_file_of_pairs(
    tiny_base: Path, tmp_path: Path
) -> None:
    config = orpo(tmp_path)
    done = run(config, Places(tiny_base, tmp_path / "adapter", tmp_path))
    assert done.steps == 2
    assert (tmp_path / "adapter" / "adapter_model.safetensors").is_file()


def test_a_run_goes_on_from_an_adapter_only_where_it_says_so(
    tiny_base: Path, tmp_path: Path
) -> None:
    first = tmp_path / "first"
    run(small(), Places(tiny_base, first))
    with pytest.raises(ConfigError, match="goes on from nothing"):
        run(small(), Places(tiny_base, tmp_path / "second", start=first))
    config = orpo(tmp_path, lora=None, start="first")
    with pytest.raises(ConfigError, match=r"goes on from first.*--from"):
        run(config, Places(tiny_base, tmp_path / "second", tmp_path))
    done = run(config, Places(tiny_base, tmp_path / "second", tmp_path, first))
    assert [stage.config.method for stage in done.earlier] == ["sft"]


def toml(values: dict[str, Any]) -> str:
    plain = {k: v for k, v in values.items() if not isinstance(v, dict)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in plain.items()]
    for name in values.keys() - plain.keys():
        lines += [
            f"[{name}]",
            *(f"{k} = {json.dumps(v)}" for k, v in values[name].items()),
        ]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (
            {"lora": None},
            r"needs one of \[lora\], \[bottleneck\], full = true and start",
        ),
        ({"full": True}, "there is full, lora"),
        ({"orpo": {"odds_weight": 0.1}}, "makes nothing of orpo"),
        ({"curated": {"digest": "0" * 64}}, r"one of \[data\] and \[curated\]"),
        ({"quantised": {}, "lora": None, "full": True}, "nothing else learns"),
        ({"max_target": 0}, "max_target"),
    ],
)
def test_a_configuration_with_too_much_or_too_little_says_what_is_right(
    tmp_path: Path, broken: dict[str, object], said: str
) -> None:
    values = msgspec.to_builtins(load(CONFIGS / "sft.toml")) | broken
    path = tmp_path / "run.toml"
    path.write_text(toml({k: v for k, v in values.items() if v is not None}))
    with pytest.raises(ConfigError, match=said):
        load(path)
