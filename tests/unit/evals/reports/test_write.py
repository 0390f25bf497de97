from pathlib import Path

from evals.reports import load, render
from tests.unit.evals.suite_results import example


def _content(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def test_every_report_is_written_and_named(tmp_path: Path) -> None:
    written = render(example(), tmp_path / "new" / "run")
    assert [path.name for path in written[:4]] == [
        "report.html",
        "result.json",
        "junit.xml",
        "results.md",
    ]
    assert len(written) == 8
    assert len(_content(tmp_path)) == 8


def test_reports_made_again_from_the_json_are_the_same(tmp_path: Path) -> None:
    render(example(), tmp_path / "first")
    render(load(tmp_path / "first" / "result.json"), tmp_path / "second")
    assert _content(tmp_path / "first") == _content(tmp_path / "second")
