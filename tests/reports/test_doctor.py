"""A diagnosis of a machine that has everything, and two things too many, within 80 columns."""

import io

from onnxprune.errors import ProviderUnavailableError
from onnxprune.reports.doctor import describe_diagnosis, print_diagnosis
from onnxprune.reports.terminal import WIDTH
from onnxprune.runtime.inventory import Inventory
from onnxprune.verify.health import Check, Diagnosis

CUDA, TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"


def test_a_diagnosis_fits_its_width() -> None:
    inventory = Inventory(
        versions={"onnxprune": "0.1.0", "onnxruntime": "1.31.1", "system": "Linux-" * 20},
        runtimes={"onnxruntime-gpu": "1.31.1", "onnxruntime": "1.30.0"},
        accelerators={"nvidia-cudnn-cu13": "9.13.0.50", "tensorrt-cu13": "10.16.1.11"},
        built_for={"cuda": "13.0"},
        driver="580.82.07",
    )
    error = ProviderUnavailableError(
        f"execution provider {TENSORRT} does not start",
        why="Failed to load libnvinfer.so.10: " + "/usr/lib/x86_64-linux-gnu/" * 6,
    )
    checks = [
        Check(
            CUDA, operators={CUDA: {"Gemm": 1}, "CPUExecutionProvider": {"Relu": 1}}, deviation=0
        ),
        Check(TENSORRT, error=error, missing=("TensorRT package",)),
        Check("OpenVINOExecutionProvider", available=False, error=error),
    ]
    record = describe_diagnosis(Diagnosis(inventory, checks))
    file = io.StringIO()
    print_diagnosis(record, file)
    text = file.getvalue()
    assert max(map(len, text.splitlines())) <= WIDTH
    for part in ("cuda 13.0", "580.82.07", "tensorrt-cu13 10.16.1.11", "1 of 2 nodes", "yes"):
        assert part in text
    words = " ".join(text.split())
    assert "Warning: onnxruntime and onnxruntime-gpu are installed beside each other" in words
    assert "not found: TensorRT package" in words
    assert "does not start" in words
    assert "not in this ONNX Runtime" in words
    assert (record["providers"][1]["works"], record["driver"]) == (False, "580.82.07")
