"""What older versions of onnx and ONNX Runtime lack that tests use."""

from __future__ import annotations

import onnx.defs
import pytest

from onnxprune.runtime.binding import load_onnxruntime

RUNTIME = tuple(map(int, load_onnxruntime().__version__.split(".")[:2]))
"""The installed ONNX Runtime."""
NEWEST_RUNTIME = (1, 31)
"""The one that signatures, and the table of operators, were written for."""
NEWEST_OPSET = 28
"""Likewise the version of onnx's operator set."""


def needs_runtime(version: tuple[int, int]) -> pytest.MarkDecorator:
    """Skip a test where ONNX Runtime is older."""
    asked = ".".join(map(str, version))
    return pytest.mark.skipif(version > RUNTIME, reason=f"needs ONNX Runtime {asked}")


def has_opset(version: int) -> bool:
    """Whether the installed onnx knows a version of its own operator set."""
    return version <= onnx.defs.onnx_opset_version()
