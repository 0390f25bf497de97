"""All reports of a run, into one directory."""

from collections.abc import Sequence
from pathlib import Path

from evals.reports.as_json import FILE, encode
from evals.reports.html import page
from evals.reports.inspect_log import logs
from evals.reports.junit import junit
from evals.reports.markdown import markdown
from evals.result import SuiteResult


def render(result: SuiteResult, directory: Path) -> Sequence[Path]:
    """Write report.html, result.json, junit.xml, results.md and inspect/*.json.

    Returns:
        What was written, the page first; logs of an earlier run are not removed.

    Raises:
        SetupError: the run's date is no ISO date.
        ValueError: a figure is not finite.
        OSError: the directory cannot be written.
    """
    files = {
        "report.html": page(result).encode(),
        FILE: encode(result),
        "junit.xml": junit(result),
        "results.md": markdown(result).encode(),
        **{f"inspect/{name}": log for name, log in logs(result).items()},
    }
    (directory / "inspect").mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for name, content in files.items():
        path = directory / name
        path.write_bytes(content)
        written.append(path)
    return written
