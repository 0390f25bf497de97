"""`wastegate adapter bind` against a real control plane."""

import json
from functools import partial

import pytest

from tests.stack import READ_KEY, Stack
from tests.unit.gateway.conftest import LORA, PREF, Commands as Run


@pytest.fixture
def run(commands: Run) -> Run:
    return partial(commands, "adapter")


async def test_a_generator_is_bound_with_a_reason_and_shown(
    run: Run, stack: Stack
) -> None:
    code, out, err = await run("bind", f"lora={PREF}", "--why", "to be judged")
    assert (code, err) == (0, "")
    (line,) = [each for each in out.splitlines() if each.startswith("lora ")]
    assert PREF in line
    (entry,) = (await stack.admin("GET", "audit?limit=1")).json["entries"]
    assert entry["why"] == "to be judged"
    _, shown, _ = await run("bind", "--json")
    assert json.loads(shown)["lora"] == PREF


@pytest.mark.parametrize("pair", ["lora", "base=acme@v1", "lora=", f"loras={LORA}"])
async def test_what_binds_nothing_says_what_would_be_right(run: Run, pair: str) -> None:
    code, out, err = await run("bind", pair)
    assert (code, out) == (1, "")
    assert "GENERATOR=REF is right, of lora, lora_pref" in err


async def test_an_adapter_that_is_not_registered_is_not_bound(run: Run) -> None:
    code, _, err = await run("bind", "lora=acme-nobody@v1")
    assert code == 1
    assert "acme-nobody@v1" in err
    _, shown, _ = await run("bind", "--json")
    assert json.loads(shown)["lora"] == LORA


async def test_a_key_that_may_only_look_binds_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WASTEGATE_ADMIN_KEY", READ_KEY)
    code, _, _ = await run("bind", f"lora={PREF}")
    assert code == 1
