"""The same inputs give the same bytes: in other processes, and on any number of threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import onnxprune as op
from tests.conftest import FIXTURES

COUNTS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
PRUNE = """
import os, sys
if sys.argv[3] == "1" and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])
from onnxprune.cli import cli
cli()
"""


def pruned(folder: Path, model: str, cores: str, *options: str) -> bytes:
    """The model and its plan, made in a process of its own."""
    target = folder / f"{cores}-{len(list(folder.iterdir()))}.onnx"
    plan = target.with_suffix(".json")
    script = PRUNE.replace("sys.argv[3]", repr(cores))
    arguments = [str(FIXTURES / model), str(target), "--plan", str(plan), *options]
    subprocess.run(
        [sys.executable, "-c", script, *arguments, "--no-benchmark", "--no-verify", "-q"],
        env={**os.environ, **dict.fromkeys(COUNTS, cores), "PYTHONHASHSEED": cores},
        check=True,
    )
    return target.read_bytes() + plan.read_bytes()


DATA = ("--data", str(FIXTURES / "digits_calibration.npz"), "--samples", "64")


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("digits_cnn.ts.onnx", ("--channels", "0.3")),
        ("digits_cnn.ts.onnx", ("--target-macs", "0.5", *DATA)),
        ("digits_vit.dyn.onnx", ("--channels", "0.3", "--steps", "2", *DATA)),
    ],
)
def test_other_processes_and_threads(tmp_path: Path, model: str, options: tuple[str, ...]) -> None:
    first = pruned(tmp_path, model, "1", *options)
    assert pruned(tmp_path, model, "1", *options) == first
    assert pruned(tmp_path, model, "4", *options) == first


def test_a_plan_rebuilds_the_candidate(tmp_path: Path) -> None:
    source = FIXTURES / "digits_vit.ts.onnx"
    data = op.open_data(FIXTURES / "digits_calibration.npz", op.load(source), limit=64)
    for repair in (False, True):
        result = op.prune(source, 0.4, data=data, repair=repair)
        result.plan.save(tmp_path / "plan.json")
        again = op.apply_plan(
            op.Plan.load(tmp_path / "plan.json"), source, data=data, repair=repair
        )
        assert again.model.to_bytes() == result.model.to_bytes()
