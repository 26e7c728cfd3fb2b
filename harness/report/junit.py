"""A comparison as JUnit XML: a test case for each endpoint that a claim needs."""

from __future__ import annotations

from xml.etree import ElementTree

from harness.comparison.compare import Comparison
from harness.report.escaping import xml

TAGS = {"fail": "failure", "inconclusive": "skipped", "refused": "error"}


def junit_xml(comparison: Comparison) -> str:
    """Proven endpoints pass, refuted ones are failures, open ones skipped, refused ones errors; the headline stands in each."""
    suite = ElementTree.Element("testsuite", name=f"harness gate: {comparison.promise.claim}")
    counts = dict.fromkeys(("tests", "failures", "skipped", "errors"), 0)
    for one in comparison.comparisons:
        for endpoint, decision in one.needed.items():
            case = ElementTree.SubElement(suite, "testcase", classname=xml(one.candidate.name), name=endpoint)
            counts["tests"] += 1
            tag = TAGS.get(decision.decision)
            if tag is None:
                continue
            counts[tag if tag == "skipped" else f"{tag}s"] += 1
            ElementTree.SubElement(case, tag, message=xml(one.headline)).text = xml(decision.reason or one.headline)
    for key, value in counts.items():
        suite.set(key, str(value))
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def broken_xml(message: str) -> str:
    """The XML of a gate that came to no judgement: one error."""
    suite = ElementTree.Element("testsuite", name="harness gate", tests="1", errors="1", failures="0", skipped="0")
    case = ElementTree.SubElement(suite, "testcase", classname="harness", name="gate")
    ElementTree.SubElement(case, "error", message=xml(message))
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"
