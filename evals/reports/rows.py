"""What the reports have in common: columns, rows, words, and what no number says."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from adapters.verdict import Word
from evals.figures import NOTHING, fine
from evals.gates import Finding
from evals.measures import MEASURES
from evals.power import NEARER
from evals.result import Arm, Judged, SuiteResult
from evals.statistics import Interval

SUCCESS: Final = "success"
"""The measure that says whether a sample was done well as a whole."""

LOW_IS_GOOD: Final = frozenset(("repaired", "reasked", "invalid", "truncated"))
"""Shares of which a sample with a 1 speaks against the generator; so does one of a
measure that a gate wants to be at most something."""

VERDICT: Final[Mapping[Word, str]] = {
    "pass": "passes",
    "fail": "fails",
    "inconclusive": "is inconclusive",
}

POWER: Final = (
    "power is how often a tune would pass with this n that has gone"
    f" {NEARER * 100:g} % of the way from what is asked to perfection"
)

LIMITS: Final = (
    (
        "The bounds of a gate are one-sided. A gate passes when the bound on the safe side"
        " meets the demand; it fails when the other bound, corrected for the number of"
        " gates, misses it; else it is inconclusive, which is not a pass."
    ),
    (
        "Bounds count documents, not samples: two samples of one document are not two"
        " proofs. They speak for samples drawn like these."
    ),
    (
        "The bounds of a measure hold one figure at a time; with this many of them some"
        " true value lies outside its own. A measure without a gate decides nothing."
    ),
    (
        "A verdict holds for the bytes of the adapter, the samples and the gates whose"
        " digests stand above, at this temperature and token limit. It says nothing of"
        " requests unlike these samples."
    ),
)


class Column(msgspec.Struct, frozen=True):
    """An arm as reports show it."""

    label: str
    arm: Arm


class Row(msgspec.Struct, frozen=True):
    """A measure over all columns."""

    name: str
    title: str
    unit: str
    says: str
    low_is_good: bool
    found: tuple[Interval | None, ...]
    """One for each column."""


def columns(result: SuiteResult) -> tuple[Column, ...]:
    """The arms, and the baseline where it is none of them."""
    found = [Column(each.subject.generator, each) for each in result.arms]
    base = result.baseline
    if base and not any(
        (each.subject, each.mode) == (base.subject, base.mode) for each in result.arms
    ):
        found.append(Column(f"{base.subject.generator}, {base.mode}", base))
    return tuple(found)


def rows(result: SuiteResult) -> tuple[Row, ...]:
    """Every measure that a column has a figure of, in the order of `MEASURES`."""
    arms = [column.arm for column in columns(result)]
    known = {measure.name: measure for measure in MEASURES}
    present = {name for arm in arms for name, found in arm.summary.items() if found}
    bounded = {
        finding.gate.measure
        for judged in result.judged
        for finding in judged.findings
        if finding.gate.at_most is not None
    }
    made: list[Row] = []
    for name in (*known, *sorted(present - set(known))):
        if name not in present:
            continue
        measure = known.get(name)
        made.append(
            Row(
                name,
                measure.title if measure else name.replace("_", " "),
                measure.unit if measure else _unit(name, arms),
                measure.says if measure else "",
                name in LOW_IS_GOOD | bounded,
                tuple(arm.summary.get(name) for arm in arms),
            )
        )
    return tuple(made)


def headline(result: SuiteResult) -> str:
    """The verdicts in words."""
    said = [f"{each.generator} {VERDICT[each.verdict]}" for each in result.judged]
    return ", ".join(said) or "nothing was judged"


def tally(judged: Judged) -> str:
    """How many gates of a generator passed, failed and neither."""
    words = [finding.verdict for finding in judged.findings]
    counted = ((words.count("pass"), "passed"), (words.count("fail"), "failed"))
    undecided = (words.count("inconclusive"), "inconclusive")
    parts = [f"{count} {word}" for count, word in (*counted, undecided) if count]
    return f"{many(len(words), 'gate')}: {', '.join(parts)}" if parts else "no gates"


def many(count: int, thing: str) -> str:
    """`1 sample`, `2 samples`."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def seen(finding: Finding) -> str:
    """A finding's figure with its bounds; the value of `by` that it is of."""
    if finding.value is None:
        return NOTHING
    unit = "of the baseline" if finding.gate.ratio else "%"
    figure = fine(finding.value, finding.low, finding.high, unit)
    return f"{figure} ({finding.gate.by} {finding.where})" if finding.where else figure


def chance(finding: Finding) -> str:
    """How often the gate would pass a tune that is worth shipping."""
    return NOTHING if finding.power is None else f"{finding.power * 100:.0f} %"


def made(result: SuiteResult) -> tuple[tuple[str, str], ...]:
    """How a run was made, as pairs of a name and a text."""
    params, origin = result.params, result.origin
    return (
        ("Command", origin.command),
        ("Date", origin.date),
        ("Run", result.run),
        ("Engine", origin.engine),
        ("Machine", origin.machine),
        (
            "Asked",
            (
                f"{len(result.samples)} samples on surface {params.surface}, temperature"
                f" {params.temperature:g}, at most {params.max_tokens} tokens"
            ),
        ),
        ("Samples' digest", result.samples_digest),
        ("Gates' digest", result.gates_digest),
        ("Confidence", f"{result.confidence * 100:g} %, one-sided, each gate"),
    )


def _unit(name: str, arms: Sequence[Arm]) -> str:
    found = (arm.scores.get(name, {}).values() for arm in arms)
    return "%" if all(0 <= x <= 1 for values in found for x in values) else ""
