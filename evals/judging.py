"""Judging: from an arm's scores to what is found at each gate.

A gate passes when the hypothesis that the demand is missed is ruled out at the file's
confidence. All gates have to pass for an adapter to ship, so the chance that a tune
that misses any of them ships is no larger than one gate's error, and nothing is
corrected on this side (an intersection-union test: Berger 1982). On the other side any
gate may fail a good tune, so there the p-values are Holm's (1979): the chance that a
tune that meets every demand is failed by any is bounded as well.
"""

import bisect
import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from adapters.verdict import Word, overall
from evals import clustered, power, ratio, statistics
from evals.clustered import Documents
from evals.gates import Finding, Gate, GateFile
from evals.result import Arm, Judged
from evals.samples import Sample

MOST: Final = 100_000
"""Documents beyond which nobody would ask for more."""


class Evidence(msgspec.Struct, frozen=True):
    """What speaks for and against one gate."""

    n: int
    power: float | None = None
    """How often the gate passes with these documents at a tune worth shipping."""
    good: float = 1.0
    """A p-value against "the demand is missed": small is good."""
    harm: float = 1.0
    """A p-value against "the demand is met": small is bad."""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    where: str = ""
    says: str = ""
    failed: tuple[str, ...] = ()


def judge(
    gates: GateFile, arm: Arm, baseline: Arm | None, samples: Sequence[Sample]
) -> Judged:
    """Judge one generator by every gate."""
    found = {
        name: _evidence(gate, gates.confidence, arm, baseline, samples)
        for name, gate in gates.gates.items()
    }
    harms = holm({name: evidence.harm for name, evidence in found.items()})
    error = 1 - gates.confidence
    findings: list[Finding] = []
    for name, evidence in found.items():
        verdict: Word = "inconclusive"
        if harms[name] <= error:
            verdict = "fail"
        elif evidence.good <= error:
            verdict = "pass"
        findings.append(
            Finding(
                name=name,
                gate=gates.gates[name],
                verdict=verdict,
                n=evidence.n,
                power=evidence.power,
                value=evidence.value,
                low=evidence.low,
                high=evidence.high,
                where=evidence.where,
                says="" if verdict == "pass" else evidence.says,
                failed=evidence.failed,
            )
        )
    words: tuple[Word, ...] = tuple(finding.verdict for finding in findings)
    return Judged(arm.subject.generator, overall(words), tuple(findings))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's adjusted p-values: the chance of any false one stays below the level."""
    adjusted: dict[str, float] = {}
    highest = 0.0
    ordered = sorted(p_values.items(), key=operator.itemgetter(1))
    for rank, (name, p) in enumerate(ordered):
        highest = max(highest, min(1.0, p * (len(ordered) - rank)))
        adjusted[name] = highest
    return adjusted


def _evidence(
    gate: Gate,
    confidence: float,
    arm: Arm,
    baseline: Arm | None,
    samples: Sequence[Sample],
) -> Evidence:
    asked = [sample for sample in samples if sample.task in gate.tasks]
    if gate.ratio is not None:
        return _spent(gate.ratio, confidence, arm, baseline, asked)
    if gate.by is None:
        return _share(gate, confidence, arm, asked)
    values = sorted({str(getattr(sample, gate.by)) for sample in asked})
    each = {
        value: _share(
            gate, confidence, arm, [s for s in asked if getattr(s, gate.by) == value]
        )
        for value in values
    }
    return _worst(each)


def _worst(each: Mapping[str, Evidence]) -> Evidence:
    """The demand holds when it holds everywhere, and is missed when it is anywhere."""
    if not each:
        return Evidence(0, says="no sample of its tasks was asked")
    where, worst = max(each.items(), key=lambda item: (item[1].good, -item[1].harm))
    harm = min(evidence.harm for evidence in each.values())
    powers = [evidence.power for evidence in each.values()]
    return msgspec.structs.replace(
        worst,
        power=None
        if None in powers
        else math.prod(each for each in powers if each is not None),
        harm=min(1.0, harm * len(each)),
        where=where,
        failed=tuple(id_ for evidence in each.values() for id_ in evidence.failed),
    )


