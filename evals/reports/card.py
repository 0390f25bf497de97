"""What a model card says of a run: metrics for the manifest, and a section of text."""

from adapters.manifest import Metric
from evals.errors import SetupError
from evals.figures import TEXT_MARK, grid
from evals.gates import Finding
from evals.reports import rows
from evals.reports.tags import line
from evals.result import Arm, Judged, SuiteResult, arm


def metrics(
    judged: Judged, asked: Arm, result: SuiteResult, evidence: str
) -> dict[str, Metric]:
    """The manifest's metrics: each gate's figure, and each measure of the arm.

    Args:
        judged: the adapter's verdict.
        asked: the same adapter's arm.
        result: the run that both are of; gives data set and confidence.
        evidence: where the report is, at most 200 characters.
    """
    common = {"dataset": f"samples {result.samples_digest}", "evidence": evidence}
    found = {
        f"gate.{finding.name}": Metric(
            finding.value,
            finding.n,
            lower=finding.low,
            upper=finding.high,
            bound=_bound(finding, result.confidence),
            **common,
        )
        for finding in judged.findings
        if finding.value is not None
    }
    for row in rows.rows(result):
        interval = asked.summary.get(row.name)
        if interval is None:
            continue
        bounded = interval.low is not None or interval.high is not None
        found[row.name] = Metric(
            interval.point,
            interval.n,
            lower=interval.low,
            upper=interval.high,
            bound="two-sided 95 %" if bounded else "",
            **common,
        )
    return found


def section(result: SuiteResult, generator: str, evidence: str) -> str:
    """A section of Markdown for the card of a judged generator.

    Raises:
        SetupError: the run has no verdict on it.
    """
    judged = next((j for j in result.judged if j.generator == generator), None)
    asked = arm(result, generator)
    if judged is None or asked is None:
        names = ", ".join(each.generator for each in result.judged) or "none"
        raise SetupError(f"{generator} was not judged in this run; judged: {names}")
    head = ("gate", "verdict", "asked", "seen", "n", "power")
    body = [
        (f.name, f.verdict, f.gate.asked, rows.seen(f), str(f.n), rows.chance(f))
        for f in judged.findings
    ]
    return "\n".join(
        (
            f"## Evals: {judged.verdict}",
            "",
            _told(judged, asked, result, evidence),
            "",
            *grid((head, *(tuple(line(text) for text in row) for row in body))),
            "",
            *(f"- {text}" for text in rows.LIMITS),
            "",
        )
    )


def _told(judged: Judged, asked: Arm, result: SuiteResult, evidence: str) -> str:
    adapter = f"`{asked.subject.model}` (digest `{asked.subject.digest[:TEXT_MARK]}`)"
    samples = f"samples `{result.samples_digest[:TEXT_MARK]}`"
    gates = f"gates `{result.gates_digest[:TEXT_MARK]}`"
    return (
        f"{adapter} {rows.VERDICT[judged.verdict]}: {rows.tally(judged)}. Measured on"
        f" {line(result.origin.date)} over {len(result.samples)} held-out samples;"
        f" {samples}, {gates}. Each bound is one-sided, at"
        f" {result.confidence * 100:g} %. Evidence: {line(evidence)}."
    )


def _bound(finding: Finding, confidence: float) -> str:
    if finding.low is None and finding.high is None:
        return ""
    how = "bootstrap" if finding.gate.ratio else "exact"
    return f"{how} one-sided {confidence * 100:g} %"
