"""inspect's own reader and command line, put to the logs that a run is written as."""

import json
import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

from evals.reports.inspect_log import logs
from tests.stack import ROOT
from tests.unit.evals.suite_results import HOSTILE, example

BIN: Final = ROOT / ".venv-readers" / "bin"
READ: Final = """
import json, sys
from inspect_ai.log import list_eval_logs, read_eval_log
for info in list_eval_logs(sys.argv[1]):
    log = read_eval_log(info)
    score = next(s for s in log.results.scores if s.name == "success")
    print(json.dumps({
        "task": log.eval.task, "status": log.status, "version": log.version,
        "samples": len(log.samples), "estimate": score.metrics["estimate"].value,
        "roles": [message.role for message in log.samples[0].messages],
        "one": {s.id: s.scores["success"].value for s in log.samples},
        "user": log.samples[0].input[1].text,
    }))
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Logs of a run whose texts are hostile."""
    if not (BIN / "python").exists():
        pytest.fail(
            ".venv-readers is missing: it has inspect's reader, without which nothing"
            " shows that the logs open. Run `make .venv-readers`",
            pytrace=False,
        )
    for name, content in logs(example(hostile=HOSTILE)).items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def _run(program: str, *arguments: str, home: Path) -> str:
    ran = subprocess.run(  # noqa: S603 -- an environment of ours
        [str(BIN / program), *arguments],
        env={**os.environ, "HOME": str(home), "NO_COLOR": "1"},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_inspects_reader_lists_and_opens_every_log(directory: Path) -> None:
    read = _run("python", "-c", READ, str(directory), home=directory)
    found = [json.loads(line) for line in read.splitlines()]
    result = example(hostile=HOSTILE)
    assert len(found) == 4
    by_task = {each["task"].removeprefix("wastegate-suite-"): each for each in found}
    for name, arm in zip(("base", "lora", "lora-pref"), result.arms, strict=True):
        seen, summary = by_task[name], arm.summary["success"]
        assert summary is not None
        assert (seen["status"], seen["version"]) == ("success", 2)
        assert seen["samples"] == len(result.samples)
        assert seen["estimate"] == pytest.approx(summary.point)
        assert seen["one"] == arm.scores["success"]
        assert seen["roles"] == ["system", "user", "assistant"]
        assert HOSTILE in seen["user"]


def test_inspects_command_line_dumps_a_log(directory: Path) -> None:
    log = next(directory.glob("*_suite-lora_*.json"))
    dumped = json.loads(_run("inspect", "log", "dump", str(log), home=directory))
    assert dumped["status"] == "success"
    assert len(dumped["samples"]) == 64
    assert dumped["results"]["metadata"]["verdict"] == "fail"
