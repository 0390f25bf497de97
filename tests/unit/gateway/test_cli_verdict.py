"""`wastegate adapter verdict` against a real control plane."""

import json
from functools import partial
from pathlib import Path

import msgspec
import pytest

from adapters.verdict import EvalVerdict, encode
from gateway.__main__ import main
from tests.stack import ADMIN_KEY, READ_KEY, Stack
from tests.unit.gateway.conftest import LORA, Commands as Run
from tests.verdicts import FAILED, PASSED, UNSURE, as_json, digest_of, verdict, vouched


@pytest.fixture
def run(commands: Run) -> Run:
    return partial(commands, "adapter")


def written(where: Path, found: EvalVerdict) -> str:
    path = where / "verdict.json"
    path.write_bytes(encode(found))
    return str(path)


async def test_a_file_is_filed_with_a_reason_and_shown_gate_by_gate(
    run: Run, stack: Stack, tmp_path: Path
) -> None:
    made = verdict(LORA, await digest_of(stack, LORA), PASSED, FAILED, UNSURE)
    code, out, err = await run("verdict", LORA, written(tmp_path, made), "--why", "r17")
    assert (code, err) == (0, "")
    lines = {line.split()[0]: line for line in out.splitlines() if line}
    assert lines[f"{LORA}:"] == f"{LORA}: fail"
    for part in ("fail", "at least 99 %", "81 % [78.3 %, 83.5 %]", "650"):
        assert part in lines["refusal"]
    for part in ("inconclusive", "97.5 % [91 %, …]", "60 more"):
        assert part in lines["citation"]
    assert "one-sided, at 95 %" in out
    assert made.digest in out
    (entry,) = (await stack.admin("GET", "audit?limit=1")).json["entries"]
    assert (entry["what"], entry["why"]) == (f"verdict.fail {LORA}", "r17")
    assert (await run("verdict", LORA))[:2] == (0, out)


async def test_programs_get_the_verdict_as_it_was_filed(run: Run, stack: Stack) -> None:
    made = await vouched(stack)
    code, out, _ = await run("verdict", LORA, "--json")
    assert (code, json.loads(out)) == (0, as_json(made))


async def test_the_list_has_a_column_of_verdicts(run: Run, stack: Stack) -> None:
    await vouched(stack, FAILED)
    _, out, _ = await run("list")
    (line,) = [each for each in out.splitlines() if each.startswith(LORA)]
    assert "verdict" in out.splitlines()[0]
    assert "fail" in line
    _, out, _ = await run("list", "--json")
    found = {each["ref"]: each["verdict"] for each in json.loads(out)["adapters"]}
    assert sorted(found.values(), key=str) == [None, "fail"]


async def test_no_verdict_is_a_failure_that_says_how_to_make_one(run: Run) -> None:
    code, out, err = await run("verdict", LORA)
    assert (code, out) == (1, "")
    assert "python -m evals suite" in err


async def test_what_the_gateway_refuses_is_a_failure_with_its_words(
    run: Run, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = written(tmp_path, verdict(LORA, "0" * 64))
    code, _, err = await run("verdict", LORA, other)
    assert (code, "is on other bytes" in err) == (1, True)
    code, _, err = await run("verdict", "nobody@v1", other)
    assert (code, "nobody@v1 is not registered" in err) == (1, True)
    monkeypatch.setenv("WASTEGATE_ADMIN_KEY", READ_KEY)
    code, _, err = await run("verdict", LORA, other)
    assert (code, "this key may look" in err) == (1, True)
    assert (await stack.admin("GET", f"adapters/{LORA}/verdict")).status == 404


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (None, "missing"),
        (b"{", "verdict.json"),
        (
            msgspec.json.encode(as_json(verdict(LORA, "0" * 64)) | {"verdict": "fail"}),
            "says fail, but its gates come to pass",
        ),
    ],
)
def test_a_file_that_is_no_verdict_is_a_failure_before_anybody_is_asked(
    body: bytes | None,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WASTEGATE_ADMIN_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("WASTEGATE_ADMIN_KEY", ADMIN_KEY)
    path = tmp_path / "verdict.json"
    if body is not None:
        path.write_bytes(body)
    assert main(["adapter", "verdict", LORA, str(path)]) == 1
    err = capsys.readouterr().err
    assert says in err
    assert "python -m evals suite" in err


def test_without_a_ref_it_is_bad_usage() -> None:
    with pytest.raises(SystemExit) as end:
        main(["adapter", "verdict"])
    assert end.value.code == 2
