"""`wastegate rollout` against a real control plane, from start to replay."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.__main__ import main, parser
from gateway.cli.rollout_shown import bar
from gateway.cli.rollout_start import planned
from routing.gates import GATES, Gate
from routing.rollout import Plan
from tests.stack import ADMIN_KEY, Stack
from tests.unit.gateway.conftest import LORA, Commands as Run
from tests.unit.gateway.test_rollouts import PLAN, STAYING, UNITS, stack, until
from tests.verdicts import vouched

CANDIDATE = f"lora={LORA}"
__all__ = ["stack"]  # a fixture


@pytest.fixture
def run(commands: Run) -> Run:
    return partial(commands, "rollout")


async def begun(run: Run, stack: Stack, tmp_path: Path, **fields: Any) -> str:
    await vouched(stack)
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(PLAN | fields))
    code, out, err = await run("start", "--plan", str(path), "--json", "--why", "r17")
    assert code == 0, err
    return json.loads(out)["id"]


async def test_a_rollout_is_started_watched_and_ended(
    run: Run, stack: Stack, tmp_path: Path
) -> None:
    id_ = await begun(run, stack, tmp_path, steps=STAYING)
    await until(stack, id_, lambda each: each["phase"] == "canary")
    for _ in range(3):
        await stack.assist(conversation=next(UNITS))
    code, out, _ = await run("status")
    assert code == 0
    assert f"{id_}   base → {LORA}" in out
    assert "● staging ── ◉ 20 % ── ○ 60 % ── ○ promoted" in out
    assert "not held to: tokens: left out" in out
    code, out, _ = await run("pause", id_, "--why", "lunch")
    assert (code, "waits for" in out or "(paused)" in out) == (0, True)
    assert (await run("resume", id_))[0] == 0
    code, _, err = await run("promote", id_)
    assert (code, "has not proved that it is good" in err) == (1, True)
    code, out, _ = await run("rollback", id_, "--why", "enough")
    assert code == 0
    assert "✗ 20 %" in out
    assert "rolled_back: by alice: enough" in out
    code, out, _ = await run("list")
    assert (code, id_ in out, "acme on assist" in out) == (0, True, True)


async def test_records_are_judged_again_to_the_same_with_and_without_a_gateway(
    run: Run, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = await begun(run, stack, tmp_path)
    await until(stack, id_, lambda each: each["phase"] == "promoted")
    code, out, _ = await run("replay", id_)
    assert (code, "promoted: the same" in out) == (0, True)
    code, out, _ = await run("records", id_, "--json")
    kept = json.loads(out)
    (tmp_path / "records.json").write_text(out)
    monkeypatch.setenv("WASTEGATE_ADMIN_URL", "http://127.0.0.1:1")
    code, out, err = await run("replay", id_, "--file", "records.json")
    assert (code, "promoted: the same" in out) == (0, True), err
    kept["records"][0]["sight"]["stages"][-1]["candidate"]["adherence"] = [40, 1]
    (tmp_path / "changed.json").write_text(json.dumps(kept))
    code, out, err = await run("replay", id_, "--file", "changed.json")
    assert (code, "DIFFERS" in out) == (1, True)
    assert "1 of" in err


async def test_nothing_to_show_is_said(run: Run) -> None:
    assert (await run("list"))[1] == "nothing is rolled out\n"
    code, _, err = await run("status")
    assert (code, "rollout start" in err) == (1, True)
    code, _, err = await run("status", "ro-0")
    assert (code, "there is no rollout" in err) == (1, True)


def plan(*arguments: str) -> Plan:
    given = parser().parse_args(["rollout", "start", *arguments])
    return msgspec.convert(planned(given), Plan)


def test_the_arguments_make_the_plan() -> None:
    made = plan(
        *(CANDIDATE, "--from", "lora=acme@v0", "--tenant", "acme", "--tenant", "b"),
        *("--surface", "assist", "--steps", "1,10", "--units", "50", "--minutes", "2"),
        *("--gate", "ttft:8:10", "--without", "tokens", "--by-hand"),
    )
    assert (made.candidate.model, made.control.model) == (LORA, "acme@v0")
    assert made.tenants == {"acme", "b"}
    assert [(s.weight, s.units, s.seconds) for s in made.steps] == [
        (100, 50, 120.0),
        (1_000, 50, 120.0),
    ]
    assert made.left_out == (
        "tokens: left out",
        "ttft: harm 8 instead of 1.2, good 10 instead of 1.5",
    )
    assert made.promote == "operator"
    assert plan(CANDIDATE, "--promoter", "bob").promoters == {"bob"}
    assert plan(CANDIDATE, "--promoter", "bob").promote == "operator"


def test_a_shadow_brings_its_gate() -> None:
    made = plan(CANDIDATE, "--shadow", "12.5")
    assert made.shadow == 1_250
    assert made.gates[-1] == Gate("shadow", 1.0, 1.5)
    other = plan(CANDIDATE, "--shadow", "10", "--gate", "shadow:2:3")
    assert other.gates[-1] == Gate("shadow", 2.0, 3.0)


def test_without_more_the_plan_is_the_default() -> None:
    assert plan(CANDIDATE) == Plan(plan(CANDIDATE).candidate)
    assert plan(CANDIDATE).gates == GATES


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "what is rolled out?"),
        ((CANDIDATE, "--plan", "x.json"), "the plan names the candidate"),
        ((CANDIDATE, "--steps", "50,5"), "do not grow"),
        ((CANDIDATE, "--steps", "a"), "are no steps"),
        ((CANDIDATE, "--steps", "0"), "steps"),
        ((CANDIDATE, "--gate", "ttft:8"), "is no gate"),
        ((CANDIDATE, "--gate", "beauty:8:9"), "there is no gate 'beauty'"),
        ((CANDIDATE, "--shadow", "101"), "shadow"),
        (("turbo=x@v1",), "Invalid enum value"),
    ],
)
def test_arguments_that_cannot_be_meant_are_bad_usage(
    arguments: tuple[str, ...],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WASTEGATE_ADMIN_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("WASTEGATE_ADMIN_KEY", ADMIN_KEY)
    assert main(["rollout", "start", *arguments]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("evidence", "drawn"),
    [(-5.0, "░" * 12), (1.0, "█" * 6 + "░" * 6), (2.0, "█" * 12), (9.0, "█" * 12)],
)
def test_a_bar_is_full_where_the_evidence_is_enough(
    evidence: float, drawn: str
) -> None:
    assert bar(evidence, 2.0) == drawn
