"""Runs by RLOO from end to end on a base of two layers, killed ones among them."""

import importlib
import multiprocessing
import signal
import time
from pathlib import Path

import msgspec
import pytest

from training import config, judges, record
from training.config import UNSET, Checkpoints, Data, Looks, RunConfig
from training.errors import ConfigError, DataError
from training.rewarded import Rloo
from training.run import Places, run

CONFIGS = Path(__file__).parents[3] / "training" / "configs"
WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    importlib.import_module("torch").set_num_threads(1)


def small_sft() -> RunConfig:
    loaded = config.load(CONFIGS / "sft.toml")
    optim = msgspec.structs.replace(
        loaded.optim, batch_size=4, epochs=1, learning_rate=0.01
    )
    return msgspec.structs.replace(
        loaded, max_length=2000, data=Data(seed=1, train=16, val=4), optim=optim
    )


def small(**changed: object) -> RunConfig:
    loaded = config.load(CONFIGS / "rloo.toml")
    optim = msgspec.structs.replace(
        loaded.optim, batch_size=2, epochs=2, learning_rate=0.003
    )
    quick = msgspec.structs.replace(
        loaded,
        max_length=2000,
        base_digest=UNSET,
        max_target=UNSET,
        curated=UNSET,
        data=Data(seed=1, train=10, val=2),
        optim=optim,
        rloo=Rloo(samples=3, temperature=1.0, max_answer=8, beta=0.05),
        looks=UNSET,
        checkpoints=Checkpoints(every=2),
    )
    return msgspec.structs.replace(quick, **changed)


@pytest.fixture(scope="module")
def started(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    importlib.import_module("torch").set_num_threads(1)
    out = tmp_path_factory.mktemp("runs") / "sft"
    run(small_sft(), Places(tiny_base, out))
    return out


@pytest.fixture
def wordy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random answers are never valid: one that has many small letters is better."""

    def by_letters(*_: object) -> judges.Judge:
        return lambda answered: [
            sum(letter.islower() for letter in each.said.text) / 8 for each in answered
        ]

    monkeypatch.setattr(judges, "by_rules", by_letters)


@pytest.mark.usefixtures("wordy")
def test_a_run_earns_more_and_tells_of_reward_and_kl(
    tiny_base: Path, started: Path, tmp_path: Path
) -> None:
    optim = msgspec.structs.replace(small().optim, epochs=5, learning_rate=0.02)
    out = tmp_path / "rloo"
    done = run(small(optim=optim), Places(tiny_base, out, start=started))
    steps = [entry for entry in done.log if "reward" in entry]
    assert len(steps) == done.steps == 25
    assert steps[0]["kl"] == pytest.approx(0.0, abs=1e-3)
    assert steps[-1]["kl"] != 0
    rewards = [entry["reward"] for entry in steps]
    assert sum(rewards[-8:]) > sum(rewards[:8])
    assert done.earlier[0].config.method == "sft"
    assert (out / WEIGHTS).read_bytes() != (started / WEIGHTS).read_bytes()


def quiet_run(settings: RunConfig, places: Places) -> None:
    importlib.import_module("torch").set_num_threads(1)
    run(settings, places)


def test_a_killed_run_draws_the_same_and_ends_with_the_same_weights(
    tiny_base: Path, started: Path, tmp_path: Path
) -> None:
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["training.run", "training.loop", "peft"])
    whole, out = tmp_path / "whole", tmp_path / "killed"
    looks = Looks(every=4, examples=1, patience=9)
    run(small(looks=looks), Places(tiny_base, whole, start=started))
    places = Places(tiny_base, out, start=started)
    child = server.Process(target=quiet_run, args=(small(looks=looks), places))
    child.start()
    until = time.monotonic() + 240
    while not list(tmp_path.glob(".killed.work/checkpoint-4/whole.json")):
        assert child.is_alive(), "it ended before it was killed"
        assert time.monotonic() < until
        time.sleep(0.01)
    child.kill()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    done = run(small(looks=looks), places)
    plain = record.read_run(whole)
    assert done.starts == 2
    assert (out / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
    for name in ("loss", "reward", "kl", "answer_tokens", "eval_loss"):
        told = [entry[name] for entry in done.log if name in entry]
        assert told == [entry[name] for entry in plain.log if name in entry]


def test_the_shipped_configuration_loads_and_needs_its_start(
    tiny_base: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="--from"):
        run(small(), Places(tiny_base, tmp_path / "out"))


def test_a_reward_that_is_not_asked_for_is_refused(
    tiny_base: Path, started: Path, tmp_path: Path
) -> None:
    places = Places(tiny_base, tmp_path / "out", start=started, reward=tmp_path)
    with pytest.raises(ConfigError, match="leave --reward out"):
        run(small(), places)
    with pytest.raises(ConfigError, match="has no reward"):
        run(small_sft(), Places(tiny_base, tmp_path / "out", reward=tmp_path))


def test_a_prompt_that_leaves_no_room_for_an_answer_is_refused(
    tiny_base: Path, started: Path, tmp_path: Path
) -> None:
    long = Rloo(samples=2, temperature=1.0, max_answer=1900, beta=0.0)
    places = Places(tiny_base, tmp_path / "out", start=started)
    with pytest.raises(DataError, match="max_answer 1900"):
        run(small(rloo=long), places)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('start = "acme-behav-lora@v2"', "start, an adapter"),
        ('kind = "rules"', "kind"),
        ("samples = 4", "samples"),
    ],
)
def test_a_configuration_without_what_it_needs_is_refused(
    line: str, said: str, tmp_path: Path
) -> None:
    text = (CONFIGS / "rloo.toml").read_text()
    assert line in text
    path = tmp_path / "rloo.toml"
    path.write_text(text.replace(line, ""))
    with pytest.raises(ConfigError, match=said):
        config.load(path)
