"""Open-loop load: requests leave when a Poisson process says so, answered or not.

A closed loop waits for an answer before it asks again, so a server that stalls is asked
less while it stalls, and the requests that would have waited are never made: Gil Tene's
"coordinated omission". Here the times of sending are drawn beforehand, and each request
is measured from the moment at which it was to leave.
"""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from random import Random  # noqa: TID251 - draws the times at which requests leave
from typing import Final

import msgspec

from evals.errors import TargetError, WrongGeneratorError
from evals.stream import Streamed
from structured.prompt import AssistInput

Ask = Callable[[AssistInput, str], Awaitable[Streamed]]
"""Called with the input and the unit; raises `TargetError`."""

EMPTY: Final = "empty_output"
"""The code of an answer without a single token: it has no time to the first one."""


class Schedule(msgspec.Struct, frozen=True):
    """When requests leave; of `requests` and `seconds` one is given."""

    rate: float
    """Requests a second, on average."""
    requests: int | None = None
    seconds: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a schedule without an end."""
        if self.rate <= 0 or (self.requests is None) == (self.seconds is None):
            raise ValueError("a rate above 0 and either requests or seconds are right")


class Request(msgspec.Struct, frozen=True):
    """One request and what became of it; times in seconds of one monotonic clock."""

    intended: float
    """When the schedule had it leave."""
    sent: float
    """When it left."""
    ended: float
    """When its answer had come, or its failure."""
    arrived: tuple[float, ...] = ()
    """When each piece of text came."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    code: str = ""
    """Why it failed; empty: it did not."""

    @property
    def lag(self) -> float:
        """How late it left: the sender's own fault, or want of a free slot."""
        return self.sent - self.intended

    @property
    def ttft(self) -> float | None:
        """Time to the first token from the intended moment of sending.

        guidellm (`time_to_first_token_ms`) and aiperf (`time_to_first_token`) both take
        it from the actual one: `ttft_sent`.
        """
        return self.arrived[0] - self.intended if self.arrived else None

    @property
    def ttft_sent(self) -> float | None:
        """Time to the first token from the actual moment of sending."""
        return self.arrived[0] - self.sent if self.arrived else None

    @property
    def gaps(self) -> tuple[float, ...]:
        """Inter-token latency, each gap by itself; aiperf's "inter chunk latency".

        What guidellm and aiperf call ITL is the mean over one request: `tpot`.
        """
        return tuple(late - early for early, late in itertools.pairwise(self.arrived))

    @property
    def tpot(self) -> float | None:
        """Time per output token after the first: (last - first) / (n - 1), n by usage.

        guidellm's `inter_token_latency_ms`, aiperf's `inter_token_latency`. guidellm's
        own "TPOT" counts the first token in, (last - sent) / n, and is not this.
        """
        n = self.completion_tokens
        if n is None or n < 2 or not self.arrived:  # noqa: PLR2004 -- two ends of a gap
            return None
        return (self.arrived[-1] - self.arrived[0]) / (n - 1)

    @property
    def end_to_end(self) -> float:
        """Until the last byte, from the intended moment of sending."""
        return self.ended - self.intended

    @property
    def end_to_end_sent(self) -> float:
        """The same from the actual one; guidellm's `request_latency`.

        aiperf's ends with the last piece of text, a little earlier.
        """
        return self.ended - self.sent


def arrivals(schedule: Schedule) -> Iterator[float]:
    """When requests leave, in seconds from the start: a Poisson process.

    The gaps are exponential with mean 1 / rate; one seed gives one process, whatever
    the gateway does.
    """
    draw = Random(schedule.seed)  # noqa: S311 -- a load, no secret
    at = 0.0
    for number in itertools.count():
        at += draw.expovariate(schedule.rate)
        if schedule.requests is not None and number >= schedule.requests:
            return
        if schedule.seconds is not None and at >= schedule.seconds:
            return
        yield at


async def fire(
    offsets: Iterable[float],
    inputs: Sequence[AssistInput],
    ask: Ask,
    *,
    name: str = "load",
    in_flight: int | None = None,
    done: Callable[[], None] = lambda: None,
) -> tuple[Request, ...]:
    """Send each request at its time, wait for all; in the order of the times.

    Args:
        offsets: seconds from now, ascending.
        inputs: asked in turn, from the first again after the last.
        ask: sends one; a `TargetError` becomes the request's `code`.
        name: begins each unit, so that no two runs share a conversation.
        in_flight: at most so many at a time; what has to wait shows as lag. None: as
            many as come.
        done: called when a request has ended.

    Raises:
        WrongGeneratorError: the load went to another generator, so it is no measure.
    """
    slots = asyncio.Semaphore(in_flight) if in_flight else None
    begin = time.perf_counter()

    async def one(number: int, intended: float) -> Request:
        unit, given = f"{name}-{number}", inputs[number % len(inputs)]
        if slots is None:
            request = await _ask(ask, given, unit, intended)
        else:
            async with slots:
                request = await _ask(ask, given, unit, intended)
        done()
        return request

    tasks: list[asyncio.Task[Request]] = []
    try:
        async with asyncio.TaskGroup() as group:
            for number, offset in enumerate(offsets):
                intended = begin + offset
                # Also when it is late: whoever has answered is let in first.
                await asyncio.sleep(max(0.0, intended - time.perf_counter()))
                tasks.append(group.create_task(one(number, intended)))
    except ExceptionGroup as failures:
        # The first failure cancelled the others; it alone says what went wrong.
        raise failures.exceptions[0] from None
    return tuple(task.result() for task in tasks)


async def _ask(ask: Ask, given: AssistInput, unit: str, intended: float) -> Request:
    sent = time.perf_counter()
    try:
        answer = await ask(given, unit)
    except WrongGeneratorError:
        raise
    except TargetError as error:
        return Request(intended, sent, time.perf_counter(), code=error.code)
    return Request(
        intended,
        sent,
        answer.ended,
        answer.arrived,
        answer.prompt_tokens,
        answer.completion_tokens,
        code="" if answer.arrived else EMPTY,
    )
