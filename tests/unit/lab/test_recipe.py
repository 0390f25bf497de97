"""What the recipe types is what the commands take, and its files meet each other."""

import argparse
import shlex
from pathlib import Path

import pytest

from bench import __main__ as bench
from evals import __main__ as evals
from gateway.__main__ import parser as wastegate
from lab import recipe
from lab.__main__ import main
from training import __main__ as training, config as configs

HOME = Path("var/lab")
STEPS = (*recipe.prepare(HOME), *recipe.release(HOME, "lora=acme-lab-lora@v1"))
PARSERS = {
    recipe.TRAIN: training.parser,
    recipe.EVALS: evals.parser,
    recipe.BENCH: bench.parser,
    recipe.WASTEGATE: wastegate,
}


def parsed(step: recipe.Step) -> argparse.Namespace:
    for program, parser in PARSERS.items():
        if step.command.startswith(f"{program} "):
            return parser().parse_args(shlex.split(step.command[len(program) :]))
    raise AssertionError(step.command)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_every_command_is_one_that_its_program_takes(step: recipe.Step) -> None:
    parsed(step)


def test_what_the_lab_decodes_is_asked_for_as_json() -> None:
    into = [step for step in STEPS if step.into]
    assert into
    assert all(parsed(step).json for step in into)


def test_names_are_told_apart() -> None:
    names = [step.name for step in STEPS]
    assert len(set(names)) == len(names)


def test_what_a_step_reads_of_the_lab_was_made_before() -> None:
    made: set[Path] = set()
    for step in STEPS:
        writes = {*step.makes, *step.pictures}
        for word in shlex.split(step.command):
            path = Path(word)
            if path.is_relative_to(HOME) and not _within(path, writes):
                assert _within(path, made), f"{step.name} reads {path}"
        made |= writes


def _within(path: Path, files: set[Path]) -> bool:
    return any(file.is_relative_to(path) for file in files)


def test_its_configurations_are_whole() -> None:
    sft = configs.load(Path("lab/sft.toml"), method="sft")
    pref = configs.read(Path("lab/pref.toml"))
    made = configs.parse(pref.replace("DIGEST", "0" * 64), name="pref", method="dpo")
    assert (sft.ref, made.ref) == (recipe.LORA, recipe.PREF)
    assert made.preference is not None
    assert made.preference.parent == recipe.LORA


def test_the_list_says_every_step_and_runs_none(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["--list", "--home", str(tmp_path / "none")]) == 0
    said = capsys.readouterr().out
    assert [line.split()[0] for line in said.splitlines()] == [s.name for s in STEPS]
    assert not (tmp_path / "none").exists()
