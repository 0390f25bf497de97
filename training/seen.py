"""What is known of a job, and how a terminal shows it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from training.checkpoints import Stage
from training.redis_queue import name_of

OVER: Final = frozenset({"failed", "abandoned", "stopped"})
"""States that `again` goes on from."""


class Seen(msgspec.Struct, frozen=True):
    """A job, as the queue knows it."""

    id: str
    state: str
    """One of those in the picture above."""
    since: datetime | None
    """Of that state; of an abandoned job, when it was last alive. UTC."""
    stage: Stage | None = None
    """The newest checkpoint that its worker told of; the last step, if it is done."""
    why: str = ""
    """What ended it, where nobody wanted it to end."""


def seen(job: Any) -> Seen:
    """What rq's record of a job says."""
    state, why = str(job.get_status(refresh=False).value), ""
    if state in OVER:
        last = job.latest_result()
        lines = str(last.exc_string or "").strip().splitlines() if last else []
        why = lines[-1].removeprefix("training.errors.") if lines else ""
    if "AbandonedJobError" in why:
        state, why = "abandoned", "its worker was killed, or Redis lost sight of it"
    since = {"queued": job.enqueued_at, "started": job.started_at}.get(
        state, job.ended_at or job.last_heartbeat
    )
    return Seen(name_of(job.id), state, since, _stage(job, state), why)


def _stage(job: Any, state: str) -> Stage | None:
    """What its worker told; of a finished one, what the function returned."""
    told: Any = job.meta
    if state == "finished":
        steps = (job.return_value() or {}).get("steps")
        told = {"step": steps, "steps": steps}
    try:
        return msgspec.convert(told, Stage)
    except msgspec.ValidationError:
        return None


def table(found: Sequence[Seen], columns: int) -> str:
    """Lines of id, state, since and step; below a job, why it ended.

    Args:
        found: the jobs.
        columns: the terminal's width; nothing is longer.
    """
    rows = [("job", "state", "since (UTC)", "step"), *map(_row, found)]
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    # Only names can be long: a ref has up to 96 characters.
    wide[0] = min(wide[0], max(8, columns - sum(wide[1:]) - 2 * len(wide) + 2))
    lines: list[str] = []
    for row, job in zip(rows, [None, *found], strict=True):
        cells = [_fit(cell, width) for cell, width in zip(row, wide, strict=True)]
        lines.append("  ".join(cells).rstrip())
        if job is not None and job.why:
            lines.append(_fit(f"  {job.why}", columns).rstrip())
    return "\n".join(lines)


def _row(job: Seen) -> tuple[str, str, str, str]:
    since = "" if job.since is None else f"{job.since:%Y-%m-%d %H:%M}"
    step = "" if job.stage is None else f"{job.stage.step} of {job.stage.steps}"
    return job.id, job.state, since, step


def _fit(text: str, width: int) -> str:
    """Pad or cut; what would move the cursor becomes a question mark."""
    plain = "".join(each if each.isprintable() else "?" for each in text)
    cut = plain if len(plain) <= width else plain[: width - 1] + "…"
    return cut.ljust(width)
