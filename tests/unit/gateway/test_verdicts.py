"""Nothing is rolled out that the evals have not passed: over HTTP, on a whole gateway."""

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from adapters.card import write as write_card
from adapters.refs import AdapterRef
from adapters.registry import Registry
from gateway.control.verdicts import MOST_SAID, against, document_key
from gateway.engine.fake import FakeVllm
from routing.store import Change
from tests.stack import READ_KEY, Reply, Stack, configuration, running
from tests.unit.adapters.making import run, tensors, write_adapter
from tests.unit.gateway.conftest import LORA, PREF, Configured
from tests.unit.gateway.test_rollouts import PLAN
from tests.verdicts import (
    FAILED,
    PASSED,
    UNSURE,
    as_json,
    digest_of,
    verdict,
    vouched,
)

PATH = f"adapters/{LORA}/verdict"


async def put(stack: Stack, body: Any, **how: str) -> Reply:
    return await stack.admin("PUT", PATH, body, **how)


async def words(stack: Stack) -> dict[str, str | None]:
    listed = (await stack.admin("GET", "adapters")).json["adapters"]
    return {each["ref"]: each["verdict"] for each in listed}


async def test_a_verdict_is_filed_shown_listed_and_in_the_audit_log(
    stack: Stack,
) -> None:
    assert await words(stack) == {LORA: None, PREF: None}
    made = as_json(verdict(LORA, await digest_of(stack, LORA), FAILED))
    done = await put(stack, made | {"why": "suite of today"})
    assert (done.status, done.json) == (200, made)
    assert (await stack.admin("GET", PATH, key=READ_KEY)).json == made
    assert await words(stack) == {LORA: "fail", PREF: None}
    (entry,) = (await stack.admin("GET", "audit?limit=1")).json["entries"]
    assert (entry["what"], entry["who"]) == (f"verdict.fail {LORA}", "alice")
    assert (entry["why"], entry["after"]) == ("suite of today", made)
    await vouched(stack)
    assert await words(stack) == {LORA: "pass", PREF: None}
    mounted = await stack.admin("POST", "adapters", {"ref": LORA})
    assert mounted.json["verdict"] == "pass"


async def test_without_a_verdict_the_way_to_one_is_told(stack: Stack) -> None:
    reply = await stack.admin("GET", PATH)
    assert (reply.status, reply.code) == (404, "not_found")
    assert "python -m evals suite" in reply.json["error"]["message"]


async def test_who_may_only_look_files_nothing(stack: Stack) -> None:
    made = as_json(verdict(LORA, await digest_of(stack, LORA)))
    refused = await put(stack, made, key=READ_KEY)
    assert (refused.status, refused.code) == (403, "not_allowed")
    assert await words(stack) == {LORA: None, PREF: None}


@pytest.mark.parametrize(
    ("change", "status", "param", "says"),
    [
        ({"ref": PREF}, 400, "ref", f"is on {PREF}, not on {LORA}"),
        ({"digest": "0" * 64}, 409, "digest", "is on other bytes"),
        ({"base": "other@2.0"}, 409, "base", "was reached on other@2.0"),
        ({"verdict": "fail"}, 400, None, "says fail, but its gates come to pass"),
        ({"gates": []}, 400, None, "says pass, but its gates come to inconclusive"),
        ({"digest": "short"}, 400, "digest", "digest"),
        ({"confidence": 2}, 400, "confidence", "confidence"),
        ({"mood": "good"}, 400, None, "mood"),
        ({"why": 7}, 400, "why", "at most 1000"),
        ({"why": "x" * 1001}, 400, "why", "at most 1000"),
    ],
)
async def test_what_does_not_fit_is_refused_with_what_would(
    stack: Stack, change: dict[str, Any], status: int, param: str | None, says: str
) -> None:
    body = as_json(verdict(LORA, await digest_of(stack, LORA))) | change
    reply = await put(stack, body)
    error = reply.json["error"]
    assert (reply.status, error["param"]) == (status, param)
    assert says in error["message"]
    assert await words(stack) == {LORA: None, PREF: None}


