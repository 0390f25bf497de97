"""The flag as a file, the store, and the audit log's chain, from the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from routing.flagd import exported
from routing.flags import FlagDocument, encode
from tests.unit.gateway.cli_fakes.control import Control
from tests.unit.gateway.test_cli_commands import Run, control, run, server

__all__ = ["control", "run", "server"]  # fixtures

WANTED = FlagDocument(lora=500, overrides={"acme": "lora"}, salt="r17")


def written(where: Path, data: bytes) -> str:
    path = where / "generator.json"
    path.write_bytes(data)
    return str(path)


def as_export(document: FlagDocument) -> bytes:
    return json.dumps(exported(document, 3)).encode()


@pytest.mark.parametrize("form", [encode, as_export])
def test_a_file_becomes_the_flag_and_then_there_is_no_difference(
    run: Run, control: Control, tmp_path: Path, form: Any
) -> None:
    file = written(tmp_path, form(WANTED))
    code, out, err = run("flag", "diff", "GENERATOR", "-f", file)
    assert (code, "flag apply" in err) == (1, True)
    assert '+  "lora": 500,' in out
    assert run("flag", "apply", "GENERATOR", "-f", file, "--why", "r17")[0] == 0
    assert (control.flag["lora"], control.flag["salt"]) == (500, "r17")
    assert control.whys[-2] == "r17"
    code, out, _ = run("flag", "diff", "GENERATOR", "-f", file)
    assert (code, out) == (0, "the flag is what the file says\n")


@pytest.mark.parametrize("options", [(), ("--document",)])
def test_an_export_can_be_applied_again(
    run: Run, control: Control, tmp_path: Path, options: tuple[str, ...]
) -> None:
    control.flag["overrides"] = {"acme": "lora_pref"}
    code, out, _ = run("flag", "export", "GENERATOR", *options)
    assert code == 0
    file = written(tmp_path, out.encode())
    control.flag["overrides"] = {}
    assert run("flag", "apply", "GENERATOR", "-f", file)[0] == 0
    assert control.flag["overrides"] == {"acme": "lora_pref"}


def test_an_apply_that_comes_second_names_the_first(
    run: Run, control: Control, tmp_path: Path
) -> None:
    control.rivals = 1
    file = written(tmp_path, encode(WANTED))
    code, _, err = run("flag", "apply", "GENERATOR", "-f", file)
    assert code == 1
    assert "somebody was faster: the version is 2" in err
    assert "flag diff" in err
    assert control.flag["lora"] == 0


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b'{"lora": -1}', "lora: is -1"),
        (b'{"flags": {}}', "metadata.document"),
        (b"[]", "Expected `object`"),
    ],
)
def test_a_file_that_is_no_flag_is_refused_before_anything_is_sent(
    run: Run, control: Control, tmp_path: Path, data: bytes, says: str
) -> None:
    code, _, err = run("flag", "apply", "GENERATOR", "-f", written(tmp_path, data))
    assert code == 1
    assert says in err
    assert "flag export GENERATOR --document" in err
    assert control.version == 1


def test_a_file_that_is_not_there_is_told(run: Run) -> None:
    code, _, err = run("flag", "diff", "GENERATOR", "-f", "nowhere.json")
    assert (code, "nowhere.json cannot be read" in err) == (1, True)


def test_the_store_says_what_it_has_lost_and_gets_it_back(run: Run) -> None:
    code, out, _ = run("store", "status")
    assert code == 0
    assert "has lost what is in force" in out
    assert "kill tenant acme" in out
    code, out, _ = run("store", "restore", "--why", "volume lost")
    assert code == 0
    assert "epoch 1" in out
    assert "answers" in out


def test_a_sound_audit_log_shows_its_digest(run: Run) -> None:
    code, out, _ = run("audit", "verify")
    assert (code, "ab" * 32 in out) == (0, True)


def test_a_broken_audit_log_fails_with_the_entry(run: Run, control: Control) -> None:
    control.verified = {"entries": 7, "broken_at": 4, "reason": "is missing"}
    code, _, err = run("audit", "verify")
    assert code == 1
    assert "broken at entry 4: it is missing" in err
