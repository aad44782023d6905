"""A sample of ONNX's own backend cases; `tools/backend_report` runs all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pages import ROOT
from tests.versions import NEWEST_OPSET, has_opset

REPORT = ROOT / "tools" / "backend_report.py"
CASES = (
    "test_add_uint8",
    "test_affine_grid_2d_expanded",
    "test_batchnorm_example_training_mode",
    "test_bitwise_or_ui64*",
    "test_castlike_FLOAT_to_INT4",
    "test_castlike_BFLOAT16_to_FLOAT",
    "test_castlike_UINT2_to_FLOAT",
    "test_div_int32_trunc",
    "test_gather_elements_0",
    "test_if_seq",
    "test_if_opt",
    "test_reshape_allowzero_reordered",
    "test_resize_downsample_sizes_nearest_not_smaller",
    "test_scan9_sum",
    "test_sequence_insert_at_back",
    "test_stft",
    "test_strnormalizer_nostopwords_nochangecase",
    "test_training_dropout",
    "test_Conv2d_groups",
)


def report(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the tool, which finds its own modules beside it."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    command = [sys.executable, str(REPORT), *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_a_sample_of_cases(tmp_path: Path) -> None:
    found = tmp_path / "report.json"
    run = report("--cases", ",".join(CASES), "--json", str(found))
    assert run.returncode == 0, run.stdout + run.stderr
    cases = {case["name"]: case for case in json.loads(found.read_text())["cases"]}
    assert len(cases) >= len(CASES) - (not has_opset(NEWEST_OPSET))  # one is younger
    for case in cases.values():
        assert case["same"]["outcome"] in ("same", "as ONNX Runtime has it"), case
    for name in cases.keys() & {"test_add_uint8", "test_div_int32_trunc", "test_Conv2d_groups"}:
        assert cases[name]["prunings"]["all inputs fed"]["outcome"] == "proven", name
    blocked = cases["test_training_dropout"]["prunings"]["all inputs fed"]
    assert blocked["outcome"] == "blocked"
    assert set(blocked["blocked"]) == {"random numbers go by their place"}


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [("--cases", "no_such_case", "there is no such case"), ("--kinds", "real", "choose from node")],
)
def test_what_is_asked_for_must_be_there(option: str, value: str, message: str) -> None:
    run = report(option, value)
    assert (run.returncode, message in run.stderr) == (2, True)
