"""Open-loop load: when requests leave, and from when they are measured."""

import asyncio
import itertools
import statistics
import time
from typing import Any

import pytest
from hypothesis import given, strategies as st
from scipy import stats as untyped  # pyright: ignore[reportMissingTypeStubs] -- scipy ships no types

from evals import load, stream
from evals.answers import Subject
from evals.errors import TargetError, WrongGeneratorError
from evals.load import Ask, Request, Schedule
from evals.stream import Streamed, Streamer
from structured.prompt import AssistInput
from tests.unit.evals.streaming import serving

LORA = Subject("lora", "behav@v1")
INPUTS = (AssistInput("One?"), AssistInput("Two?"))
STALL = 0.5
stats: Any = untyped


def asking(streamer: Streamer) -> Ask:
    async def ask(given: AssistInput, unit: str) -> Streamed:
        return await streamer.ask(given, LORA, unit)

    return ask


def gaps(schedule: Schedule) -> list[float]:
    times = [0.0, *load.arrivals(schedule)]
    return [late - early for early, late in itertools.pairwise(times)]


@pytest.mark.parametrize("rate", [0.5, 40.0])
def test_arrivals_are_a_poisson_process(rate: float) -> None:
    """Gaps are exponential (Kolmogorov-Smirnov) and do not depend on each other."""
    found = gaps(Schedule(rate, requests=5000, seed=7))
    assert stats.kstest(found, "expon", args=(0, 1 / rate)).pvalue > 0.01
    assert stats.spearmanr(found[:-1], found[1:]).pvalue > 0.01
    # The test itself sees a process that is none: even gaps, and the wrong rate.
    assert stats.kstest([1 / rate] * 5000, "expon", args=(0, 1 / rate)).pvalue < 0.01
    assert stats.kstest(found, "expon", args=(0, 1.1 / rate)).pvalue < 0.01


def test_counts_by_second_are_poisson() -> None:
    times = list(load.arrivals(Schedule(5.0, seconds=2000, seed=3)))
    counts = [0] * 2000
    for at in times:
        counts[int(at)] += 1
    dispersion = sum((count - 5.0) ** 2 / 5.0 for count in counts)
    assert 0.005 < stats.chi2.cdf(dispersion, 2000) < 0.995


@given(st.floats(0.1, 100), st.integers(0, 50), st.integers(0, 99))
def test_a_schedule_is_one_of_its_seed_ascending_and_of_its_length(
    rate: float, requests: int, seed: int
) -> None:
    schedule = Schedule(rate, requests=requests, seed=seed)
    times = list(load.arrivals(schedule))
    assert times == list(load.arrivals(schedule)) == sorted(times)
    assert len(times) == requests
    some = list(load.arrivals(Schedule(rate, seconds=3.0, seed=seed)))
    assert all(at < 3.0 for at in some)
    assert some[:requests] == times[: len(some)]


def test_another_seed_is_another_schedule() -> None:
    assert gaps(Schedule(1.0, requests=5)) != gaps(Schedule(1.0, requests=5, seed=1))


@pytest.mark.parametrize(
    ("rate", "requests", "seconds"),
    [(0.0, 1, None), (1.0, None, None), (1.0, 1, 1.0)],
)
def test_a_schedule_without_one_end_is_refused(
    rate: float, requests: int | None, seconds: float | None
) -> None:
    with pytest.raises(ValueError, match="either requests or seconds"):
        Schedule(rate, requests, seconds)


def test_times_are_what_guidellm_and_aiperf_say_they_are() -> None:
    request = Request(
        1.0, 1.5, 4.0, (2.0, 2.5, 3.5), prompt_tokens=9, completion_tokens=4
    )
    assert (request.lag, request.ttft, request.ttft_sent) == (0.5, 1.0, 0.5)
    assert request.gaps == (0.5, 1.0)
    assert request.tpot == 1.5 / 3
    assert (request.end_to_end, request.end_to_end_sent) == (3.0, 2.5)


def test_one_token_has_no_time_between_tokens() -> None:
    request = Request(0.0, 0.0, 2.0, (1.0,), completion_tokens=1)
    assert (request.gaps, request.tpot) == ((), None)


async def test_planted_delays_are_found() -> None:
    async with serving() as server:
        server.first, server.gap, server.tokens = 0.08, 0.02, 5
        async with stream.connect(server.url, "key", 32) as streamer:
            offsets = load.arrivals(Schedule(40.0, requests=12, seed=1))
            found = await load.fire(offsets, INPUTS, asking(streamer))
    assert [request.code for request in found] == [""] * 12
    assert [r.intended for r in found] == sorted(r.intended for r in found)
    assert all((r.ttft_sent or 0) >= 0.08 for r in found)
    assert statistics.median(r.tpot or 0 for r in found) >= 0.018
    assert all(r.end_to_end_sent >= 0.08 + 4 * 0.02 for r in found)
    users = [str(body["messages"]) for body in server.bodies]
    assert sum("One?" in user for user in users) == 6


async def test_a_stall_shows_in_the_intended_times_and_hides_in_the_naive_ones() -> (
    None
):
    """With one request at a time, as a closed loop sends, only one sees the stall."""
    until = 0.0

    async def stall(number: int) -> None:
        nonlocal until
        if number == 3:
            await asyncio.sleep(STALL)
            until = time.perf_counter()

    async with serving() as server:
        server.before = stall
        async with stream.connect(server.url, "key", 32) as streamer:
            offsets = [0.02 * number for number in range(20)]
            found = await load.fire(offsets, INPUTS, asking(streamer), in_flight=1)
    waited = [r for r in found[4:] if r.intended < until]
    assert len(waited) > 10
    assert all((r.ttft or 0) > until - r.intended for r in waited)
    assert statistics.median(r.ttft or 0 for r in waited) > STALL / 4
    assert statistics.median(r.ttft_sent or 0 for r in waited) < STALL / 4
    assert all(r.lag > 0 for r in waited)


async def test_requests_leave_while_earlier_ones_are_unanswered() -> None:
    everybody = asyncio.Event()

    async def all_there(number: int) -> None:
        if number == 9:
            everybody.set()
        async with asyncio.timeout(20):
            await everybody.wait()

    async with serving() as server:
        server.before = all_there
        async with stream.connect(server.url, "key", 32) as streamer:
            found = await load.fire([0.0] * 10, INPUTS, asking(streamer))
    assert server.most == 10
    assert not any(request.code for request in found)


async def test_a_failure_is_counted_by_its_code_and_the_load_goes_on() -> None:
    async def ask(given: AssistInput, unit: str) -> Streamed:
        if unit.endswith("-1"):
            raise TargetError("overloaded", "no")
        return Streamed((time.perf_counter(),) if given.user == "One?" else (), 1e9)

    done: list[int] = []
    found = await load.fire(
        [0.0] * 4, INPUTS, ask, name="x", done=lambda: done.append(1)
    )
    assert [r.code for r in found] == ["", "overloaded", "", load.EMPTY]
    assert len(done) == 4


async def test_a_wrong_generator_ends_the_load() -> None:
    async def ask(_given: AssistInput, _unit: str) -> Streamed:
        raise WrongGeneratorError("lora", "base")

    with pytest.raises(WrongGeneratorError):
        await load.fire([0.0, 0.0], INPUTS, ask)
