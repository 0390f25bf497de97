import shutil
from pathlib import Path

import pytest

from training import base
from training.errors import BaseError


def test_a_prepared_base_is_recognised_and_left_alone(tiny_base: Path) -> None:
    before = (tiny_base / "base.json").stat().st_mtime_ns
    record = base.prepare(tiny_base)
    assert record == base.verify(tiny_base)
    assert (tiny_base / "base.json").stat().st_mtime_ns == before


def test_changed_weights_are_noticed(tiny_base: Path, tmp_path: Path) -> None:
    copy = tmp_path / "base"
    shutil.copytree(tiny_base, copy)
    with (copy / base.WEIGHTS).open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x01")
    with pytest.raises(BaseError, match="base"):
        base.verify(copy)


def test_an_incomplete_directory_is_not_taken_for_a_base(
    tiny_base: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "base"
    shutil.copytree(tiny_base, copy)
    (copy / base.WEIGHTS).unlink()
    assert base.prepared(copy) is None
    with pytest.raises(BaseError, match="python -m training base"):
        base.verify(copy)


def test_a_base_from_a_directory_is_converted_whole_and_the_same_each_time(
    tiny_base: Path, tmp_path: Path
) -> None:
    first = base.prepare(tmp_path / "one", hub_id=str(tiny_base))
    second = base.prepare(tmp_path / "two", hub_id=str(tiny_base))
    assert first.digest == second.digest
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two"}


def test_a_hub_model_that_does_not_exist_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BaseError, match="nowhere"):
        base.prepare(tmp_path / "one", hub_id=str(tmp_path / "nowhere"))
    assert list(tmp_path.iterdir()) == []
