"""What a finished request shows of the side of a rollout that it was on."""

from typing import Final

from gateway.telemetry.record import CLIENT_CLOSED, OK, RequestFinished
from routing.tally import Arm, Outcome

NOBODYS_FAULT: Final = frozenset(
    {
        CLIENT_CLOSED,
        "invalid_request",
        "invalid_key",
        "not_allowed",
        "unknown_model",
        "not_found",
        "too_large",
        "overloaded",
    }
)
"""Outcomes that say nothing of who answered."""

FELL_BACK: Final = "fallback=adapter_unavailable"


def outcome_of(arm: Arm, record: RequestFinished) -> Outcome | None:
    """Return what a request shows of its side; None if it shows nothing."""
    if record.outcome in NOBODYS_FAULT:
        return None
    if FELL_BACK in record.reason:
        # The base answered, which is no merit of the one that could not.
        return Outcome(arm, ok=False)
    ok = record.outcome == OK
    checked = record.verdict is not None
    clean = not record.rejections and not record.repairs
    adherent = clean and record.verdict in ("valid", "constrained")
    uncited = any(each.code.startswith("citation") for each in record.rejections)
    return Outcome(
        arm=arm,
        ok=ok,
        adherent=adherent if checked else None,
        repaired=record.verdict == "repaired" if checked else None,
        cited=not uncited if checked and (ok or uncited) else None,
        ttft=record.ttft if ok else None,
        tokens=record.completion_tokens if ok and adherent else None,
    )
