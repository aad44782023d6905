"""Trained models that ship in wheels, raw as they are: pruned and proven without a hint.

They are optional: `pip install --no-deps rapidocr-onnxruntime silero-vad ddddocr magika`; the
wheels need nothing else for this. Of ddddocr one model is quantized to int8.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

import onnxprune as op

PACKAGES = {
    "rapidocr_onnxruntime": (
        "ch_PP-OCRv4_det_infer",
        "ch_PP-OCRv4_rec_infer",
        "ch_ppocr_mobile_v2.0_cls_infer",
    ),
    "silero_vad": (
        "silero_vad",
        "silero_vad_16k_op15",
        "silero_vad_half",
        "silero_vad_op18_ifless",
    ),
    "ddddocr": ("common", "common_det", "common_old"),
    "magika": ("model",),
}
CASES = [(package, name) for package, names in PACKAGES.items() for name in names]


def path_of(package: str, name: str) -> Path:
    """The file of a model; the test is skipped where its package is not installed."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{package} is not installed")
    found = [
        path
        for folder in spec.submodule_search_locations
        for path in Path(folder).rglob(f"{name}.onnx")
    ]
    if not found:
        pytest.skip(f"this release of {package} has no {name}.onnx")
    return found[0]


@pytest.mark.parametrize("ratio", [0.3, 0.5])
@pytest.mark.parametrize(("package", "name"), CASES, ids=[name for _, name in CASES])
def test_pruned_and_proven(package: str, name: str, ratio: float, tmp_path: Path) -> None:
    result = op.prune(path_of(package, name), ratio)
    assert result.is_pruned
    assert result.verify().passed
    result.model.save(tmp_path / "out.onnx")
    assert op.load(tmp_path / "out.onnx").parameters == result.model.parameters
    assert result.model.parameters < (1 - ratio / 2) * result.original.parameters


def test_a_recurrent_state_shrinks_where_that_is_allowed() -> None:
    path = path_of("silero_vad", "silero_vad_16k_op15")
    kept = op.prune(path, 0.5)
    allowed = op.prune(path, 0.5, allow_io=("state*:2",))
    assert allowed.verify().passed
    assert allowed.model.parameters < kept.model.parameters
    assert {name: len(axes[2]) for name, axes in allowed.ports.items()} == {
        "state": 64,
        "stateN": 64,
    }
