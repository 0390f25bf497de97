"""What the evals found: may this adapter ship?

The verdict is bound to the adapter's bytes, not to its name, and says with which gates
and samples it was reached. The evals write it, the gateway reads it, so its format is
here, where both can see it.
"""

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from adapters.errors import ManifestError
from adapters.manifest import Digest, encode_hook, parse
from adapters.refs import AdapterRef, BaseRef

Word = Literal["pass", "fail", "inconclusive"]

FILE: Final = "verdict.json"
MOST_GATES: Final = 64
"""Of one verdict; the suite has a dozen. With the lengths of texts below it bounds what
one verdict takes wherever it is kept."""

_Short = Annotated[str, msgspec.Meta(max_length=400)]
_Count = Annotated[int, msgspec.Meta(ge=0)]
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class GateResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One gate: what was asked of the adapter and what was seen.

    `low` and `high` are one-sided bounds, each at the verdict's `confidence`; None where
    there are none. `n` counts what the bounds count: documents.
    """

    name: _Short
    verdict: Word
    asked: _Short
    """In words and figures: "at least 99 %"."""
    n: _Count
    value: float | None = None
    low: float | None = None
    high: float | None = None
    says: _Short = ""
    """What more is needed, or what went wrong."""

    @property
    def seen(self) -> str:
        """What was seen, in figures of the kind that `asked` has: "81 %" or "0.82"."""
        return "nothing" if self.value is None else self._figure(self.value)

    @property
    def bounds(self) -> str:
        """The bounds, in such figures: "[77.9 %, …]"; empty where there are none."""
        if self.low is None and self.high is None:
            return ""
        low, high = (
            "…" if each is None else self._figure(each)
            for each in (self.low, self.high)
        )
        return f"[{low}, {high}]"

    def _figure(self, value: float) -> str:
        return f"{value * 100:.4g} %" if "%" in self.asked else f"{value:.4g}"


class EvalVerdict(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """May this adapter ship, by which evidence."""

    schema_version: Literal[1] = 1
    ref: AdapterRef
    digest: Digest
    """Of the adapter's bytes, as its ref is bound to them (`tree_digest`)."""
    base: BaseRef
    verdict: Word
    """`pass` when every gate has passed, `fail` when one has failed."""
    gates: Annotated[tuple[GateResult, ...], msgspec.Meta(max_length=MOST_GATES)]
    confidence: Annotated[float, msgspec.Meta(gt=0, lt=1)]
    samples: _Count
    samples_digest: Digest
    gates_digest: Digest
    """Of the gate file, so that two verdicts are known to be by the same measure."""
    made: _Moment
    command: _Short
    evidence: _Short = ""
    """Where the report is."""


def encode(verdict: EvalVerdict) -> bytes:
    """Return a verdict as indented JSON.

    Raises:
        ManifestError: it could not be read back as it is: a text is too long, or a
            figure is no number.
    """
    raw = msgspec.json.encode(verdict, enc_hook=encode_hook)
    if decode(raw) != verdict:
        raise ManifestError(FILE, "a figure is no number; None stands for none")
    return msgspec.json.format(raw, indent=2) + b"\n"


def decode(raw: bytes, file: str = FILE) -> EvalVerdict:
    """Read a verdict.

    Raises:
        ManifestError: it is none, or contradicts itself; `file` is named.
    """
    verdict = parse(raw, EvalVerdict, file)
    for problem in _contradictions(verdict):
        raise ManifestError(file, problem)
    return verdict


def _contradictions(verdict: EvalVerdict) -> list[str]:
    problems: list[str] = []
    found = overall(tuple(gate.verdict for gate in verdict.gates))
    if found != verdict.verdict:
        problems.append(f"says {verdict.verdict}, but its gates come to {found}")
    names = [gate.name for gate in verdict.gates]
    problems += [
        f"names the gate {name} twice"
        for name in sorted(set(names))
        if names.count(name) > 1
    ]
    problems += [
        f"{gate.name} passes with n = 0: nothing was seen"
        for gate in verdict.gates
        if gate.verdict == "pass" and gate.n == 0
    ]
    return problems


def seen(gate: GateResult) -> str:
    """Return a gate's figures in words: the value, its bounds, over how many."""
    if gate.value is None:
        return f"nothing seen, n {gate.n}"
    bounds = [
        f"{word} {bound:.4g}"
        for word, bound in (("above", gate.low), ("below", gate.high))
        if bound is not None
    ]
    return ", ".join((f"{gate.value:.4g}", *bounds, f"n {gate.n}"))


def overall(gates: tuple[Word, ...]) -> Word:
    """Return what all gates come to: one failure fails, no gates decide nothing."""
    if "fail" in gates:
        return "fail"
    return "pass" if gates and set(gates) == {"pass"} else "inconclusive"


def lacking(verdict: EvalVerdict) -> tuple[str, ...]:
    """Name the gates that did not pass, failures first, each with its figures.

    For example "refusal: 81 % of at least 99 %, n = 650".
    """
    return tuple(
        f"{gate.name}{'' if word == 'fail' else ' inconclusive'}:"
        f" {gate.seen} of {gate.asked}, n = {gate.n}"
        for word in ("fail", "inconclusive")
        for gate in verdict.gates
        if gate.verdict == word
    )
