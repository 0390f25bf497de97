"""Succeed: was the task done?"""

import re

from evals.answers import Answer
from evals.samples import Sample


def succeed(sample: Sample, answer: Answer) -> float | None:
    """1 when the right status came with a value that the sample accepts.

    Citations have a measure of their own: they do not count here.
    """
    if answer.text is None or answer.status != sample.expected.status:
        return 0.0
    if not sample.accepted:
        return 1.0
    return float(any(holds(answer.text, value) for value in sample.accepted))


def holds(text: str, value: str) -> bool:
    """Whether a text has a value in it as words of its own: 12 is not in 112.

    Case, and how much blank there is between words, do not matter.
    """
    words = r"\s+".join(re.escape(word) for word in value.casefold().split())
    return bool(words) and bool(
        re.search(rf"(?<![\w]){words}(?![\w]|[.,]\d)", text.casefold())
    )
