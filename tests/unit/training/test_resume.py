"""Kills: a run that was killed anywhere ends with the weights of one that was not."""

import importlib
import multiprocessing
import os
import resource
import signal
import time
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from random import Random  # noqa: TID251 - draws moments; nobody is bucketed by it

import msgspec
import pytest

from training import record
from training.config import (
    UNSET,
    Checkpoints,
    Data,
    Looks,
    RunConfig,
    load,
)
from training.errors import CheckpointError, TrainingError, TuneError
from training.run import Places, run

CONFIGS = Path(__file__).parents[3] / "training" / "configs"
WEIGHTS = "adapter_model.safetensors"
KILLS = 5
DEADLINE = 240
"""Seconds: a run of the tiny base takes two where nothing is beside it."""


def small(**changed: object) -> RunConfig:
    loaded = load(CONFIGS / "sft.toml")
    optim = msgspec.structs.replace(
        loaded.optim, batch_size=4, epochs=3, learning_rate=0.01
    )
    quick = msgspec.structs.replace(
        loaded,
        max_length=2000,
        data=Data(seed=1, train=60, val=4),
        optim=optim,
        checkpoints=Checkpoints(every=3),
        looks=Looks(every=7, examples=2, patience=9),
    )
    return msgspec.structs.replace(quick, **changed)


@pytest.fixture(scope="module")
def server() -> ForkServerContext:
    """Forks from a process that has imported torch once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["training.run", "training.loop", "peft"])
    return context


@pytest.fixture(scope="module")
def whole(
    tiny_base: Path, tmp_path_factory: pytest.TempPathFactory, server: ForkServerContext
) -> Path:
    out = tmp_path_factory.mktemp("whole") / "adapter"
    child = server.Process(target=quiet_run, args=(small(), Places(tiny_base, out)))
    child.start()
    child.join(DEADLINE)
    assert child.exitcode == 0
    return out


def steps_done(out: Path) -> int:
    work = out.with_name(f".{out.name}.work")
    numbers = [int(path.name.split("-")[1]) for path in work.glob("checkpoint-*")]
    return max(numbers, default=0)


def quiet_run(config: RunConfig, places: Places) -> None:
    """On one thread: how many add up a sum decides its last bits."""
    importlib.import_module("torch").set_num_threads(1)
    run(config, places)


def test_killed_at_five_random_moments_it_ends_with_the_same_weights(
    tiny_base: Path, whole: Path, tmp_path: Path, server: ForkServerContext
) -> None:
    out = tmp_path / "adapter"
    rng = Random(os.environ.get("WASTEGATE_SEED", "11"))  # noqa: S311 - not a secret
    goals = sorted(rng.sample(range(1, 36), KILLS))
    killed = 0
    for goal in goals:
        child = server.Process(target=quiet_run, args=(small(), Places(tiny_base, out)))
        child.start()
        wait_for_step(child, out, goal)
        # Anywhere in a step, a checkpoint or a look.
        time.sleep(rng.uniform(0, 0.2))  # a random moment is the matter of the test
        child.kill()
        child.join()
        killed += child.exitcode == -signal.SIGKILL
        assert not out.exists()
    last = server.Process(target=quiet_run, args=(small(), Places(tiny_base, out)))
    last.start()
    last.join(DEADLINE)
    assert last.exitcode == 0
    assert killed == KILLS
    assert (out / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
    done, plain = record.read_run(out), record.read_run(whole)
    assert done.starts != 1
    assert done.kept == plain.kept
    losses = [entry["loss"] for entry in done.log if "loss" in entry]
    assert losses == [entry["loss"] for entry in plain.log if "loss" in entry]
    assert not list(tmp_path.glob(".*"))


def wait_for_step(child: ForkServerProcess, out: Path, goal: int) -> None:
    until = time.monotonic() + DEADLINE
    while steps_done(out) < goal:
        assert child.is_alive(), "it ended before it was killed"
        assert time.monotonic() < until
        time.sleep(0.01)


def test_the_weights_are_those_of_the_best_look(whole: Path) -> None:
    done = record.read_run(whole)
    looks = [entry for entry in done.log if "eval_adherence" in entry]
    assert [entry["step"] for entry in looks] == [7, 14, 21, 28, 35, 42]
    assert done.kept in {entry["step"] for entry in looks}


def test_a_run_that_gets_no_better_ends_early(tiny_base: Path, tmp_path: Path) -> None:
    optim = msgspec.structs.replace(small().optim, learning_rate=1e-9)
    stuck = small(optim=optim, looks=Looks(every=2, examples=1, patience=2))
    done = run(stuck, Places(tiny_base, tmp_path / "adapter"))
    assert done.steps < 45


def test_a_loss_that_is_no_number_ends_the_run_and_names_the_batch(
    tiny_base: Path, tmp_path: Path
) -> None:
    optim = msgspec.structs.replace(
        small().optim, learning_rate=1e30, max_grad_norm=0.0
    )
    with pytest.raises(
        TuneError, match=r"the loss is (nan|inf) at step \d+, on train-"
    ):
        run(
            small(optim=optim, looks=UNSET, checkpoints=Checkpoints(every=100)),
            Places(tiny_base, tmp_path / "adapter"),
        )
    assert not (tmp_path / "adapter").exists()


def fill_up(config: RunConfig, places: Places, told: Path) -> None:
    """A disk that takes no file above 40 kB: the system says so as when it is full."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
    try:
        run(config, places)
    except TrainingError as error:
        told.write_text(f"{type(error).__name__}: {error}")


def test_a_full_disk_ends_the_run_with_what_to_do_and_keeps_the_checkpoint_before(
    tiny_base: Path, whole: Path, tmp_path: Path, server: ForkServerContext
) -> None:
    out, told = tmp_path / "adapter", tmp_path / "told"
    places = Places(tiny_base, out)
    begun = server.Process(target=quiet_run, args=(small(), places))
    begun.start()
    wait_for_step(begun, out, 3)
    begun.kill()
    begun.join()
    full = server.Process(target=fill_up, args=(small(), places, told))
    full.start()
    full.join(DEADLINE)
    assert full.exitcode == 0
    assert told.read_text().startswith(CheckpointError.__name__)
    assert "Make room, and run the same command again" in told.read_text()
    last = server.Process(target=quiet_run, args=(small(), places))
    last.start()
    last.join(DEADLINE)
    assert (out / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
