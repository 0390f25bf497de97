"""The gates of a rollout: what each measures, what it takes for harm and for good.

A gate has two bounds with an indifferent zone between them. Harm is proved against the
one, good against the other, each by its own evidence; a truth that lies between them
may stay `inconclusive` for ever, and nothing passes because time ran out.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import log
from typing import Final, Literal

import msgspec

from routing.evidence import (
    LEAST,
    Cusum,
    Estimate,
    Odds,
    Side,
    Trials,
    log_evidence,
    log_mean,
    log_ratio,
    log_shift,
    pooled,
    rate,
    ratio,
    share,
)
from routing.tally import Count, Stage, Tally

Measure = Literal[
    "adherence",
    "repairs",
    "citations",
    "errors",
    "ttft",
    "tokens",
    "refusals",
    "accuracy",
    "shadow",
]
Verdict = Literal["pass", "fail", "inconclusive"]

ALPHA_HARM: Final = 0.01
"""Chance a gate to ever roll a harmless candidate back."""

ALPHA_GOOD: Final = 0.05
"""Chance of ever promoting a candidate that fails any one gate; since all have to
pass, it needs no correction for their number."""

ALPHA_SPLIT: Final = 0.001
"""Chance of ever freezing a ramp whose units were split as they should be."""

CHANGE_TRIALS: Final = 30_000.0
"""Trials between two false alarms of a gate's detector of changes, at least. docs/gates.md
has what that comes to: with 5,000, the usual choice, a candidate on its bound would be
rolled back too often."""


class Gate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One measure and its bounds.

    Of `errors` and `ttft`, harm is a ratio to the control's rate; of `tokens` all are
    ratios to the control's mean; of `shadow` they are how often only the control did
    well, over how often only the candidate did; everything else is a rate of failures.
    """

    measure: Measure
    harm: float
    """At or below this it is no harm."""
    good: float
    """Below this it is good."""
    good_above: float | None = None
    """Of `tokens`: and above this, since an answer may also be too short."""
    harm_below: float | None = None
    """Of `tokens`: below this it is harm as well."""

    def loosened(self, other: "Gate") -> bool:
        """Whether this lets something through that `other` does not."""
        return (
            self.harm > other.harm
            or self.good > other.good
            or (self.good_above or 0.0) < (other.good_above or 0.0)
            or (self.harm_below or 0.0) < (other.harm_below or 0.0)
        )


GATES: Final = (
    Gate("adherence", harm=0.01, good=0.02),
    Gate("repairs", harm=0.03, good=0.05),
    Gate("citations", harm=0.01, good=0.02),
    Gate("errors", harm=2.0, good=0.01),
    Gate("ttft", harm=1.2, good=1.5),
    Gate("tokens", harm=1.0, good=0.9, good_above=0.75, harm_below=0.6),
    Gate("refusals", harm=0.1, good=0.15),
    Gate("accuracy", harm=0.1, good=0.15),
)
"""What a rollout is held to if it does not say otherwise."""


class Seen(msgspec.Struct, frozen=True):
    """What was counted at one stage, and under what conditions."""

    part: float
    """The candidate's share of the units, 0 to 1."""
    stage: Stage
    edge: int | None = None
    """Of `TTFT_EDGES`, that below which 95 % of the control's were before the stage."""


class Reading(msgspec.Struct, frozen=True):
    """What a gate says of all that was seen; evidence as logarithms to the base 10."""

    measure: Measure
    verdict: Verdict
    harm: float
    good: float
    change: float
    candidate: Count
    """What it stands on; of `tokens`, values as successes."""
    control: Count
    estimate: float | None
    """The candidate's rate as it was seen; of `tokens`, the ratio to the control's."""
    missing: str = ""
    """What has to be there before it can say anything."""

    @property
    def explained(self) -> str:
        """The reading in a line."""
        seen = "nothing" if self.estimate is None else f"{self.estimate:.4g}"
        strongest = max(self.harm, self.change)
        return (
            f"{self.measure} {self.verdict}: {seen} seen, {self.candidate.failures} of"
            f" {self.candidate.trials}, evidence of harm 10^{strongest:.1f}"
        )


def read(gate: Gate, seen: Sequence[Seen], change: Cusum = Cusum()) -> Reading:  # noqa: B008 -- frozen
    """Return what a gate says.

    Args:
        gate: what is to be proved.
        seen: every stage so far, in order.
        change: the gate's detector, which has been fed with all of it.
    """
    if gate.measure == "tokens":
        return _tokens(gate, seen)
    harm, good = trials(gate, seen, "harm"), trials(gate, seen, "good")
    own, control = _counts(gate, seen)
    log_harm, log_good = log_evidence(harm), log_evidence(good)
    late = change.log_evidence
    return Reading(
        measure=gate.measure,
        verdict=_verdict(log_harm, log_good, late),
        harm=_log10(log_harm),
        good=_log10(log_good),
        change=_log10(late),
        candidate=own,
        control=control,
        estimate=own.failures / own.trials if own.trials else None,
        missing=_missing(gate, seen, own),
    )