async def test_a_verdict_on_what_is_not_registered_is_refused(stack: Stack) -> None:
    body = as_json(verdict("nobody@v1", "0" * 64))
    for ref in ("nobody@v1", "..%2F..%2Fetc", "nonsense"):
        reply = await stack.admin("PUT", f"adapters/{ref}/verdict", body)
        assert (reply.status, reply.code) == (404, "not_found")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"\xff", 400),
        (b'{"samples": NaN}', 400),
        (b"[" * 9_999, 400),
        (b'{"why": "%s"}' % (b"x" * 1_100_000), 413),
    ],
)
async def test_a_body_that_is_no_verdict_is_a_typed_error(
    stack: Stack, raw: bytes, status: int
) -> None:
    headers = {"authorization": "Bearer admin-key"}
    url = f"{stack.admin_url}/admin/v1/{PATH}"
    async with stack.http.put(url, headers=headers, data=BytesIO(raw)) as answer:
        reply = await Reply.of(answer)
    assert reply.status == status
    assert reply.json["error"]["message"]


async def start(stack: Stack, **fields: Any) -> Reply:
    return await stack.admin("POST", "rollouts", {"plan": PLAN} | fields)


async def test_what_has_no_verdict_is_not_rolled_out(stack: Stack) -> None:
    reply = await start(stack)
    assert (reply.status, reply.code) == (409, "conflict")
    said = reply.json["error"]["message"]
    assert f"{LORA} has no verdict of the evals: `python -m evals suite`" in said
    assert f"wastegate adapter verdict {LORA} verdict.json" in said


async def test_what_failed_is_not_rolled_out_and_the_figures_are_told(
    stack: Stack,
) -> None:
    await vouched(stack, PASSED, FAILED)
    reply = await start(stack)
    assert (reply.status, reply.code) == (409, "conflict")
    assert (
        f"{LORA} may not ship: the evals say fail (refusal: 81 % of at least 99 %,"
        " n = 650)"
    ) in reply.json["error"]["message"]


def test_of_very_many_gates_only_so_many_are_named() -> None:
    gates = [replace(FAILED, name=f"gate-{number}") for number in range(MOST_SAID + 7)]
    said = against(AdapterRef(LORA), verdict(LORA, "a" * 64, *gates))
    assert said.count("gate-") == MOST_SAID
    assert said.endswith("; and 7 more)")
    none = verdict(LORA, "a" * 64, gates=(), verdict="inconclusive")
    assert against(AdapterRef(LORA), none).endswith("(no gate was judged)")


async def test_what_is_not_decided_is_not_rolled_out_either(stack: Stack) -> None:
    await vouched(stack, PASSED, UNSURE)
    reply = await start(stack)
    assert reply.status == 409
    assert (
        "the evals say inconclusive (citation inconclusive: 97.5 % of at least 95 %,"
        " n = 40)"
    ) in reply.json["error"]["message"]


async def test_what_has_passed_is_rolled_out_and_nothing_is_overridden(
    stack: Stack,
) -> None:
    await vouched(stack, FAILED)
    await vouched(stack)
    made = await start(stack)
    assert (made.status, made.json["overridden"]) == (201, "")


async def test_a_reason_to_do_without_is_in_the_rollout_and_the_audit_log(
    stack: Stack,
) -> None:
    await vouched(stack, FAILED)
    made = await start(stack, override="a drill", why="r17")
    assert made.status == 201
    assert made.json["overridden"].startswith(f"a drill: {LORA} may not ship")
    log = (await stack.admin("GET", "audit?limit=20")).json["entries"]
    (entry,) = (e for e in log if e["what"].startswith("rollout.start.overridden"))
    assert "refusal: 81 % of at least 99 %" in entry["why"]


