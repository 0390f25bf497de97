"""`python -m evals drift`: windows from files, and what the exit code says."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from evals import drift_command
from evals.answers import Answer, Entry
from evals.drift import LEAST
from evals.errors import SetupError
from tests.unit.evals.outputs import drawing, output


def run(*words: object) -> int:
    parser = argparse.ArgumentParser()
    drift_command.arguments(parser)
    options = parser.parse_args([*map(str, words), "--permutations=199"])
    return drift_command.run(options, Console(stderr=True))


def journal(home: Path, answers: Sequence[Answer]) -> Path:
    home.mkdir()
    path = home / "answers.jsonl"
    entries = [Entry(str(number), each) for number, each in enumerate(answers)]
    path.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in entries))
    return path


def drawn(seed: int, n: int = 80, longer: int = 0) -> list[Answer]:
    draw = drawing(seed)
    return [output(draw, longer=longer) for _ in range(n)]


def test_the_exit_code_says_whether_two_runs_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = journal(tmp_path / "a", drawn(1))
    same = journal(tmp_path / "b", drawn(2))
    longer = journal(tmp_path / "c", drawn(3, longer=9))
    few = journal(tmp_path / "d", drawn(4, LEAST - 1))
    assert run(first, same, "--level=0.01") == 0
    assert run(first, longer) == drift_command.DRIFT
    assert run(first, few) == drift_command.TOO_FEW
    assert "80 outputs and 80" in capsys.readouterr().out


def test_the_result_as_json_has_every_feature(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = journal(tmp_path / "a", drawn(1))
    run(first, first, "--json")
    found = msgspec.json.decode(capsys.readouterr().out)
    assert found["overall"]["statistic"] == "mmd2"
    assert {each["feature"] for each in found["features"]} >= {"words", "ngrams"}


def test_models_are_not_pooled_unless_one_is_named(tmp_path: Path) -> None:
    other = [msgspec.structs.replace(each, model="x@v1") for each in drawn(2)]
    path = journal(tmp_path / "a", [*drawn(1), *other])
    with pytest.raises(SetupError, match=r"behav@v1, x@v1.*--reference-model"):
        run(path, path)
    assert len(drift_command.window(path, "x@v1")) == 80


def test_a_constrained_baseline_is_left_out(tmp_path: Path) -> None:
    bound = [msgspec.structs.replace(e, verdict="constrained") for e in drawn(2, 30)]
    path = journal(tmp_path / "a", [*drawn(1), *bound])
    assert len(drift_command.window(path)) == 80
    assert len(drift_command.window(path, mode="constrained")) == 30


def test_a_line_that_a_crash_has_cut_is_none_and_a_broken_one_is_named(
    tmp_path: Path,
) -> None:
    path = journal(tmp_path / "a", drawn(1, 3))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:50])
    assert len(drift_command.window(path)) == 3
    path.write_bytes(b"{}\n" + whole)
    with pytest.raises(SetupError, match=r"answers\.jsonl:1: "):
        drift_command.window(path)


def test_a_window_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no such file"):
        drift_command.window(tmp_path / "none")
