"""The comparison as a whole, against a gateway in process."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from evals import override
from evals.errors import RunFailedError, SetupError, TargetError
from evals.fake import FakeGateway, Reply, delivered, failed
from evals.report import Origin, as_json, markdown, terminal
from evals.samples import Sample
from evals.statistics import Interval
from evals.table import Plan, Table, compare
from evals.target import Target

Connect = Callable[[FakeGateway], Target]
Make = Callable[..., Sample]
MakePlan = Callable[..., Plan]
ORIGIN = Origin("python -m evals table", "2031-01-01", "vLLM", "a CPU, 2 cores")


def watch(generator: str, done: int, total: int) -> None:
    assert done <= total


def behave(conversation: str, generator: str) -> Reply:
    """The base never fits, lora is right, lora_pref cites one id too many."""
    if generator == "base":
        return failed(502, "output_invalid", stage="gate", path="$")
    if conversation.startswith("eval-refuse"):
        return delivered("refused")
    extra = ("kb-2",) if generator == "lora_pref" else ()
    return delivered("ok", ("kb-0", *extra), tokens=10)


@pytest.fixture
def plan(make_sample: Make, make_plan: MakePlan) -> Plan:
    return make_plan(
        (
            *(make_sample(f"extract-{i}", cites=("kb-0",)) for i in range(7)),
            *(
                make_sample(f"refuse-{i}", intent="refuse", status="refused")
                for i in range(3)
            ),
        ),
        concurrency=3,
    )


async def run(plan: Plan, gateway: FakeGateway, connect: Connect, home: Path) -> Table:
    return await compare(plan, connect(gateway), home, watch)


async def test_each_generator_gets_every_sample_once(
    plan: Plan, connect: Connect, tmp_path: Path
) -> None:
    gateway = FakeGateway(behave)
    table = await run(plan, gateway, connect, tmp_path)
    assert len(gateway.asked) == len(set(gateway.asked)) == 30
    assert [c.subject.model for c in table.columns] == [
        "tiny@1.0",
        "behav@v1",
        "pref@v1",
    ]
    found = {
        name: [_short(column.measures[name]) for column in table.columns]
        for name in ("adherence", "citations", "refuses", "status")
    }
    assert found == {
        "adherence": [(0.0, 10), (1.0, 10), (1.0, 10)],
        "citations": [(0.0, 7), (1.0, 7), (0.0, 7)],
        "refuses": [(0.0, 3), (1.0, 3), (1.0, 3)],
        "status": [(0.0, 10), (1.0, 10), (1.0, 10)],
    }
    assert table.columns[0].measures["tokens_median"] is None
    assert table.columns[0].lost == {"gate $: no": 10}


def _short(interval: Interval | None) -> tuple[float, int] | None:
    return interval and (interval.point, interval.n)


@pytest.mark.parametrize("before", [None, "lora_pref"])
async def test_the_override_is_put_back_as_it_was(
    plan: Plan, connect: Connect, tmp_path: Path, before: str | None
) -> None:
    gateway = FakeGateway(behave)
    if before:
        gateway.overrides["acme"] = before
    await run(plan, gateway, connect, tmp_path)
    assert gateway.overrides.get("acme") == before
    assert gateway.changes == ["base", "lora", "lora_pref", before or "-"]


async def test_the_override_is_put_back_when_the_run_fails(
    plan: Plan, connect: Connect, tmp_path: Path
) -> None:
    def down(conversation: str, generator: str) -> Reply:
        reply = failed(503, "adapter_unavailable")
        quick = Reply(503, reply.body, {"retry-after": "0"})
        return quick if generator == "lora" else behave(conversation, generator)

    gateway = FakeGateway(down)
    with pytest.raises(RunFailedError, match="adapter_unavailable"):
        await run(plan, gateway, connect, tmp_path)
    assert gateway.overrides == {}


async def test_what_a_killed_run_left_is_not_taken_for_what_was_before(
    plan: Plan, connect: Connect, tmp_path: Path
) -> None:
    gateway = FakeGateway(behave)
    gateway.overrides["acme"] = "lora"
    (tmp_path / "override-acme.json").write_bytes(b'{"variant":null}')
    await run(plan, gateway, connect, tmp_path)
    assert gateway.overrides == {}
    assert not (tmp_path / "override-acme.json").exists()


async def test_an_interrupted_run_puts_back_and_goes_on_without_asking_twice(
    plan: Plan, connect: Connect, tmp_path: Path
) -> None:
    gateway = FakeGateway(behave)
    reached = asyncio.Event()

    def stop(generator: str, done: int, total: int) -> None:
        if (generator, done) == ("lora", 5):
            reached.set()

    running = asyncio.ensure_future(compare(plan, connect(gateway), tmp_path, stop))
    await reached.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert gateway.overrides == {}

    journal = tmp_path / plan.run / "answers.jsonl"
    recorded = journal.read_bytes().count(b"\n")
    asked = len(gateway.asked)
    resumed = await run(plan, gateway, connect, tmp_path)
    assert len(gateway.asked) - asked == 30 - recorded
    whole = await run(plan, FakeGateway(behave), connect, tmp_path / "whole")
    assert resumed == whole


async def test_a_first_failure_is_asked_again_before_it_counts(
    plan: Plan, connect: Connect, tmp_path: Path
) -> None:
    failed_once: set[tuple[str, str]] = set()

    def shaky(conversation: str, generator: str) -> Reply:
        if (conversation, generator) in failed_once:
            return behave(conversation, generator)
        failed_once.add((conversation, generator))
        return Reply(502, {"error": {"code": "upstream_error"}}, {"retry-after": "0"})

    table = await run(plan, FakeGateway(shaky), connect, tmp_path)
    adherence = table.columns[1].measures["adherence"]
    assert adherence is not None
    assert adherence.point == 1.0


async def test_an_adapter_that_is_not_ready_stops_the_run_with_the_reason(
    plan: Plan, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(override, "READY_SECONDS", 0.0)
    gateway = FakeGateway(behave)
    gateway.ready = False
    with pytest.raises(TargetError, match="not ready"):
        await run(plan, gateway, connect, tmp_path)
    assert gateway.overrides == {}


async def test_two_runs_never_share_a_tenant(
    plan: Plan, connect: Connect, tmp_path: Path
) -> None:
    target = connect(FakeGateway(behave))
    async with override.borrowed(target, "acme", tmp_path, "first"):
        with pytest.raises(SetupError, match="another run holds"):
            await compare(plan, target, tmp_path, watch)


async def test_the_report_says_how_it_was_made_and_fits_a_terminal(
    plan: Plan, connect: Connect, tmp_path: Path
) -> None:
    table = await run(plan, FakeGateway(behave), connect, tmp_path)
    text = markdown(table, ORIGIN)
    assert "Made on 2031-01-01 by `python -m evals table`: 10 samples" in text
    assert "`lora` is `behav@v1` (digest `abababababab`)" in text
    assert "`base`, 10 times: gate $: no" in text
    assert "| refuse  | 3 " in text
    shown = terminal(table)
    assert "| adherence before repair" in shown
    assert "100 %* [69.2, 100]" in shown
    assert max(len(line) for line in shown.splitlines()) <= 120


async def test_the_json_holds_every_bound(
    plan: Plan, connect: Connect, tmp_path: Path
) -> None:
    table = await run(plan, FakeGateway(behave), connect, tmp_path)
    read = msgspec.json.decode(as_json(table, ORIGIN))
    assert read["origin"]["date"] == "2031-01-01"
    assert read["table"]["samples_digest"] == table.samples_digest
    citations = read["table"]["columns"][1]["measures"]["citations"]
    assert (citations["point"], citations["n"], citations["high"]) == (1.0, 7, 1.0)
