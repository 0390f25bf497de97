"""What the watch exposes, for the tests of the dashboard."""

from random import Random  # noqa: TID251 - draws outputs

from evals import drift
from evals.answers import Answer
from evals.recorded import Group
from evals.watch import Look, Seen, Share


def looked(at: float) -> Look:
    """One group with shares and drifts."""
    draw = Random(1)  # noqa: S311 -- made-up outputs, no secret
    answers = [
        Answer("s", "lora", "m@v1", "valid", "ok", "word " * draw.randint(1, 9))
        for _ in range(2 * drift.LEAST)
    ]
    half = answers[: drift.LEAST], answers[drift.LEAST :]
    share = Share(0.995, 0.98, 0.999, 200)
    seen = Seen(
        Group("assist", "lora", "m@v1", "free"),
        400,
        200,
        {"adherence": share, "style": share},
        drift.compare(*half, permutations=19),
    )
    return Look("all", (seen,), 1, at)
