"""Adhere: did the model itself write what the schema asks for?

The gateway's verdict decides; it comes from the code that guards production.
Every sample counts, so the five shares below add up to one.
"""

from evals.answers import Answer
from evals.samples import Sample


def adhere(sample: Sample, answer: Answer) -> float | None:
    """1 when the first output was valid as it came, before any repair."""
    return float(answer.verdict == "valid")


def repair(sample: Sample, answer: Answer) -> float | None:
    """1 when the first output was delivered after a repair."""
    return float(answer.verdict == "repaired")


def reask(sample: Sample, answer: Answer) -> float | None:
    """1 when it took a second call or a constrained one."""
    return float(answer.verdict in ("reasked", "constrained"))


def lose_to_schema(sample: Sample, answer: Answer) -> float | None:
    """1 when nothing was delivered, since it did not fit and could not be repaired."""
    return float(answer.verdict == "invalid")


def lose_to_length(sample: Sample, answer: Answer) -> float | None:
    """1 when nothing was delivered, since the output was cut at its token limit."""
    return float(answer.verdict == "truncated")
