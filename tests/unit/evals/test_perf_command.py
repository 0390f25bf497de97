"""`python -m evals perf`: what is refused before anything is asked."""

import argparse
from pathlib import Path

import pytest
from rich.console import Console

from evals import perf_command
from evals.errors import SetupError


def options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    perf_command.arguments(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    "words",
    [
        ("--requests=5",),
        ("--rates", "1"),
        ("--rates", "0", "--requests=5"),
        ("--rates", "inf", "--requests=5"),
        ("--rates", "1", "--requests=5", "--seconds=5"),
        ("--rates", "1", "--requests=5", "--warm-up=-1"),
        ("--rates", "1", "--requests=5", "--generators", "best"),
    ],
)
def test_a_load_without_rate_or_end_is_bad_usage(words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as caught:
        options("--samples=s.jsonl", *words)
    assert caught.value.code == 2


def test_several_rates_are_one_run() -> None:
    found = options("--samples=s", "--rates", "0.5", "2", "--seconds=60")
    assert (found.rates, found.seconds, found.requests) == ([0.5, 2.0], 60.0, None)


@pytest.mark.parametrize("name", ["prices", "samples"])
def test_a_file_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    words = {"samples": "--samples=none", "prices": f"--prices={tmp_path}/none"}
    usual = {"samples": f"--samples={tmp_path}/s", "prices": "--warm-up=1"}
    given = {**usual, name: words[name]}
    found = options("--rates", "1", "--requests=1", *given.values())
    with pytest.raises(SetupError, match="none: No such file"):
        perf_command.run(found, Console(stderr=True))
