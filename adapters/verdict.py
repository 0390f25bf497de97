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
    gates: tuple[GateResult, ...]
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
    """Return a verdict as indented JSON."""
    raw = msgspec.json.encode(verdict, enc_hook=encode_hook)
    return msgspec.json.format(raw, indent=2) + b"\n"


def decode(raw: bytes, file: str = FILE) -> EvalVerdict:
    """Read a verdict.

    Raises:
        ManifestError: it is none, or contradicts itself; `file` is named.
    """
    verdict = parse(raw, EvalVerdict, file)
    found = overall(tuple(gate.verdict for gate in verdict.gates))
    if found != verdict.verdict:
        raise ManifestError(
            file, f"says {verdict.verdict}, but its gates come to {found}"
        )
    return verdict


def overall(gates: tuple[Word, ...]) -> Word:
    """Return what all gates come to: one failure fails, no gates decide nothing."""
    if "fail" in gates:
        return "fail"
    return "pass" if gates and set(gates) == {"pass"} else "inconclusive"
