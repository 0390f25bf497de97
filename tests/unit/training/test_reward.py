"""Reward models: their loss, a run, what RLOO makes of them, and that none leaves."""

import importlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from training import config, judges, preference, publish, record, reward, servable
from training.assistant import pairs as assistant_pairs
from training.config import (
    UNSET,
    Checkpoints,
    Data,
    Lora,
    Optim,
    Pairs,
    RunConfig,
)
from training.data.generate import generate
from training.data.pairs import Pair, make_pairs
from training.encode import encode, pad
from training.errors import ConfigError, DataError, PublishError
from training.files import sha256_file
from training.judges import Answered
from training.rank import Said
from training.rewarded import Judge, Judged, Rloo
from training.run import Places, run

CONFIGS = Path(__file__).parents[3] / "training" / "configs"
BASE = "smollm2-135m-instruct@1.0"
MADE = make_pairs(count=40, seed=3)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    importlib.import_module("torch").set_num_threads(1)


def loud(pair: Pair) -> Pair:
    """A difference that even the tiny base sees: a rejected answer ends in noise."""
    return msgspec.structs.replace(pair, rejected=pair.chosen + " ZZZZ")


PAIRS = tuple(loud(pair) for pair in MADE)


def settings(**changed: object) -> RunConfig:
    plain = RunConfig(
        ref="acme-behav-reward@v1",
        base=BASE,
        method="reward",
        seed=5,
        max_length=2000,
        optim=Optim(
            learning_rate=0.01,
            epochs=2,
            batch_size=4,
            warmup_ratio=0.1,
            weight_decay=0.0,
            max_grad_norm=1.0,
        ),
        lora=Lora(4, 8, 0.0, ("q_proj", "v_proj", "down_proj")),
        pairs=Pairs(preference.pairs_digest(PAIRS)),
        judge=Judge(held_out=8),
        checkpoints=Checkpoints(every=4),
    )
    return msgspec.structs.replace(plain, **changed)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pairs")
    (directory / preference.PAIRS).write_bytes(preference.dumps(PAIRS))
    return directory


@pytest.fixture(scope="module")
def trained(
    tiny_base: Path, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    importlib.import_module("torch").set_num_threads(1)
    out = tmp_path_factory.mktemp("runs") / "reward"
    run(settings(), Places(tiny_base, out, data=data))
    return out


@pytest.fixture(scope="module")
def scorer(tiny_base: Path, trained: Path) -> Any:
    return reward.load(tiny_base, trained, digest=sha256_file(trained / reward.WEIGHTS))


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Path) -> Any:
    from transformers import AutoTokenizer  # noqa: PLC0415 - heavy

    return AutoTokenizer.from_pretrained(tiny_base)


def test_a_run_learns_what_is_held_out_and_keeps_the_head(trained: Path) -> None:
    safetensors = importlib.import_module("safetensors.torch")
    done = record.read_run(trained)
    seen = [entry for entry in done.log if "eval_accuracy" in entry]
    assert seen[0]["step"] == 8
    assert seen[-1]["eval_accuracy"] == 1.0
    assert seen[-1]["eval_loss"] < seen[0]["eval_loss"] < 0.6931
    losses = [entry["loss"] for entry in done.log if "loss" in entry]
    assert len(losses) == done.steps == 16
    assert losses[0] == pytest.approx(0.6931, abs=1e-4)  # the head begins at nothing
    names = safetensors.load_file(trained / reward.WEIGHTS).keys()
    assert any("score" in name for name in names)
    assert any("lora_A" in name for name in names)


def test_the_loss_and_its_gradients_are_those_of_a_plain_reference(
    scorer: Any, tokenizer: Any
) -> None:
    import torch  # noqa: PLC0415 - heavy

    rows = [preference.pair_row(tokenizer, pair, settings()) for pair in MADE[:3]]
    body = scorer.get_base_model()
    head = body.score.modules_to_save["default"].weight.requires_grad_()

    def alone(row: Any) -> Any:
        ids = torch.tensor([[*row.prompt, *row.answer]])
        return body.model(input_ids=ids).last_hidden_state[0, -1] @ head[0]

    plain = torch.stack(
        [(alone(row.rejected) - alone(row.chosen)).exp().log1p() for row in rows]
    ).mean()
    mine = reward.reward_loss(scorer, preference.pad_pairs(rows, pad_id=2))
    assert float(mine.detach()) == pytest.approx(float(plain.detach()), abs=1e-5)
    slopes = [torch.autograd.grad(loss, head)[0] for loss in (mine, plain)]
    head.requires_grad_(requires_grad=False)
    assert float((slopes[0] - slopes[1]).abs().max()) < 1e-5


