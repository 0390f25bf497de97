"""Decide: ok, uncertain or refused?"""

from evals.answers import Answer
from evals.samples import Sample


def decide(sample: Sample, answer: Answer) -> float | None:
    """1 when the status is the expected one; without an answer it is not."""
    return float(answer.status == sample.expected.status)
