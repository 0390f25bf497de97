"""A run as JUnit XML, for CI: a suite for each judged generator, a case for each gate.

A gate that fails is a failure. One that is inconclusive is an error, and never a skip:
a skipped case is green, and what was not proven must not look so. The structure is that
of Surefire's and Jenkins's schemas.
"""

from typing import Final
from xml.etree import ElementTree as ET

from evals.gates import Finding
from evals.reports import rows
from evals.reports.tags import visible
from evals.result import Judged, SuiteResult, arm

NAMED: Final = 20
"""Ids of samples that a failure names."""


def junit(result: SuiteResult) -> bytes:
    """The whole file; characters that XML cannot hold are written by their code."""
    root = ET.Element("testsuites", name="wastegate evals")
    for judged in result.judged:
        root.append(_suite(judged, result))
    if not result.judged:
        root.append(_nothing(result))
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    ET.indent(root)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def _suite(judged: Judged, result: SuiteResult) -> ET.Element:
    asked = arm(result, judged.generator)
    suite = _counted(judged.generator, asked.seconds if asked else 0.0)
    properties = ET.SubElement(suite, "properties")
    facts = [*rows.made(result), ("Verdict", judged.verdict)]
    if asked:
        facts += [("Model", asked.subject.model), ("Digest", asked.subject.digest)]
    for name, value in facts:
        ET.SubElement(properties, "property", name=name, value=visible(value))
    for finding in judged.findings:
        suite.append(_case(judged.generator, finding))
    if not judged.findings:
        suite.append(_undecided(judged.generator, "no gate was applied"))
    return _count(suite)


def _nothing(result: SuiteResult) -> ET.Element:
    """A run without a verdict; an empty file would look green."""
    suite = _counted("verdict", 0.0)
    suite.append(_undecided("verdict", f"run {result.run}: nothing was judged"))
    return _count(suite)


def _case(generator: str, finding: Finding) -> ET.Element:
    case = _named(f"evals.{generator}.{finding.gate.suite}", finding.name)
    said = f"asked {finding.gate.asked}, seen {rows.seen(finding)}, n {finding.n}"
    message = f"{said}. {finding.says}" if finding.says else said
    kind = {"fail": "failure", "inconclusive": "error"}.get(finding.verdict)
    if kind is None:
        ET.SubElement(case, "system-out").text = visible(message)
        return case
    told = ET.SubElement(
        case, kind, message=visible(message), type=f"gate.{finding.verdict}"
    )
    told.text = visible("\n".join((finding.gate.why, *_ids(finding))))
    return case


def _ids(finding: Finding) -> list[str]:
    more = len(finding.failed) - NAMED
    tail = [f"and {more} more"] if more > 0 else []
    return [*finding.failed[:NAMED], *tail]


def _undecided(generator: str, why: str) -> ET.Element:
    case = _named(f"evals.{generator}", "verdict")
    ET.SubElement(case, "error", message=visible(why), type="gate.inconclusive")
    return case


def _named(classname: str, name: str) -> ET.Element:
    attributes = {"classname": visible(classname), "name": visible(name), "time": "0"}
    return ET.Element("testcase", attributes)


def _counted(name: str, seconds: float) -> ET.Element:
    return ET.Element("testsuite", {"name": visible(name), "time": f"{seconds:.3f}"})


def _count(suite: ET.Element) -> ET.Element:
    """Write the counts that follow from the cases."""
    cases = suite.findall("testcase")
    for name, path in (("failures", "failure"), ("errors", "error")):
        suite.set(name, str(sum(case.find(path) is not None for case in cases)))
    suite.set("tests", str(len(cases)))
    suite.set("skipped", "0")
    return suite