def _share(
    gate: Gate, confidence: float, arm: Arm, asked: Iterable[Sample]
) -> Evidence:
    scores = arm.scores.get(gate.measure, {})
    counted = [sample for sample in asked if sample.id in scores]
    if not counted:
        return Evidence(0, says="nothing to count: no answer that this measure is of")
    at_most = gate.at_least is None
    demand = 1 - (gate.at_most or 0.0) if gate.at_least is None else gate.at_least
    # "At most 3 % bad" is "at least 97 % good": one way to reckon.
    good = {s.id: 1 - scores[s.id] if at_most else scores[s.id] for s in counted}
    documents = clustered.grouped((s.unit, good[s.id]) for s in counted)
    low = clustered.lower(documents, confidence)
    high = clustered.upper(documents, confidence)
    seen = (documents.share, low, high)
    if at_most:
        seen = (1 - documents.share, 1 - high, 1 - low)
    return Evidence(
        n=documents.n,
        power=_power(documents.n, demand, confidence) if documents.single else None,
        good=clustered.against(documents, demand),
        harm=clustered.beyond(documents, demand),
        value=seen[0],
        low=seen[1],
        high=seen[2],
        says=_needed(documents, demand, confidence),
        failed=tuple(id_ for id_, score in good.items() if score < 1),
    )


def _power(n: int, demand: float, confidence: float) -> float:
    return power.power(n, demand, confidence, power.worth_shipping(demand))


def _needed(documents: Documents, demand: float, confidence: float) -> str:
    if documents.share < demand:
        return f"seen {documents.share * 100:.3g} % of {demand * 100:.3g} %"
    more = more_needed(documents, demand, confidence)
    return "" if more is None else f"takes {more} more, if all of them are right"


def more_needed(documents: Documents, demand: float, confidence: float) -> int | None:
    """How many more documents would prove the demand if all of them were right.

    None when it takes more than `MOST`.
    """

    def proves(more: int) -> bool:
        means = (*documents.means, *(1.0,) * more)
        grown = Documents(means, documents.single)
        return clustered.against(grown, demand) <= 1 - confidence

    most = 1
    while not proves(most):
        most *= 2
        if most > MOST:
            return None
    return bisect.bisect_left(range(most), 1, key=proves)


def _spent(
    within: tuple[float, float],
    confidence: float,
    arm: Arm,
    baseline: Arm | None,
    asked: Sequence[Sample],
) -> Evidence:
    if baseline is None:
        return Evidence(0, says="there is no baseline to compare with")
    both = [s for s in asked if s.id in arm.answers and s.id in baseline.answers]
    pairs: dict[str, list[tuple[float, float]]] = {}
    failed: list[str] = []
    for sample in both:
        spent = _tokens(arm, sample.id), _tokens(baseline, sample.id)
        if spent[0] and spent[1]:
            pairs.setdefault(sample.unit, []).append((spent[0], spent[1]))
            if spent[0] > within[1] * spent[1]:
                failed.append(sample.id)
    found = ratio.paired(pairs, confidence)
    if found is None:
        return Evidence(0, says="no sample has a valid answer of both")
    lost = _fewer_done(arm, baseline, both)
    good = max(found.above(within[0]), found.below(within[1]))
    harm = min(1.0, 3 * min(found.below(within[0]), found.above(within[1]), lost))
    says = f"seen {found.value:.3g} times the baseline's"
    if lost <= 1 - confidence:
        good, says = 1.0, "fewer tasks are done than by the baseline"
    elif found.low is None:
        says = f"takes {ratio.LEAST} documents with valid answers of both, that differ"
    return Evidence(
        n=found.n,
        good=good,
        harm=harm,
        value=found.value,
        low=found.low,
        high=found.high,
        says=says,
        failed=tuple(failed),
    )


def _tokens(arm: Arm, id_: str) -> float | None:
    """What an answer took that was valid as it came."""
    answer = arm.answers[id_]
    return (
        answer.completion_tokens if answer.verdict in ("valid", "constrained") else None
    )


def _fewer_done(arm: Arm, baseline: Arm, both: Iterable[Sample]) -> float:
    """A p-value against "the arm does as many tasks": the sign test (McNemar)."""
    done = [
        (arm.scores["success"][s.id], baseline.scores["success"][s.id]) for s in both
    ]
    only_baseline = sum(mine < theirs for mine, theirs in done)
    only_arm = sum(mine > theirs for mine, theirs in done)
    differ = only_arm + only_baseline
    return statistics.at_most(only_arm, differ, 0.5) if differ else 1.0
