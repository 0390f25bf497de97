"""Wait: how long until the first token?"""

from evals.answers import Answer
from evals.samples import Sample


def wait(sample: Sample, answer: Answer) -> float | None:
    """Time to first token in milliseconds, as the gateway saw it; any verdict."""
    return answer.ttft_ms
