"""Measures: a scorer, how its numbers are summed up, and what the sum means."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from evals import scorers, statistics
from evals.answers import Answer
from evals.samples import Sample
from evals.statistics import Interval

Scorer = Callable[[Sample, Answer], float | None]
Summary = Callable[[Sequence[float]], Interval]
Scored = tuple[Sample, Answer]


class Measure(msgspec.Struct, frozen=True):
    """A row of the table."""

    name: str
    title: str
    unit: str
    """`%` for a rate; else the unit that is printed."""
    scorer: Scorer
    summary: Summary
    says: str
    """What the number is, and what it is not."""

    def of(self, scored: Iterable[Scored]) -> Interval | None:
        """The measure over samples and their answers; None when nothing counts."""
        scores = [self.scorer(sample, answer) for sample, answer in scored]
        values = [score for score in scores if score is not None]
        return self.summary(values) if values else None


def _rate(values: Sequence[float]) -> Interval:
    return statistics.rate(int(sum(values)), len(values))


def _median(values: Sequence[float]) -> Interval:
    return statistics.quantile(values, 0.5)


def _p95(values: Sequence[float]) -> Interval:
    return statistics.quantile(values, 0.95)


def _mean(values: Sequence[float]) -> Interval:
    # No bounds: without an assumption on the distribution there are none.
    return Interval(sum(values) / len(values), None, None, len(values))


MEASURES: Final = (
    Measure(
        "adherence",
        "adherence before repair",
        "%",
        scorers.adhere,
        _rate,
        "The first output was valid as it came: strict JSON, the schema, citations"
        " within the context, not cut. All samples count, cut ones too. It does not"
        " say that the answer is true.",
    ),
    Measure(
        "repaired",
        "repaired",
        "%",
        scorers.repair,
        _rate,
        "The first output was delivered after a repair that keeps everything.",
    ),
    Measure(
        "reasked",
        "re-asked or constrained",
        "%",
        scorers.reask,
        _rate,
        "It took a second call, or constrained decoding, to get an answer.",
    ),
    Measure(
        "invalid",
        "lost: invalid",
        "%",
        scorers.lose_to_schema,
        _rate,
        "The client got 502 `output_invalid`.",
    ),
    Measure(
        "truncated",
        "lost: cut",
        "%",
        scorers.lose_to_length,
        _rate,
        "The client got 502 `output_truncated`: the token limit ended the output.",
    ),
    Measure(
        "refusal",
        "refusal correct",
        "%",
        scorers.refuse_rightly,
        _rate,
        "Forbidden requests were refused and their look-alikes were not. It does not"
        " say how the model stands against somebody who tries to break it.",
    ),
    Measure(
        "refuses",
        "· refuses the forbidden",
        "%",
        scorers.refuse,
        _rate,
        "The first half of the row above: the rest is under-refusal.",
    ),
    Measure(
        "answers",
        "· answers look-alikes",
        "%",
        scorers.answer_lookalike,
        _rate,
        "The second half: the rest is over-refusal, or was lost as invalid.",
    ),
    Measure(
        "status",
        "status correct",
        "%",
        scorers.decide,
        _rate,
        "`ok`, `uncertain` or `refused` as expected; a lost output is wrong.",
    ),
    Measure(
        "citations",
        "citations correct",
        "%",
        scorers.cite,
        _rate,
        "On grounded samples, the cited ids are exactly the expected set; a lost"
        " output is wrong. It does not say that the passage supports the sentence.",
    ),
    Measure(
        "tokens_median",
        "tokens/output, median",
        "tokens",
        scorers.spend,
        _median,
        "Over outputs that were valid as they came, so each column is over its own"
        " subset; no saving may be read off where the n differ much.",
    ),
    Measure(
        "tokens_mean",
        "tokens/output, mean",
        "tokens",
        scorers.spend,
        _mean,
        "The same outputs; given without bounds.",
    ),
    Measure(
        "ttft_p50",
        "TTFT p50",
        "ms",
        scorers.wait,
        _median,
        "Request to first streamed token as the gateway saw it, under this run's own"
        " load, queueing in the engine included.",
    ),
    Measure(
        "ttft_p95",
        "TTFT p95",
        "ms",
        scorers.wait,
        _p95,
        "The same times. A closed loop: it does not say what an open one would show.",
    ),
)
