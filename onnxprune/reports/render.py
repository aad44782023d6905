"""The record as a file, in the format that its name asks for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from onnxprune.reports.junit import junit_xml
from onnxprune.reports.markdown import markdown
from onnxprune.reports.record import plain


def json_text(record: Mapping[str, Any]) -> str:
    """The record as a JSON document."""
    text = json.dumps(plain(record), indent=2, allow_nan=False, ensure_ascii=False)
    return text + "\n"


def _html(record: Mapping[str, Any]) -> str:
    from onnxprune.reports.html import render  # it is large, and seldom asked for

    return render(record)


FORMATS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    ".html": _html,
    ".md": markdown,
    ".json": json_text,
    ".xml": junit_xml,
}
"""What renders a record, by the suffix of the file."""