def test_what_was_saved_scores_as_what_was_trained(
    scorer: Any, tokenizer: Any, trained: Path
) -> None:
    _, held = reward.split(PAIRS, 8)
    rows = [preference.pair_row(tokenizer, pair, settings()) for pair in held]
    seen = reward.looked(scorer, rows, pad_id=2)
    logged = [e for e in record.read_run(trained).log if "eval_accuracy" in e][-1]
    assert seen["loss"] == pytest.approx(logged["eval_loss"], abs=1e-5)
    assert seen["accuracy"] == logged["eval_accuracy"]


def test_all_pairs_of_an_input_are_held_out_or_none() -> None:
    twice = (*PAIRS, *(msgspec.structs.replace(p, id=p.id + "-b") for p in PAIRS))
    learnt, held = reward.split(twice, 9)
    assert len(learnt) + len(held) == len(twice)
    assert 9 <= len(held) <= 12
    inputs = {msgspec.json.encode(pair.input) for pair in learnt}
    assert not inputs & {msgspec.json.encode(pair.input) for pair in held}
    assert reward.split(twice, 9) == (learnt, held)


def test_pairs_that_leave_nothing_to_learn_from_are_refused() -> None:
    with pytest.raises(DataError, match="held_out is 40"):
        reward.split(PAIRS, 40)


def test_another_reward_model_than_the_configurations_is_refused(
    tiny_base: Path, trained: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="give that reward model, or name this one"):
        reward.load(tiny_base, trained, digest="0" * 64)
    with pytest.raises(DataError, match="holds no reward model"):
        reward.load(tiny_base, tmp_path, digest="0" * 64)


def test_a_cut_answer_is_worth_what_the_configuration_says(
    scorer: Any, tokenizer: Any
) -> None:
    example = generate("val")[0]
    row = encode(tokenizer, example.input, example.output.text(), max_length=2000)
    whole = Answered(example, row, Said("", 3, finished=True))
    cut = Answered(example, row, Said("", 3, finished=False))
    judged = judges.by_model(scorer, 2, -7.5)([whole, cut])
    assert judged[0] == pytest.approx(
        float(reward.scores(scorer, pad([row], pad_id=2)))
    )
    assert judged[1] == -7.5


def test_rloo_draws_towards_a_reward_model(
    tiny_base: Path, trained: Path, tmp_path: Path
) -> None:
    sft = config.load(CONFIGS / "sft.toml")
    quick = msgspec.structs.replace(sft.optim, batch_size=4, epochs=1)
    sft = msgspec.structs.replace(
        sft, max_length=2000, data=Data(seed=1, train=8, val=0), optim=quick
    )
    start = tmp_path / "sft"
    run(sft, Places(tiny_base, start))
    judged = Judged(digest=sha256_file(trained / reward.WEIGHTS), unfinished=-4.0)
    wanted = msgspec.structs.replace(
        config.load(CONFIGS / "rloo.toml"),
        max_length=2000,
        base_digest=UNSET,
        max_target=UNSET,
        curated=UNSET,
        looks=UNSET,
        data=Data(seed=1, train=4, val=0),
        rloo=Rloo(samples=2, temperature=1.0, max_answer=6, beta=0.0),
        reward=judged,
        optim=msgspec.structs.replace(quick, batch_size=2),
    )
    places = Places(tiny_base, tmp_path / "rloo", start=start)
    with pytest.raises(ConfigError, match="give its run by --reward"):
        run(wanted, places)
    done = run(wanted, msgspec.structs.replace(places, reward=trained))
    told = [entry["reward"] for entry in done.log if "reward" in entry]
    assert len(told) == 2
    assert "--reward REWARD" in publish.command(wanted)


def test_a_reward_model_is_neither_served_nor_published(
    tiny_base: Path, trained: Path, tmp_path: Path
) -> None:
    servable.check(settings())
    assert "it is for RLOO" in servable.why_not(settings())
    with pytest.raises(PublishError, match="is not published: a reward model says"):
        publish.publish(
            trained=trained,
            report=tmp_path / "none",
            base_dir=tiny_base,
            out=tmp_path / "out",
            now=datetime(2026, 1, 2, tzinfo=UTC),
        )
    assert not (tmp_path / "out").exists()


def test_the_shipped_configuration_is_of_a_fresh_lora(tmp_path: Path) -> None:
    shipped = CONFIGS / "reward.toml"
    assert config.load(shipped).method == "reward"
    path = tmp_path / "reward.toml"
    path.write_text(f'start = "x"\n{shipped.read_text()}')
    with pytest.raises(ConfigError, match="makes nothing of start"):
        config.load(path)


def test_the_pairs_of_the_shipped_configuration_are_those_that_are_made() -> None:
    wanted = config.load(CONFIGS / "reward.toml")
    assert wanted.pairs
    made = assistant_pairs.make_pairs()
    assert preference.pairs_digest(made) == wanted.pairs.digest
