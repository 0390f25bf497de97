from pathlib import Path

import pytest

from training.files import whole_directory


def write_and_fail(target: Path, kind: type[BaseException]) -> None:
    with whole_directory(target) as draft:
        (draft / "weights").write_text("half")
        raise kind


def test_a_directory_appears_when_its_work_is_done(tmp_path: Path) -> None:
    target = tmp_path / "adapter"
    with whole_directory(target) as draft:
        (draft / "weights").write_text("w")
        assert not target.exists()
    assert [path.name for path in target.iterdir()] == ["weights"]


@pytest.mark.parametrize("kind", [RuntimeError, SystemExit, KeyboardInterrupt])
def test_interrupted_work_leaves_nothing(
    tmp_path: Path, kind: type[BaseException]
) -> None:
    with pytest.raises(kind):
        write_and_fail(tmp_path / "adapter", kind)
    assert list(tmp_path.iterdir()) == []


def test_an_old_directory_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "adapter"
    target.mkdir()
    (target / "weights").write_text("old")
    with pytest.raises(RuntimeError):
        write_and_fail(target, RuntimeError)
    assert (target / "weights").read_text() == "old"
    with whole_directory(target) as draft:
        (draft / "weights").write_text("new")
    assert (target / "weights").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_what_a_killed_run_left_is_cleared_away(tmp_path: Path) -> None:
    left = tmp_path / ".adapter.draft"
    left.mkdir()
    (left / "weights").write_text("half")
    with whole_directory(tmp_path / "adapter") as draft:
        assert list(draft.iterdir()) == []
