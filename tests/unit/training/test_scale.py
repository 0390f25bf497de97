"""Several processes, which are to make what one makes."""

import functools
import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from training import (
    config,
    head,
    models,
    objectives,
    preference,
    processes,
    record,
    reward,
)
from training.config import Lora, RunConfig
from training.encode import Encoded, pad
from training.run import Places, run

ROOT: Final = Path(__file__).parents[3]
CONFIGS: Final = ROOT / "training" / "configs"
DEADLINE: Final = 540
"""Seconds: two processes of the tiny base take ten where nothing is beside them."""
SFT: Final = """
ref = "acme-behav-lora@v1"
base = "smollm2-135m-instruct@1.0"
method = "sft"
seed = 3
max_length = 2000
data = { seed = 1, train = 13, val = 3 }
lora = { r = 8, lora_alpha = 16, lora_dropout = 0.0, target_modules = ["q_proj", "down_proj"] }
fields = { status = 3.0, citations = 2.0 }
looks = { every = 3, examples = 1, patience = 9 }
checkpoints = { every = 2 }
[optim]
learning_rate = 0.01
epochs = 1
batch_size = 3
warmup_ratio = 0.1
weight_decay = 0.0
max_grad_norm = 1.0
"""
"""Batches of three and, at last, of one: two processes never have the same."""
RLOO: Final = """
ref = "acme-behav-rloo@v1"
base = "smollm2-135m-instruct@1.0"
method = "rloo"
start = "sft"
seed = 4
max_length = 2000
data = { seed = 1, train = 5, val = 0 }
rloo = { samples = 2, temperature = 1.0, max_answer = 6, beta = 0.1 }
reward = { kind = "rules", valid = 1.0, status = 1.0, citations = 1.0, value = 1.0, brevity = 0.5 }
[optim]
learning_rate = 0.01
epochs = 2
batch_size = 2
warmup_ratio = 0.1
weight_decay = 0.0
max_grad_norm = 1.0
"""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    importlib.import_module("torch").set_num_threads(1)


def loaded(text: str, directory: Path) -> tuple[RunConfig, Path]:
    path = directory / "run.toml"
    path.write_text(text)
    return config.load(path), path


class Told(NamedTuple):
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str


