"""Filing: from what was judged to the verdict that a rollout reads."""

from datetime import datetime
from typing import Final

from adapters.errors import AdapterError
from adapters.refs import AdapterRef, BaseRef
from adapters.verdict import EvalVerdict, GateResult
from evals.errors import SetupError
from evals.gates import Finding
from evals.result import Judged, SuiteResult, arm

CLIPPED: Final = 400


def verdict(
    result: SuiteResult, judged: Judged, made: datetime, evidence: str = ""
) -> EvalVerdict:
    """The verdict on one generator's adapter, bound to its bytes.

    Args:
        result: the run, which has to have asked the base as well.
        judged: whose.
        made: when, with its time zone.
        evidence: where the report is.

    Raises:
        SetupError: the run does not say which bytes answered, or of which base.
    """
    asked, base = arm(result, judged.generator), arm(result, "base")
    if asked is None or not asked.subject.digest:
        raise SetupError(f"the run has no adapter's bytes for {judged.generator}")
    if base is None:
        raise SetupError("the run has not asked the base; --generators base …")
    try:
        ref, base_ref = AdapterRef.parse(asked.subject.model), base.subject.model
        return EvalVerdict(
            ref=ref,
            digest=asked.subject.digest,
            base=BaseRef.parse(base_ref),
            verdict=judged.verdict,
            gates=tuple(_gate(finding) for finding in judged.findings),
            confidence=result.confidence,
            samples=len(asked.answers),
            samples_digest=result.samples_digest,
            gates_digest=result.gates_digest,
            made=made,
            command=result.origin.command[:CLIPPED],
            evidence=evidence[:CLIPPED],
        )
    except AdapterError as error:
        raise SetupError(str(error)) from error


def _gate(finding: Finding) -> GateResult:
    says = f"{finding.where}: {finding.says}" if finding.where else finding.says
    return GateResult(
        name=finding.name,
        verdict=finding.verdict,
        asked=finding.gate.asked,
        n=finding.n,
        value=finding.value,
        low=finding.low,
        high=finding.high,
        says=says.removesuffix(": ")[:CLIPPED],
    )
