"""The simulation of the evals' bounds: it runs, and what it prints can be wrong."""

import re
from pathlib import Path

import pytest

from bench import evals
from evals import clustered


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(evals, "OUT", tmp_path / "eval-gates.md")
    monkeypatch.setattr(evals, "DRAWS", 100)
    monkeypatch.setattr(evals, "RATIO_DRAWS", 10)
    return tmp_path / "eval-gates.md"


def shares(path: Path) -> list[float]:
    rows = [line for line in path.read_text().splitlines() if line.startswith("| ")]
    rows = [row for row in rows if "documents" in row and "%" in row]
    return [float(n) for row in rows for n in re.findall(r"(\S+) %", row)[-2:]]


def test_every_kind_of_data_has_its_row(
    written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evals.main(1) == 0
    assert "| refusal | 650 | 2 |" in written.read_text()
    found = shares(written)
    assert len(found) == 2 * 3 * len(evals.KINDS)
    # 100 sets at 95 %: fewer than 87 would be one time in a thousand.
    assert min(found) >= 87
    assert "Written to" in capsys.readouterr().out


def test_bounds_that_take_samples_for_documents_are_found_out(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def apart(by_document: dict[str, list[float]]) -> clustered.Documents:
        scores = [score for each in by_document.values() for score in each]
        return clustered.Documents(tuple(scores), single=True)

    monkeypatch.setattr(clustered, "of", apart)
    evals.main(1)
    assert min(shares(written)) < 87
