"""Cite: does a grounded answer name exactly its sources?"""

from evals.answers import Answer
from evals.samples import Sample


def cite(sample: Sample, answer: Answer) -> float | None:
    """1 when the cited ids are the expected ones as a set; grounded samples only.

    A citation too few counts as wrong just as one too many, and an answer that was
    not delivered cites nothing.
    """
    if not sample.expected.citations:
        return None
    return float(set(answer.citations) == set(sample.expected.citations))
