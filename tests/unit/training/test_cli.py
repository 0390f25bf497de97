import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from training.__main__ import main

ROOT = Path(__file__).parents[3]


def test_help_and_data_work_without_the_heavy_libraries(tmp_path: Path) -> None:
    blocked = ("torch", "transformers", "peft", "trl", "datasets")
    code = (
        "import sys\n"
        f"for name in {blocked!r}: sys.modules[name] = None\n"
        "from training.__main__ import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    out = tmp_path / "test.jsonl"
    done = subprocess.run(  # noqa: S603 - this interpreter, our own code
        [sys.executable, "-c", code, "data", "--split", "test", "--out", str(out)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    assert f"digest {digest}" in done.stdout


def test_a_failure_is_one_sentence_and_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["sft", "--config", str(tmp_path / "none.toml")]
    argv += ["--base", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main(argv) == 1
    assert capsys.readouterr().err.startswith("training: ")


def test_bad_usage_is_exit_code_2() -> None:
    with pytest.raises(SystemExit) as left:
        main(["data", "--split", "holiday", "--out", "x"])
    assert left.value.code == 2