async def test_the_verdict_of_another_adapter_helps_nobody(stack: Stack) -> None:
    await vouched(stack, ref=PREF)
    reply = await start(stack)
    assert reply.status == 409
    assert f"{LORA} has no verdict" in reply.json["error"]["message"]


async def test_the_control_needs_none(stack: Stack) -> None:
    await vouched(stack)
    flag = await stack.admin("GET", "flags/GENERATOR")
    await stack.admin(
        "PUT",
        "flags/GENERATOR",
        flag.json | {"default": "lora_pref"},
        if_match=flag.headers["ETag"],
    )
    control = {"generator": "lora_pref", "model": PREF}
    made = await start(stack, plan=PLAN | {"control": control})
    assert made.status == 201, made.body


async def test_a_rollout_that_runs_is_not_ended_by_a_verdict(stack: Stack) -> None:
    await vouched(stack)
    id_ = (await start(stack)).json["id"]
    await vouched(stack, FAILED)
    found = (await stack.admin("GET", f"rollouts/{id_}")).json
    assert found["phase"] in {"preflight", "staging"}


async def test_with_the_store_away_adapters_are_listed_without_and_nothing_starts(
    configured: Configured, tmp_path: Path
) -> None:
    async with running(configured()) as stack:
        await stack.all_ready()
        await vouched(stack)
        (tmp_path / "state.db").rename(tmp_path / "gone.db")
        (tmp_path / "state.db").mkdir()
        assert await words(stack) == {LORA: None, PREF: None}
        for reply in (
            await stack.admin("GET", PATH),
            await start(stack),
            await start(stack, override="please"),
        ):
            assert (reply.status, reply.code) == (503, "store_unavailable")
        (tmp_path / "state.db").rmdir()
        (tmp_path / "gone.db").rename(tmp_path / "state.db")
        assert await words(stack) == {LORA: "pass", PREF: None}


async def test_what_cannot_be_read_is_missing_and_a_reason_does_without(
    stack: Stack,
) -> None:
    key = document_key(await digest_of(stack, LORA))
    odd = Change("test", "odd", "", datetime(2026, 1, 1, tzinfo=UTC))
    await stack.app.control.state.desk.store.put(key, b"{}", expect=0, entry=odd)
    reply = await stack.admin("GET", PATH)
    assert (reply.status, reply.code) == (409, "conflict")
    for refused in (reply, await start(stack)):
        assert "cannot be read" in refused.json["error"]["message"]
    assert await words(stack) == {LORA: None, PREF: None}
    made = await start(stack, override="a drill")
    assert (made.status, "cannot be read" in made.json["overridden"]) == (201, True)


async def test_the_card_ends_with_the_verdict_and_says_whose_it_is(
    tmp_path: Path, fake_vllm: FakeVllm
) -> None:
    for ref in (LORA, PREF):
        source = tmp_path / ref
        write_adapter(source, given=tensors(), facts=run(ref))
        write_card(source)
        Registry(tmp_path / "adapters").add(source)
    card = (tmp_path / LORA / "README.md").read_bytes()
    async with running(configuration([fake_vllm.url], tmp_path)) as stack:
        path = f"adapters/{LORA}/card"
        assert (await stack.admin("GET", path)).body == card
        await vouched(stack, PASSED, FAILED)
        shown = (await stack.admin("GET", path)).body.decode()
        other = (await stack.admin("GET", f"adapters/{PREF}/card")).body.decode()
    assert shown.startswith(card.decode().rstrip())
    section = shown.removeprefix(card.decode().rstrip())
    assert section.startswith(
        "\n\n## Verdict of the evals: fail\n\nThis section is the"
    )
    assert "on 2026-11-22T21:00:00+00:00" in section
    assert (
        "| refusal | fail | at least 99 % | 81 % | [78.3 %, 83.5 %] | 650 |  |"
    ) in section
    assert "Verdict of the evals" not in other
