"""Checks as JUnit XML, which CI services show beside tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from onnxprune.reports.gate import measured_text

_RESULTS = {"fail": "failure", "cannot tell": "error"}
"""What a check that does not pass is called there: what cannot be told must not count as passed."""


def junit_xml(record: Mapping[str, Any], suite: str = "onnxprune gate") -> str:
    """A document with a test case for each check.

    Args:
        record: the record of a judgement.
        suite: what to call them together.
    """
    checks = record["checks"]
    counts = {
        "tests": len(checks),
        "failures": sum(check["verdict"] == "fail" for check in checks),
        "errors": sum(check["verdict"] == "cannot tell" for check in checks),
    }
    totals = {name: str(number) for name, number in counts.items()}
    root = ElementTree.Element("testsuites", totals)
    tests = ElementTree.SubElement(root, "testsuite", {"name": suite, **totals})
    properties = ElementTree.SubElement(tests, "properties")
    for name, source in record["provenance"]["inputs"].items():
        ElementTree.SubElement(
            properties, "property", name=f"{name} sha256", value=str(source["sha256"])
        )
    for check in checks:
        case = ElementTree.SubElement(tests, "testcase", classname=suite, name=check["name"])
        said = "; ".join(part for part in (measured_text(check), check["why"]) if part)
        result = _RESULTS.get(check["verdict"])
        if result is None and said:
            ElementTree.SubElement(case, "system-out").text = said
        elif result is not None:
            ElementTree.SubElement(case, result, message=said or check["verdict"])
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
