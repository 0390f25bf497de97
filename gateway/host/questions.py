"""Labelled questions for the rollouts of a local stack: made once, from the test split.

Without them no rollout can prove that its candidate refuses and cites as it should.
"""

import subprocess
import sys
from typing import Final

from gateway.host.child import tied_to_parent
from gateway.host.config import StackConfig
from gateway.host.errors import StepFailedError
from gateway.host.layout import Layout

COUNT: Final = 120
"""Every step of a rollout asks its share; nineteen right answers in a row are evidence
at the bounds that the gates have by default."""

_SEED: Final = 11
"""Another one than the evals' default, for other questions."""


def ensure(layout: Layout, config: StackConfig) -> str:
    """Write the questions, if a surface is to have them and they are not there.

    Args:
        layout: the stack's paths.
        config: which surfaces there are.

    Returns:
        A line that says what was done.

    Raises:
        StepFailedError: they could not be made.
    """
    if not config.unprobed:
        return "no surface needs questions for its rollouts"
    target = layout.questions
    if target.is_file():
        return f"{target.name} is there"
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_suffix(".part")
    argv = (
        *(sys.executable, "-m", "training", "data", "--split", "test"),
        *("--seed", str(_SEED), "--count", str(COUNT), "--out", str(scratch)),
    )
    finished = subprocess.run(  # noqa: S603 - our own environment's interpreter
        argv,
        cwd=layout.root,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        preexec_fn=tied_to_parent(),
    )
    if finished.returncode != 0:
        raise StepFailedError(
            f"making questions for rollouts: {finished.stderr.strip()[-500:]}",
            f"run {' '.join(argv[1:])} by hand to see more",
        )
    scratch.replace(target)
    return f"{COUNT} questions for rollouts: {target.relative_to(layout.root)}"
