from pathlib import Path

import msgspec
import pytest

from training.__main__ import main
from training.checkpoints import Owner, Whole, Work, alone
from training.errors import CheckpointError

OWNER = Owner(config="c", data="d", base="b")


def opened(tmp_path: Path, owner: Owner = OWNER) -> Work:
    work = Work(tmp_path / "adapter", owner)
    work.open(fresh=False)
    return work


def checkpoint(work: Work, step: int) -> Path:
    path = work.path / f"checkpoint-{step}"
    path.mkdir()
    (path / "state").write_text("…")
    return path


def test_a_checkpoint_counts_once_it_is_marked_as_whole(tmp_path: Path) -> None:
    work = opened(tmp_path)
    assert work.newest() is None
    whole = checkpoint(work, 25)
    work.finish(whole, Whole(25, 3.0, 1))
    checkpoint(work, 50)
    assert work.newest() == (whole, Whole(25, 3.0, 1))
    assert not (work.path / "checkpoint-50").exists()


def test_the_two_newest_checkpoints_stay(tmp_path: Path) -> None:
    work = opened(tmp_path)
    for step in (5, 10, 100, 105):
        work.finish(checkpoint(work, step), Whole(step, 1.0, 1))
    left = sorted(path.name for path in work.path.glob("checkpoint-*"))
    assert left == ["checkpoint-100", "checkpoint-105"]


@pytest.mark.parametrize("part", ["config", "data", "base"])
def test_work_of_another_run_is_not_gone_on_with(tmp_path: Path, part: str) -> None:
    work = opened(tmp_path)
    work.finish(checkpoint(work, 5), Whole(5, 1.0, 1))
    other = Work(tmp_path / "adapter", msgspec.structs.replace(OWNER, **{part: "x"}))
    with pytest.raises(CheckpointError, match=f"another {part}.*--fresh"):
        other.open(fresh=False)
    assert work.newest() is not None
    other.open(fresh=True)
    assert other.newest() is None


def test_a_directory_whose_owner_was_not_written_yet_is_begun_anew(
    tmp_path: Path,
) -> None:
    work = Work(tmp_path / "adapter", OWNER)
    (work.path / "checkpoint-5").mkdir(parents=True)
    work.open(fresh=False)
    assert work.newest() is None


def test_only_the_best_look_is_kept(tmp_path: Path) -> None:
    work = opened(tmp_path)

    class Model:
        def save_pretrained(self, path: Path, **_: object) -> None:
            path.mkdir()
            (path / "weights").write_text("…")

    work.keep(10, Model())
    work.keep(20, Model())
    work.forget(but=20)
    assert [path.name for path in work.path.glob("kept-*")] == ["kept-20"]
    work.done()
    assert not work.path.exists()


def test_two_at_once_do_not_write_the_same_work(tmp_path: Path) -> None:
    out = tmp_path / "adapter"
    with (
        alone(out),
        pytest.raises(CheckpointError, match="another process trains"),
        alone(out),
    ):
        pytest.fail("both went in")
    with alone(out):
        pass
    assert not list(tmp_path.iterdir())


def test_work_that_is_thrown_away_still_keeps_others_off(tmp_path: Path) -> None:
    out = tmp_path / "adapter"
    with alone(out):
        opened(tmp_path)
        Work(out, OWNER).open(fresh=True)
        with pytest.raises(CheckpointError, match="another process trains"), alone(out):
            pytest.fail("both went in")


def test_a_second_command_for_the_same_run_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "adapter"
    words = ["run", "lab/sft.toml", "--base", str(tmp_path), "--out", str(out)]
    with alone(out):
        assert main(words) == 1
    assert "another process trains" in capsys.readouterr().err
