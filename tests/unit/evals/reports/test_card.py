import msgspec
import pytest

from adapters.manifest import Metric
from evals.errors import SetupError
from evals.reports.card import metrics, section
from evals.result import SuiteResult
from tests.unit.evals.suite_results import example

EVIDENCE = "docs/report.html"


def _metrics(result: SuiteResult) -> dict[str, Metric]:
    return metrics(result.judged[0], result.arms[1], result, EVIDENCE)


def test_a_gate_is_a_metric_with_its_bounds_data_and_evidence() -> None:
    result = example()
    finding = next(f for f in result.judged[0].findings if f.name == "citation")
    assert _metrics(result)["gate.citation"] == Metric(
        0.75,
        16,
        f"samples {result.samples_digest}",
        finding.low,
        finding.high,
        "exact one-sided 95 %",
        EVIDENCE,
    )


def test_a_ratio_is_not_called_exact() -> None:
    assert _metrics(example())["gate.tokens"].bound == "bootstrap one-sided 95 %"


def test_a_measure_says_that_its_bounds_are_two_sided() -> None:
    found = _metrics(example())["citations"]
    assert found.bound == "two-sided 95 %"
    assert (found.value, found.n) == (0.775, 40)


def test_a_gate_without_a_figure_and_a_measure_without_values_are_left_out() -> None:
    result = example()
    judged, arm = result.judged[0], result.arms[1]
    blank = msgspec.structs.replace(judged.findings[0], value=None)
    bare = msgspec.structs.replace(judged, findings=(blank,))
    silent = msgspec.structs.replace(arm, summary=arm.summary | {"citations": None})
    found = metrics(bare, silent, result, EVIDENCE)
    assert not [name for name in found if name.startswith("gate.")]
    assert "citations" not in found
    assert "success" in found


def test_the_metrics_are_ones_that_a_manifest_takes() -> None:
    found = _metrics(example())
    raw = msgspec.json.encode(found)
    assert msgspec.json.decode(raw, type=dict[str, Metric]) == found
    assert all(len(m.dataset) <= 200 and len(m.bound) <= 200 for m in found.values())


def test_the_section_says_verdict_gates_digests_and_evidence() -> None:
    result = example()
    text = section(result, "lora", EVIDENCE)
    assert text.startswith("## Evals: fail\n\n`acme-behav-lora@v1` (digest `8c8c")
    for finding in result.judged[0].findings:
        assert f"| {finding.name}" in text
    assert result.samples_digest[:12] in text
    assert result.gates_digest[:12] in text
    assert f"Evidence: {EVIDENCE}." in text


def test_a_generator_without_a_verdict_has_no_section() -> None:
    with pytest.raises(SetupError, match=r"base was not judged.*lora, lora_pref"):
        section(example(), "base", EVIDENCE)
