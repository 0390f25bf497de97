"""That inspect's own reader opens the logs is shown in tests/e2e."""

import json
import re
from typing import Any

import msgspec
import pytest

from evals.errors import SetupError
from evals.reports.inspect_log import logs
from evals.reports.rows import columns
from evals.result import SuiteResult
from tests.unit.evals.suite_results import HOSTILE, example


def _read(result: SuiteResult) -> dict[str, Any]:
    found = [json.loads(content) for content in logs(result).values()]
    return {log["eval"]["task"].removeprefix("wastegate-suite-"): log for log in found}


def test_each_arm_is_a_log_under_a_name_that_inspect_lists() -> None:
    names = list(logs(example()))
    assert len(names) == 4
    listed = r"2031-01-02T00-00-00\+00-00_suite-[a-z-]+_[0-9a-f]{22}\.json"
    assert all(re.fullmatch(listed, name) for name in names)
    assert list(_read(example())) == ["base", "lora", "lora-pref", "base-constrained"]


def test_a_sample_has_its_chat_target_output_and_scores() -> None:
    sample = _read(example())["lora"]["samples"][1]
    assert sample["id"] == "documents-0001"
    assert [each["role"] for each in sample["input"]] == ["system", "user"]
    assert "[kb-1-0] The Aster lamp" in sample["input"][1]["content"]
    assert json.loads(sample["target"])["citations"] == ["kb-1-0"]
    assert json.loads(sample["output"]["completion"])["citations"] == ["kb-1-1"]
    assert sample["output"]["usage"]["total_tokens"] == 180 + 33
    score = sample["scores"]["citations"]
    assert score["value"] == 0
    assert score["explanation"] == (
        "expected ok, citing kb-1-0; answered uncertain, citing kb-1-1;"
        " the output was valid"
    )
    assert sample["metadata"]["task"] == "documents"


def test_a_sample_that_does_not_count_for_a_measure_has_no_score_of_it() -> None:
    samples = {s["id"]: s for s in _read(example())["lora"]["samples"]}
    assert "citations" not in samples["doubt-0002"]["scores"]


def test_an_output_that_was_lost_is_empty_with_its_reason() -> None:
    samples = {s["id"]: s for s in _read(example())["base"]["samples"]}
    cut = samples["refusal-0003"]["output"]
    assert cut["completion"] == ""
    assert cut["choices"][0]["stop_reason"] == "max_tokens"
    assert "no_json" in cut["error"]


def test_the_metrics_are_the_figures_of_the_other_reports() -> None:
    result = example()
    for name, arm in zip(("base", "lora", "lora-pref"), result.arms, strict=True):
        for score in _read(result)[name]["results"]["scores"]:
            interval = arm.summary[score["name"]]
            assert interval is not None
            assert score["metrics"]["estimate"]["value"] == interval.point
            assert score["metrics"]["n"]["value"] == interval.n
            assert score["scored_samples"] == len(arm.scores[score["name"]])


def test_an_adapters_log_carries_its_verdict_and_the_bases_none() -> None:
    read = _read(example())
    assert read["lora"]["results"]["metadata"]["verdict"] == "fail"
    assert read["lora"]["results"]["metadata"]["gates"]["citation"] == "fail"
    assert read["base"]["results"]["metadata"] == {}
    assert read["base-constrained"]["results"]["metadata"] == {}


def test_an_arm_with_samples_unasked_is_no_success() -> None:
    result = example(16)
    arm = result.arms[1]
    cut = msgspec.structs.replace(arm, answers=dict(list(arm.answers.items())[:4]))
    log = _read(msgspec.structs.replace(result, arms=(result.arms[0], cut)))["lora"]
    assert log["status"] == "cancelled"
    assert len(log["samples"]) == 4
    assert log["results"]["completed_samples"] == 4


def test_a_baseline_asked_all_that_it_is_for_is_a_success() -> None:
    log = _read(_with_baseline(example(), lost=0))["base-constrained"]
    assert log["status"] == "success"
    assert {s["metadata"]["task"] for s in log["samples"]} == {"grounding", "documents"}
    assert log["results"]["total_samples"] == len(log["samples"])
    assert log["eval"]["dataset"]["samples"] == len(log["samples"])
    assert log["eval"]["dataset"]["sample_ids"] == [s["id"] for s in log["samples"]]


def test_a_baseline_that_was_cut_short_is_no_success() -> None:
    log = _read(_with_baseline(example(), lost=1))["base-constrained"]
    assert log["status"] == "cancelled"
    assert log["results"]["total_samples"] == len(log["samples"]) + 1


def test_no_answer_is_left_out_of_a_log() -> None:
    result = example()
    for log, column in zip(_read(result).values(), columns(result), strict=True):
        assert {each["id"] for each in log["samples"]} == set(column.arm.answers)


def test_without_a_verdict_a_baseline_of_some_samples_is_no_success() -> None:
    """Its tasks are then not known, and what is not known is not claimed."""
    result = msgspec.structs.replace(_with_baseline(example(), lost=0), judged=())
    assert _read(result)["base-constrained"]["status"] == "cancelled"


def test_the_same_result_makes_the_same_logs() -> None:
    assert logs(example(8)) == logs(example(8))


def test_hostile_texts_are_data_and_stay_out_of_the_names() -> None:
    found = logs(example(8, hostile=HOSTILE))
    sample = json.loads(next(iter(found.values())))["samples"][0]
    assert sample["input"][1]["content"].endswith(HOSTILE)
    assert all(re.fullmatch(r"[\w+.-]+", name) for name in found)


@pytest.mark.parametrize(
    ("date", "stamp"),
    [
        ("2031-01-02", "2031-01-02T00-00-00+00-00"),
        ("2031-01-02T03:04:05+02:00", "2031-01-02T01-04-05+00-00"),
    ],
)
def test_the_time_of_a_log_is_the_runs_in_utc(date: str, stamp: str) -> None:
    assert next(iter(logs(_dated(date)))).startswith(stamp)


def test_a_date_that_is_none_is_refused_with_what_is_right() -> None:
    with pytest.raises(SetupError, match="'yesterday'; an ISO date such as"):
        logs(_dated("yesterday"))


def _with_baseline(result: SuiteResult, *, lost: int) -> SuiteResult:
    """The same with a baseline as the suite asks it: the tasks of `tokens` alone."""
    baseline = result.baseline
    assert baseline is not None
    wanted = [s.id for s in result.samples if s.task in ("grounding", "documents")]
    answers = {name: baseline.answers[name] for name in wanted[lost:]}
    cut = msgspec.structs.replace(baseline, answers=answers)
    return msgspec.structs.replace(result, baseline=cut)


def _dated(date: str) -> SuiteResult:
    result = example(8)
    origin = msgspec.structs.replace(result.origin, date=date)
    return msgspec.structs.replace(result, origin=origin)
