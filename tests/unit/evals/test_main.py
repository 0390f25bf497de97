"""The command line: set-up, exit codes."""

from pathlib import Path

import pytest

from evals.__main__ import main
from evals.environment import NAMES, access
from evals.errors import SetupError


def test_local_env_is_read_and_the_environment_comes_first(tmp_path: Path) -> None:
    file = tmp_path / "local.env"
    values = (f"export {name}='http://{i}/'" for i, name in enumerate(NAMES))
    file.write_text("# made by make up\n" + "\n".join(values))
    found = access({"WASTEGATE_URL": "http://else"}, file)
    assert found.url == "http://else"
    assert found.admin_url == "http://1"
    assert found.admin_key == "http://3/"


def test_what_is_not_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="WASTEGATE_KEY, WASTEGATE_ADMIN_KEY not set"):
        access(
            {"WASTEGATE_URL": "http://a", "WASTEGATE_ADMIN_URL": "http://b"},
            tmp_path / "none.env",
        )


def test_help_needs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["table", "--help"])
    assert caught.value.code == 0
    assert "--samples" in capsys.readouterr().out


def test_a_missing_sample_file_is_bad_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["table", "--samples", str(tmp_path / "none.jsonl")]) == 2
    assert "--split test" in capsys.readouterr().err
