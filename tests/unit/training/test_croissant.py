"""MLCommons' own reader, put to the card that curation writes."""

import subprocess
from pathlib import Path
from typing import Final

import pytest

from training.__main__ import main
from training.curate import command

ROOT: Final = Path(__file__).parents[3]
READER: Final = ROOT / ".venv-readers/bin/mlcroissant"


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The card of a small data set."""
    if not READER.exists():
        pytest.fail(
            f"{READER.parent.parent.name} is missing: it has Croissant's own reader."
            " Run `make .venv-readers`",
            pytrace=False,
        )
    home = tmp_path_factory.mktemp("croissant")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(command.KEY, "0123456789abcdef")
        assert main(["raw", "--count", "400", "--out", str(home / "raw")]) == 0
        plan = ROOT / "training/assistant/curation.toml"
        raw = home / "raw/raw.jsonl"
        words = ["curate", str(raw), "--config", str(plan), "--out", str(home / "data")]
        assert main(words) == 0
    return home / "data/card.json"


def read(*arguments: str, home: Path) -> str:
    ran = subprocess.run(  # noqa: S603 -- an environment of ours
        [str(READER), *arguments],
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout + ran.stderr


def test_its_validator_has_nothing_against_the_card(card: Path) -> None:
    said = read("validate", "--jsonld", str(card), home=card.parent)
    assert "Done." in said
    assert "warning" not in said.lower()


def test_its_loader_gives_the_lines_of_a_split(card: Path) -> None:
    wanted = ("--record_set", "train", "--num_records", "3")
    said = read("load", "--jsonld", str(card), *wanted, home=card.parent)
    assert said.count("train/answer") == 3
    assert "train/user" in said
