"""The suite as a whole, against a gateway in process."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from evals import override, suite
from evals.errors import RunFailedError, SetupError, TargetError
from evals.fake import FakeGateway, Reply, delivered, failed
from evals.result import Origin, SuiteResult
from evals.samples import Sample
from evals.statistics import Interval
from evals.suite import ANSWERS, Budget, Plan
from evals.target import Target

Connect = Callable[[FakeGateway], Target]
Make = Callable[..., Sample]
MakePlan = Callable[..., Plan]
ORIGIN = Origin("python -m evals suite", "2031-01-01", "vLLM", "a CPU, 2 cores")


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


async def run(
    plan: Plan, gateway: FakeGateway, connect: Connect, home: Path
) -> SuiteResult:
    return await suite.run(plan, connect(gateway), home, ORIGIN, watch)


async def test_each_generator_gets_every_sample_once(
    plan: Plan, connect: Connect, tmp_path: Path
) -> None:
    gateway = FakeGateway(behave)
    result = await run(plan, gateway, connect, tmp_path)
    free = [each for each in gateway.asked if each[1] != "base"]
    assert len(free) == len(set(free)) == 20
    assert [arm.subject.model for arm in result.arms] == [
        "tiny@1.0",
        "behav@v1",
        "pref@v1",
    ]
    found = {
        name: [_short(arm.summary[name]) for arm in result.arms]
        for name in ("adherence", "citations", "refuses", "status")
    }
    assert found == {
        "adherence": [(0.0, 10), (1.0, 10), (1.0, 10)],
        "citations": [(0.0, 7), (1.0, 7), (0.0, 7)],
        "refuses": [(0.0, 3), (1.0, 3), (1.0, 3)],
        "status": [(0.0, 10), (1.0, 10), (1.0, 10)],
    }
    assert result.arms[0].summary["tokens_median"] is None


async def test_a_base_that_is_hardly_ever_valid_is_asked_once_more_constrained(
    plan: Plan, connect: Connect, tmp_path: Path
) -> None:
    result = await run(plan, FakeGateway(behave), connect, tmp_path)
    assert result.baseline is not None
    assert result.baseline.mode == "constrained"
    assert {a.verdict for a in result.baseline.answers.values()} == {"constrained"}
    assert "constrained answers are the baseline" in result.notes[0]


async def test_a_base_that_does_well_is_the_baseline_as_it_is(
    plan: Plan, connect: Connect, tmp_path: Path
) -> None:
    gateway = FakeGateway(lambda name, _: behave(name, "lora"))
    result = await run(plan, gateway, connect, tmp_path)
    assert result.baseline == result.arms[0]
    assert len(gateway.asked) == 30


async def test_the_base_is_compared_with_and_not_judged(
    plan: Plan, connect: Connect, tmp_path: Path
) -> None:
    result = await run(plan, FakeGateway(behave), connect, tmp_path)
    assert [j.generator for j in result.judged] == ["lora", "lora_pref"]
    assert {j.verdict for j in result.judged} == {"inconclusive", "fail"}


async def test_a_budget_of_tokens_ends_a_run_that_then_proves_nothing(
    plan: Plan, connect: Connect, tmp_path: Path
) -> None:
    small = msgspec.structs.replace(plan, budget=Budget(tokens=500), concurrency=1)
    gateway = FakeGateway(lambda name, _: behave(name, "lora"))
    result = await run(small, gateway, connect, tmp_path)
    assert len(gateway.asked) == 5
    assert "5 of 10 samples were not put to base" in result.notes[0]
    assert {j.verdict for j in result.judged} == {"inconclusive"}
    whole = await run(plan, gateway, connect, tmp_path)
    assert len(gateway.asked) == 30
    assert whole.arms[0].recorded == 5
    assert whole.arms[0].took.startswith("10 answers, 5 of them new, in ")
    assert whole.notes == ()


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

    running = asyncio.ensure_future(
        suite.run(plan, connect(gateway), tmp_path, ORIGIN, stop)
    )
    await reached.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert gateway.overrides == {}

    recorded = (tmp_path / ANSWERS).read_bytes().count(b"\n")
    asked = len(gateway.asked)
    resumed = await run(plan, gateway, connect, tmp_path)
    assert len(gateway.asked) - asked == 40 - recorded
    whole = await run(plan, FakeGateway(behave), connect, tmp_path / "whole")
    assert as_found(resumed) == as_found(whole)


def as_found(result: SuiteResult) -> object:
    """A result without how long it took."""
    return [
        (arm.subject, arm.answers, arm.scores, arm.summary) for arm in result.arms
    ], result.judged


async def test_a_first_failure_is_asked_again_before_it_counts(
    plan: Plan, connect: Connect, tmp_path: Path
) -> None:
    failed_once: set[tuple[str, str]] = set()

    def shaky(conversation: str, generator: str) -> Reply:
        if (conversation, generator) in failed_once:
            return behave(conversation, generator)
        failed_once.add((conversation, generator))
        return Reply(502, {"error": {"code": "upstream_error"}}, {"retry-after": "0"})

    result = await run(plan, FakeGateway(shaky), connect, tmp_path)
    adherence = result.arms[1].summary["adherence"]
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
            await suite.run(plan, target, tmp_path, ORIGIN, watch)
