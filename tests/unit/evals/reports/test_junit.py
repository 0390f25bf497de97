"""The structure is checked by what Surefire's and Jenkins's schemas have in common."""

from typing import Final
from xml.etree import ElementTree as ET

import msgspec
import pytest

from evals.reports.junit import junit
from evals.result import SuiteResult
from tests.unit.evals.suite_results import HOSTILE, example, without_verdicts

CHILDREN: Final = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase"},
    "properties": {"property"},
    "testcase": {"failure", "error", "system-out"},
}
NEEDED: Final = {
    "testsuites": {"name", "tests", "failures", "errors"},
    "testsuite": {"name", "time", "tests", "failures", "errors", "skipped"},
    "property": {"name", "value"},
    "testcase": {"classname", "name", "time"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
}


def _read(result: SuiteResult) -> ET.Element:
    return ET.fromstring(junit(result))  # noqa: S314 -- our own bytes


@pytest.mark.parametrize(
    "result",
    [example(), example(hostile=HOSTILE), without_verdicts(example(8))],
    ids=["plain", "hostile", "nothing judged"],
)
def test_the_structure_is_that_of_the_schema(result: SuiteResult) -> None:
    root = _read(result)
    assert root.tag == "testsuites"
    for element in root.iter():
        assert {child.tag for child in element} <= CHILDREN.get(element.tag, set())
        assert NEEDED.get(element.tag, set()) == set(element.attrib)
    for suite in root:
        tags = [child.tag for child in suite]
        assert "properties" not in tags[1:], "the schema has them first"


def test_a_gate_is_a_case_and_its_verdict_decides_how_it_ends() -> None:
    result = example()
    ends = {"failure": "fail", "error": "inconclusive", "system-out": "pass"}
    for judged, suite in zip(result.judged, _read(result), strict=True):
        assert suite.get("name") == judged.generator
        found = {
            case.get("name"): ends[child.tag]
            for case in suite.findall("testcase")
            for child in case
        }
        assert found == {f.name: f.verdict for f in judged.findings}


def test_nothing_is_skipped_since_a_skip_is_green() -> None:
    text = junit(example()).decode()
    assert "<skipped" not in text
    assert 'skipped="0"' in text


def test_the_counts_are_those_of_the_cases() -> None:
    root = _read(example())
    for element in (root, *root):
        counted = [
            str(len(element.findall(f".//{name}")))
            for name in ("testcase", "failure", "error")
        ]
        written = [element.get(name) for name in ("tests", "failures", "errors")]
        assert written == counted
    assert int(root.get("failures", "0")) > 0


def test_the_message_says_what_was_asked_and_seen_and_what_is_missing() -> None:
    case = _read(example()).find(".//testcase[@name='repair']/error")
    assert case is not None
    assert case.get("message") == (
        "asked at most 3 %, seen 2.5 % [0.12, 11.32], n 40."
        " About 240 more documents would decide it."
    )
    gate, *ids = (case.text or "").splitlines()
    finding = next(f for f in example().judged[0].findings if f.name == "repair")
    assert (gate, tuple(ids)) == (finding.gate.why, finding.failed)


def test_a_run_without_verdicts_is_an_error_and_not_green() -> None:
    root = _read(without_verdicts(example(8)))
    assert root.attrib["errors"] == "1"
    judged = msgspec.structs.replace(example().judged[0], findings=())
    bare = msgspec.structs.replace(example(), judged=(judged,))
    assert _read(bare).attrib["errors"] == "1"


def test_characters_that_xml_cannot_hold_are_written_by_their_code() -> None:
    text = junit(example(hostile=HOSTILE)).decode()
    assert "⟨U+0000⟩⟨U+001B⟩" in text
    assert not set("\x00\x1b\u202e") & set(text)
