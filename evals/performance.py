"""Performance: what an open load at given rates waits for, and what it costs.

Times come from `evals.load`, whose docstrings say what each is and what guidellm and
aiperf call it. Quantiles have order-statistic bounds where one value stands for one
request; the gaps between the tokens of one request hang together, so theirs have none.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from evals import load, override, prices, statistics
from evals.answers import Subject
from evals.load import Ask, Request, Schedule
from evals.override import Control
from evals.prices import Cost, Price
from evals.statistics import Interval
from evals.stream import SURFACE
from structured.prompt import AssistInput

QUANTILES: Final = (0.5, 0.95, 0.99)
LAG_QUANTILE: Final = 0.99
MS: Final = 1000.0


class Timing(msgspec.Struct, frozen=True):
    """A row of the report: a value of each answered request, or several."""

    name: str
    title: str
    values: Callable[[Request], Iterable[float | None]]
    bounds: bool = True
    """Whether one value stands for one request."""
    unit: str = "ms"
    scale: float = MS


TIMINGS: Final = (
    Timing("ttft", "TTFT", lambda r: (r.ttft,)),
    Timing("ttft_sent", "TTFT, from actual sending", lambda r: (r.ttft_sent,)),
    Timing("itl", "ITL, each gap", lambda r: r.gaps, bounds=False),
    Timing("tpot", "TPOT", lambda r: (r.tpot,)),
    Timing("end_to_end", "end to end", lambda r: (r.end_to_end,)),
    Timing(
        "end_to_end_sent", "end to end, from act. send.", lambda r: (r.end_to_end_sent,)
    ),
    Timing(
        "output_tokens",
        "output tokens",
        lambda r: (r.completion_tokens,),
        unit="tokens",
        scale=1.0,
    ),
    Timing("lag", "schedule lag", lambda r: (r.lag,)),
)


class Level(msgspec.Struct, frozen=True):
    """One generator at one rate; warm-up requests are not in it."""

    subject: Subject
    rate: float
    """Requests a second that were offered, by the schedule."""
    sent: int
    answered: int
    failed: dict[str, int]
    """By code."""
    seconds: float
    """From the first sending that was intended to the last answer: aiperf's
    "benchmark duration"; the time in which the load runs dry is part of it."""
    requests_per_second: float
    """Answered ones."""
    output_tokens_per_second: float
    """Of answered requests, by usage: aiperf's `output_token_throughput`."""
    timings: dict[str, tuple[Interval, ...]]
    """By name, one each of `QUANTILES`; in the timing's unit. Only answered requests,
    but for the lag, which all have."""
    lag: float
    """Seconds: the 99th percentile."""
    kept_schedule: bool
    cost: Cost | None
    requests: tuple[Request, ...]
    """What all of it was made from; times from the level's beginning."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be measured."""

    inputs: tuple[AssistInput, ...]
    tenant: str
    generators: tuple[str, ...]
    rates: tuple[float, ...]
    requests: int | None = None
    """At each rate, beside the warm-up; or `seconds`."""
    seconds: float | None = None
    warm_up: int = 5
    """Requests at the head of each level that are sent and not counted."""
    seed: int = 1
    in_flight: int | None = None
    max_lag: float = 0.05
    """Seconds: the largest p99 of the lag with which the sender kept its schedule."""
    max_tokens: int = 96


class Performance(msgspec.Struct, frozen=True):
    """A whole run."""

    levels: tuple[Level, ...]
    inputs: int
    """Different prompts; beyond them a prefix cache helps."""
    max_tokens: int
    warm_up: int
    seed: int
    in_flight: int | None
    max_lag: float
    unpriced: tuple[str, ...]
    """Models that the price table does not know."""

    @property
    def is_measure(self) -> bool:
        """Whether each level kept its schedule and has an answer."""
        return all(level.kept_schedule and level.answered for level in self.levels)


Watch = Callable[[str, int, int], None]
"""Called with (what, done, total)."""
AskAs = Callable[[Subject], Ask]