def trials(gate: Gate, seen: Iterable[Seen], side: Side) -> list[Trials]:
    """Return what speaks for one side of a gate, by stage; not for `tokens`."""
    if gate.measure == "shadow":
        # Of pairs that differ: each side has the same requests, so half of all.
        odds = ratio(_bound(gate, side), side, 0.5)
        pairs = [each.stage.shadow.pairs for each in seen]
        return [Trials(odds, own.failures, own.successes) for own in pairs]
    if gate.measure == "ttft" or (gate.measure == "errors" and side != "good"):
        return [
            Trials(_ratio(gate, each, side), own.failures, control.failures)
            for each in seen
            if 0 < each.part < 1
            for own, control in (_pair(gate, each),)
        ]
    odds = rate(_bound(gate, side), side)
    counts = [_pair(gate, each)[0] for each in seen]
    return [Trials(odds, own.failures, own.successes) for own in counts]


def split(seen: Iterable[Seen]) -> float:
    """Return evidence, to the base 10, that units are not split as they should be."""
    parts = [
        Trials(
            share(each.part),
            each.stage.candidate.assigned,
            each.stage.control.assigned,
        )
        for each in seen
        if 0 < each.part < 1
    ]
    return _log10(log_evidence(parts))


def _bound(gate: Gate, side: Side) -> float:
    return gate.good if side == "good" else gate.harm


def _ratio(gate: Gate, seen: Seen, side: Side) -> Odds:
    return ratio(_bound(gate, side), side, seen.part)


_RATES: Final[Mapping[Measure, Callable[[Tally], Count]]] = {
    "adherence": lambda tally: tally.adherence,
    "repairs": lambda tally: tally.repairs,
    "citations": lambda tally: tally.citations,
    "errors": lambda tally: tally.errors,
    "refusals": lambda tally: tally.refusals,
    "accuracy": lambda tally: tally.accuracy,
}
_PROBED: Final = ("refusals", "accuracy")


def _pair(gate: Gate, seen: Seen) -> tuple[Count, Count]:
    """The candidate's trials and the control's."""
    stage = seen.stage
    if gate.measure == "ttft":
        if seen.edge is None:
            return Count(), Count()
        edge = seen.edge
        return stage.candidate.slower_than(edge), stage.control.slower_than(edge)
    if gate.measure == "shadow":
        return stage.shadow.pairs, Count()
    of = _RATES[gate.measure]
    if gate.measure in _PROBED:
        return of(stage.probes), Count()
    return of(stage.candidate), of(stage.control)


def _counts(gate: Gate, seen: Iterable[Seen]) -> tuple[Count, Count]:
    own = control = Count()
    for each in seen:
        one, other = _pair(gate, each)
        own, control = own.merged(one), control.merged(other)
    return own, control


def _missing(gate: Gate, seen: Sequence[Seen], own: Count) -> str:
    if gate.measure == "ttft" and all(each.edge is None for each in seen):
        return "the control's p95 from before the stage"
    if own.trials:
        return ""
    if gate.measure == "shadow":
        return "mirrored requests on which the two differ"
    return "probes" if gate.measure in _PROBED else "units that show it"


def _tokens(gate: Gate, seen: Sequence[Seen]) -> Reading:
    estimates: list[Estimate] = []
    own = control = 0
    for each in seen:
        candidate, other = each.stage.candidate.tokens, each.stage.control.tokens
        own, control = own + candidate.n, control + other.n
        estimate = log_ratio(
            (candidate.n, candidate.total, candidate.squares),
            (other.n, other.total, other.squares),
        )
        if estimate is not None:
            estimates.append(estimate)
    log_harm = log_good = 0.0
    found = pooled(estimates) if estimates else None
    if found is not None:
        log_harm = log_shift(found, log(gate.harm), "above")
        if gate.harm_below is not None:
            # the mean, since the larger of two e-values is none
            short = log_shift(found, log(gate.harm_below), "below")
            log_harm = log_mean((log_harm, short))
        log_good = log_shift(found, log(gate.good), "below")
        if gate.good_above is not None:
            log_good = min(log_good, log_shift(found, log(gate.good_above), "above"))
    return Reading(
        measure="tokens",
        verdict=_verdict(log_harm, log_good, 0.0),
        harm=_log10(log_harm),
        good=_log10(log_good),
        change=0.0,
        candidate=Count(0, own),
        control=Count(0, control),
        estimate=None if found is None else found.ratio,
        missing="" if estimates else f"{LEAST} valid answers of each arm at one stage",
    )


def _verdict(log_harm: float, log_good: float, late: float) -> Verdict:
    if log_harm >= -log(ALPHA_HARM) or late >= log(CHANGE_TRIALS):
        return "fail"
    return "pass" if log_good >= -log(ALPHA_GOOD) else "inconclusive"


def _log10(value: float) -> float:
    return round(value / log(10), 6)
