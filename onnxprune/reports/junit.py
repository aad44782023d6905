"""Verdicts as JUnit XML, which CI services show beside tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from onnxprune.files import printable
from onnxprune.reports.verdicts import checks_of

_RESULTS = {"fail": "failure", "cannot tell": "error", "error": "error"}
"""What a check that does not pass is called there: what cannot be told must not count as passed."""


def junit_xml(record: Mapping[str, Any]) -> str:
    """A document with a test case for each check.

    Args:
        record: the record of a run.
    """
    suite = "onnxprune gate" if "checks" in record else "onnxprune"
    checks = checks_of(record)
    results = [_RESULTS.get(check["verdict"]) for check in checks]
    totals = {
        "tests": str(len(checks)),
        "failures": str(results.count("failure")),
        "errors": str(results.count("error")),
    }
    root = ElementTree.Element("testsuites", totals)
    tests = ElementTree.SubElement(root, "testsuite", {"name": suite, **totals})
    properties = ElementTree.SubElement(tests, "properties")
    for name, source in record.get("provenance", {"inputs": {}})["inputs"].items():
        ElementTree.SubElement(
            properties, "property", name=f"{name} sha256", value=str(source["sha256"])
        )
    for check, result in zip(checks, results, strict=True):
        case = ElementTree.SubElement(
            tests, "testcase", classname=suite, name=printable(check["name"], "\n")
        )
        said = printable(check["said"], "\n")
        if result is not None:
            ElementTree.SubElement(case, result, message=said or check["verdict"])
        elif said:
            ElementTree.SubElement(case, "system-out").text = said
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