async def measure(
    plan: Plan,
    control: Control,
    ask_as: AskAs,
    table: dict[str, Price],
    home: Path,
    watch: Watch = lambda _what, _done, _total: None,
) -> Performance:
    """Run each rate for each generator, one after the other.

    Args:
        plan: what is sent.
        control: whose override of the tenant is borrowed, and given back in any case.
        ask_as: gives what sends one request and takes no other's answer for it.
        table: of prices.
        home: where the override's note lies meanwhile.
        watch: told of each answer.

    Raises:
        TargetError, SetupError: see `evals.override`; `WrongGeneratorError` when the
            gateway gave another generator's answer.
    """
    levels: list[Level] = []
    why = "evals perf"
    async with override.borrowed(control, plan.tenant, home, why):
        for generator in plan.generators:
            subject = await override.switch(
                control, plan.tenant, SURFACE, generator, why
            )
            for rate in plan.rates:
                sent = await _sent(plan, rate, subject, ask_as(subject), watch)
                price = prices.price_of(table, subject.model)
                levels.append(level(subject, rate, sent, plan.max_lag, price))
    models = {each.subject.model for each in levels}
    return Performance(
        levels=tuple(levels),
        inputs=len(plan.inputs),
        max_tokens=plan.max_tokens,
        warm_up=plan.warm_up,
        seed=plan.seed,
        in_flight=plan.in_flight,
        max_lag=plan.max_lag,
        unpriced=tuple(sorted(m for m in models if not prices.price_of(table, m))),
    )


async def _sent(
    plan: Plan, rate: float, subject: Subject, ask: Ask, watch: Watch
) -> tuple[Request, ...]:
    """The level's requests without the warm-up."""
    offsets = _offsets(plan, rate)
    name = f"{subject.generator} at {rate:g}/s"
    done = 0

    def ended() -> None:
        nonlocal done
        done += 1
        watch(name, done, len(offsets))

    requests = await load.fire(
        offsets,
        plan.inputs,
        ask,
        name=f"load-{subject.generator}-{rate:g}",
        in_flight=plan.in_flight,
        done=ended,
    )
    return requests[plan.warm_up :]


def _offsets(plan: Plan, rate: float) -> tuple[float, ...]:
    """The warm-up, and what is measured from the end of it on."""
    count = None if plan.requests is None else plan.warm_up + plan.requests
    if plan.seconds is None:
        return tuple(load.arrivals(Schedule(rate, count, seed=plan.seed)))
    warm = tuple(load.arrivals(Schedule(rate, plan.warm_up, seed=plan.seed + 1)))
    begin = warm[-1] if warm else 0.0
    rest = load.arrivals(Schedule(rate, seconds=plan.seconds, seed=plan.seed))
    return (*warm, *(begin + at for at in rest))


def level(
    subject: Subject,
    rate: float,
    requests: Sequence[Request],
    max_lag: float,
    price: Price | None = None,
) -> Level:
    """Sum up what came of one rate.

    Args:
        subject: who answered.
        rate: requests a second that were offered.
        requests: without the warm-up.
        max_lag: seconds.
        price: of the model, if it is known.
    """
    begin = min((r.intended for r in requests), default=0.0)
    requests = tuple(_from(r, begin) for r in requests)
    answered = [r for r in requests if not r.code]
    seconds = max((r.ended for r in requests), default=0.0)
    tokens = sum(r.completion_tokens or 0 for r in answered)
    lags = [r.lag for r in requests]
    lag = statistics.quantile(lags, LAG_QUANTILE).point if lags else 0.0
    return Level(
        subject=subject,
        rate=rate,
        sent=len(requests),
        answered=len(answered),
        failed=dict(sorted(Counter(r.code for r in requests if r.code).items())),
        seconds=seconds,
        requests_per_second=len(answered) / seconds if seconds else 0.0,
        output_tokens_per_second=tokens / seconds if seconds else 0.0,
        timings={
            timing.name: found
            for timing in TIMINGS
            if (found := _quantiles(timing, requests))
        },
        lag=lag,
        kept_schedule=lag <= max_lag,
        cost=prices.cost(price, requests, seconds) if price else None,
        requests=requests,
    )


def _from(request: Request, begin: float) -> Request:
    return msgspec.structs.replace(
        request,
        intended=request.intended - begin,
        sent=request.sent - begin,
        ended=request.ended - begin,
        arrived=tuple(at - begin for at in request.arrived),
    )


def _quantiles(timing: Timing, requests: Iterable[Request]) -> tuple[Interval, ...]:
    counted = [r for r in requests if timing.name == "lag" or not r.code]
    values = [
        value * timing.scale
        for request in counted
        for value in timing.values(request)
        if value is not None
    ]
    if not values:
        return ()
    if timing.bounds:
        return tuple(statistics.quantile(values, q) for q in QUANTILES)
    return tuple(_unbounded(values, q) for q in QUANTILES)


def _unbounded(values: Sequence[float], q: float) -> Interval:
    """A quantile as `evals.statistics.quantile` takes it, without bounds."""
    rank = max(0, math.ceil(len(values) * q - 1e-9) - 1)
    return Interval(sorted(values)[rank], None, None, len(values))
