"""A performance run: levels, quantiles, cost, and when it is no measure."""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from evals import performance, performance_report
from evals.answers import Subject
from evals.errors import WrongGeneratorError
from evals.fake import FakeGateway, delivered
from evals.load import Ask, Request
from evals.performance import Performance, Plan
from evals.prices import Price
from evals.result import Origin
from evals.stream import Streamed
from evals.target import Target
from structured.prompt import AssistInput

Connect = Callable[[FakeGateway], Target]
LORA = Subject("lora", "behav@v1")
PRICE = Price(currency="EUR", source="rent", per_engine_hour=3.6)
ORIGIN = Origin("python -m evals perf", "2026-11-28", "vLLM", "2 cores")


def answered(at: float, *, lag: float = 0.0, code: str = "") -> Request:
    sent = at + lag
    if code:
        return Request(at, sent, sent + 9, code=code)
    return Request(at, sent, sent + 0.4, (sent + 0.1, sent + 0.3), 100, 2)


def run_of(
    *requests: Request, max_lag: float = 0.05, priced: bool = True
) -> Performance:
    level = performance.level(LORA, 2.0, requests, max_lag, PRICE if priced else None)
    return Performance(
        levels=(level,),
        inputs=1,
        max_tokens=32,
        warm_up=0,
        seed=1,
        in_flight=None,
        max_lag=max_lag,
        unpriced=() if priced else ("behav@v1",),
    )


def test_a_level_sums_up_what_came() -> None:
    (level,) = run_of(*(answered(100 + i) for i in range(20))).levels
    assert (level.sent, level.answered, level.failed) == (20, 20, {})
    assert level.seconds == pytest.approx(19.4)
    assert level.requests_per_second == pytest.approx(20 / 19.4)
    assert level.output_tokens_per_second == pytest.approx(40 / 19.4)
    p50 = level.timings["ttft"][0]
    assert (p50.n, p50.point) == (20, pytest.approx(100))
    assert p50.low is not None
    assert level.timings["tpot"][0].point == pytest.approx(200)
    assert level.timings["output_tokens"][0].point == 2
    assert level.cost
    assert level.cost.per_request == pytest.approx(3.6 * 19.4 / 3600 / 20)


def test_gaps_of_one_request_hang_together_and_get_no_bounds() -> None:
    (level,) = run_of(*(answered(i) for i in range(100))).levels
    for found in level.timings["itl"]:
        assert found.point == pytest.approx(200)
        assert (found.low, found.high) == (None, None)


def test_a_failed_request_is_counted_and_not_timed() -> None:
    run = run_of(answered(0), answered(1, code="overloaded"), answered(2))
    (level,) = run.levels
    assert (level.answered, level.failed) == (2, {"overloaded": 1})
    assert level.timings["end_to_end"][0].n == 2
    assert level.timings["lag"][0].n == 3
    assert run.is_measure
    assert "1 overloaded" in performance_report.terminal(run)


def test_a_sender_that_was_late_says_that_it_measured_itself() -> None:
    late = run_of(*(answered(i, lag=0.2) for i in range(20)))
    assert not late.is_measure
    for text in (
        performance_report.terminal(late),
        performance_report.markdown(late, ORIGIN),
        performance_report.as_json(late, ORIGIN).decode(),
    ):
        assert performance_report.NO_MEASURE in text
        assert "200 ms" in text
    punctual = run_of(*(answered(i, lag=0.01) for i in range(20)))
    assert punctual.is_measure
    assert performance_report.NO_MEASURE not in performance_report.markdown(
        punctual, ORIGIN
    )


def test_nothing_answered_is_no_measure() -> None:
    run = run_of(answered(0, code="unreachable"))
    assert not run.is_measure
    assert "nothing was answered" in performance_report.terminal(run)


def test_an_unknown_price_is_said_and_not_guessed() -> None:
    text = performance_report.markdown(run_of(answered(0), priced=False), ORIGIN)
    assert "no price for behav@v1, so no cost" in text
    assert "EUR" not in text


def test_the_json_holds_every_request() -> None:
    raw = performance_report.as_json(run_of(answered(5), answered(6)), ORIGIN)
    found = msgspec.json.decode(raw)
    requests = found["performance"]["levels"][0]["requests"]
    assert [each["intended"] for each in requests] == [0, 1]
    assert found["is_measure"] is True


def plan(**more: object) -> Plan:
    usual = {
        "inputs": (AssistInput("Well?"),),
        "tenant": "acme",
        "generators": ("base", "lora"),
        "rates": (500.0, 1000.0),
        "requests": 6,
        "warm_up": 2,
        "max_lag": 5.0,
    }
    return Plan(**{**usual, **more})  # type: ignore[arg-type]  -- keyword arguments of a test


async def test_each_generator_is_asked_at_each_rate_and_the_override_given_back(
    connect: Connect, tmp_path: Path
) -> None:
    gateway = FakeGateway(lambda _c, _g: delivered())
    gateway.overrides["acme"] = "lora_pref"
    units: list[str] = []

    def ask_as(subject: Subject) -> Ask:
        async def ask(_given: AssistInput, unit: str) -> Streamed:
            assert gateway.overrides["acme"] == subject.generator
            units.append(unit)
            now = time.perf_counter()
            return Streamed((now,), now, 10, 1)

        return ask

    table = {"behav": PRICE}
    run = await performance.measure(plan(), connect(gateway), ask_as, table, tmp_path)
    asked = [(level.subject.generator, level.rate) for level in run.levels]
    assert asked == [("base", 500), ("base", 1000), ("lora", 500), ("lora", 1000)]
    assert [level.sent for level in run.levels] == [6] * 4
    assert len(units) == len(set(units)) == 4 * 8
    assert run.unpriced == ("tiny@1.0",)
    assert gateway.overrides["acme"] == "lora_pref"


async def test_a_level_of_seconds_begins_after_its_warm_up(
    connect: Connect, tmp_path: Path
) -> None:
    def ask_as(_subject: Subject) -> Ask:
        async def ask(_given: AssistInput, _unit: str) -> Streamed:
            now = time.perf_counter()
            return Streamed((now,), now, 10, 1)

        return ask

    gateway = FakeGateway(lambda _c, _g: delivered())
    asked = plan(requests=None, seconds=0.2, generators=("base",), rates=(200.0,))
    run = await performance.measure(asked, connect(gateway), ask_as, {}, tmp_path)
    (level,) = run.levels
    assert 15 < level.sent < 80
    assert max(r.intended for r in level.requests) <= 0.2


async def test_another_generators_answer_ends_the_run_and_gives_the_override_back(
    connect: Connect, tmp_path: Path
) -> None:
    gateway = FakeGateway(lambda _c, _g: delivered())

    def ask_as(_subject: Subject) -> Ask:
        async def ask(_given: AssistInput, _unit: str) -> Streamed:
            raise WrongGeneratorError("base", "lora")

        return ask

    with pytest.raises(WrongGeneratorError):
        await performance.measure(plan(), connect(gateway), ask_as, {}, tmp_path)
    assert gateway.overrides == {}
