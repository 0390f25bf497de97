"""Spend: how many tokens did an output take?"""

from evals.answers import Answer
from evals.samples import Sample


def spend(sample: Sample, answer: Answer) -> float | None:
    """Completion tokens of an output that was valid as it came; others do not count.

    A babbling output that was thrown away would make its generator look dear, and
    one cut at two tokens cheap.
    """
    if answer.verdict != "valid" or answer.completion_tokens is None:
        return None
    return float(answer.completion_tokens)