def launched(count: int, *argv: str) -> Told:
    """The command line in so many processes, as on a host with as many GPUs."""
    # Without --multi_gpu, accelerate starts one process where there is no GPU.
    how = ["--multi_gpu", "--num_processes", str(count), "--num_machines", "1"]
    how += ["--main_process_port", "0", "--mixed_precision", "no"]
    command = [sys.executable, "-m", "accelerate.commands.launch", *how]
    child = subprocess.Popen(  # noqa: S603 - this interpreter, our own code
        [*command, "--dynamo_backend", "no", "-m", "training", *argv],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        out, err = child.communicate(timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        child.terminate()  # the launcher ends its processes; killed, it would leave them
        child.communicate()
        raise
    return Told(child.returncode, out, err)


@pytest.fixture(scope="module")
def alone(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    importlib.import_module("torch").set_num_threads(1)
    directory = tmp_path_factory.mktemp("alone")
    settings, _ = loaded(SFT, directory)
    run(settings, Places(tiny_base, directory / "sft"))
    return directory / "sft"


def far(one: Path, other: Path) -> float:
    """The largest difference of a weight."""
    safetensors = importlib.import_module("safetensors.torch")
    name = "adapter_model.safetensors"
    mine, theirs = (safetensors.load_file(each / name) for each in (one, other))
    assert mine.keys() == theirs.keys()
    return max(float((mine[key] - theirs[key]).abs().max()) for key in mine)


def close(one: Path, other: Path, *names: str) -> None:
    mine, theirs = (record.read_run(each).log for each in (one, other))
    assert [entry.keys() for entry in mine] == [entry.keys() for entry in theirs]
    for name in names:
        told = [[e[name] for e in log if name in e] for log in (mine, theirs)]
        assert told[0]
        assert told[0] == pytest.approx(told[1], abs=1e-4)


def test_two_processes_make_the_adapter_of_one_and_write_it_once(
    tiny_base: Path, alone: Path, tmp_path: Path
) -> None:
    _, path = loaded(SFT, tmp_path)
    out = tmp_path / "out" / "sft"
    done = launched(2, "run", str(path), "--base", str(tiny_base), "--out", str(out))
    assert done.code == 0, done.err
    close(out, alone, "loss", "grad_norm", "eval_loss")
    assert far(out, alone) < 1e-4
    assert record.read_run(out).steps == 5
    assert [each.name for each in out.parent.iterdir()] == ["sft"]
    told = done.out.splitlines()
    assert len([line for line in told if "13 examples" in line]) == 1
    assert len([line for line in told if "5 steps in" in line]) == 1
    assert len([line for line in told if "step 5/5  eval_loss" in line]) == 1


def test_two_processes_draw_what_one_draws(
    tiny_base: Path, alone: Path, tmp_path: Path
) -> None:
    settings, path = loaded(RLOO, tmp_path)
    run(settings, Places(tiny_base, tmp_path / "one", start=alone))
    two = tmp_path / "two"
    places = ("--base", str(tiny_base), "--from", str(alone), "--out", str(two))
    done = launched(2, "run", str(path), *places)
    assert done.code == 0, done.err
    close(two, tmp_path / "one", "loss", "kl", "reward", "answer_tokens")
    assert far(two, tmp_path / "one") < 1e-4


# The parts of a loss

ROWS: Final = (
    Encoded((1, 40, 41, 42), (50, 51, 2), (1.0, 3.0, 1.0)),
    Encoded((1, 43), (60, 61, 62, 63, 64, 65, 2), (2.0,) * 7),
    Encoded((1, 43, 44), (70, 2), (1.0, 1.0)),
)
SHAPE: Final = Lora(4, 8, 0.0, ("q_proj", "v_proj", "down_proj"))


def rows_of(kept: range) -> dict[str, Any]:
    return pad([ROWS[i] for i in kept], pad_id=2)


def pairs_of(kept: range) -> dict[str, Any]:
    made = [preference.PairRow(ROWS[i], ROWS[i - 1], (-5.0, -9.0 + i)) for i in kept]
    return preference.pad_pairs(made, pad_id=2)


def drawn_of(kept: range) -> dict[str, Any]:
    import torch  # noqa: PLC0415 - heavy; the data tests need none

    rows = [ROWS[(i + j) % 3] for i in kept for j in range(2)]
    return pad(rows, pad_id=2) | {
        "rewards": torch.tensor([float(i * j) for i in kept for j in (1, 2)]),
        "reference": torch.tensor([-9.0 - i for i in kept for _ in (1, 2)]),
        "told": {},
    }


LOSSES: Final[
    dict[str, tuple[Callable[..., Any], Callable[[range], dict[str, Any]]]]
] = {
    "sft": (objectives.sft_loss, rows_of),
    "orpo": (functools.partial(objectives.orpo_loss, odds_weight=0.3), pairs_of),
    "dpo": (
        functools.partial(objectives.preference_loss, beta=0.2, sft_weight=0.5),
        pairs_of,
    ),
    "rloo": (
        functools.partial(objectives.rloo_loss, beta=0.1, samples=2, temperature=1.0),
        drawn_of,
    ),
    "reward": (reward.reward_loss, pairs_of),
}


@pytest.mark.parametrize("method", LOSSES)
def test_the_parts_of_a_loss_and_of_its_gradients_sum_to_the_whole(
    tiny_base: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch  # noqa: PLC0415 - heavy; the data tests need none

    loss, batch = LOSSES[method]
    model, _ = models.load_base(tiny_base, seed=0)
    kind = "CAUSAL_LM"
    if method == "reward":
        model, kind = head.with_head(model), "SEQ_CLS"
        torch.nn.init.normal_(model.score.weight)
    model = models.with_lora(model, SHAPE, kind=kind)
    learnt = [p for p in model.parameters() if p.requires_grad]
    counts: list[Any] = []

    def counted(part: Any) -> Any:
        counts.append(part)
        return part

    monkeypatch.setattr(objectives, "everywhere", counted)
    whole = loss(model, batch(range(3)))
    slopes = torch.autograd.grad(whole, learnt)
    parts, sums = 0.0, [torch.zeros_like(each) for each in slopes]
    for kept in (range(2), range(2, 3), range(1)):
        left = iter(counts)
        monkeypatch.setattr(objectives, "everywhere", lambda _, left=left: next(left))
        # The last one is a process that has no row of its own.
        part = loss(model, batch(kept) | {"spare": kept == range(1)})
        parts += float(part.detach())
        for total, slope in zip(sums, torch.autograd.grad(part, learnt), strict=True):
            total.add_(slope)
    assert parts == pytest.approx(float(whole.detach()), abs=1e-5)
    for mine, theirs in zip(sums, slopes, strict=True):
        assert float((mine - theirs).abs().max()) < 1e-5


def test_every_row_is_one_processs_and_none_is_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    shares: list[tuple[tuple[int, ...], bool]] = []
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        shares.append((processes.share((7, 5)), processes.spare((7, 5))))
    assert shares == [((7,), False), ((5,), False), ((7,), True)]
