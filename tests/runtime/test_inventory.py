"""What is installed is found, and what clashes is named."""

import os
import sys
from pathlib import Path

import pytest

from onnxprune.runtime import parse_provider
from onnxprune.runtime.inventory import (
    NOT_INSTALLED,
    Inventory,
    accelerators,
    canonical,
    nvidia_driver,
    take_inventory,
)


def inventory(
    runtimes: dict[str, str] | None = None,
    packages: dict[str, str] | None = None,
    driver: str = "",
) -> Inventory:
    return Inventory({}, runtimes or {"onnxruntime": "1.31.1"}, packages or {}, {}, driver)


def test_what_runs_here_is_found() -> None:
    found = take_inventory()
    assert found.versions["python"] == sys.version.split()[0]
    assert NOT_INSTALLED not in {found.versions[name] for name in ("onnx", "onnxruntime", "numpy")}
    assert all(name.startswith("onnxruntime") for name in found.runtimes)


def test_an_onnxruntime_that_is_missing_is_no_reason_to_fail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "onnxruntime.capi.build_and_package_info", raising=False)
    assert take_inventory().versions["onnxruntime"] == NOT_INSTALLED


def test_one_onnxruntime_is_no_warning() -> None:
    assert inventory().warnings == []


def test_two_beside_each_other_are() -> None:
    (warning,) = inventory({"onnxruntime-gpu": "1.31.1", "onnxruntime": "1.30.0"}).warnings
    assert warning.startswith("onnxruntime and onnxruntime-gpu are installed beside each other")
    assert "then install one" in warning


def test_packages_with_libraries_are_told_from_others() -> None:
    names = {"nvidia-cudnn-cu13": "9.1", "numpy": "2.4", "tensorrt-cu13": "10.16", "openvino": "1"}
    assert list(accelerators(names)) == ["nvidia-cudnn-cu13", "openvino", "tensorrt-cu13"]
    assert canonical("Onnx_GraphSurgeon") == "onnx-graphsurgeon"


def test_what_a_gpu_lacks_is_named() -> None:
    bare, tensorrt = inventory(), parse_provider("tensorrt")
    assert bare.missing(tensorrt) == [
        "NVIDIA driver",
        "CUDA package",
        "cuDNN package",
        "TensorRT package",
    ]
    packages = {"nvidia-cuda-runtime": "13.0", "nvidia-cudnn-cu13": "9.1"}
    assert inventory(packages=packages, driver="580.1").missing(parse_provider("cuda")) == []
    assert inventory(packages=packages, driver="580.1").missing(tensorrt) == ["TensorRT package"]
    assert bare.missing(parse_provider("openvino")) == []


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar\nGCC\n", "550.54.15"),
        (
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.82.07  Release\n",
            "580.82.07",
        ),
        ("something new\nGCC\n", "something new"),
    ],
)
def test_the_driver_describes_itself(tmp_path: Path, text: str, version: str) -> None:
    (tmp_path / "version").write_text(text)
    assert nvidia_driver(tmp_path / "version") == version


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.parametrize(
    ("script", "version"), [("echo 560.1; echo 560.1", "560.1"), ("exit 9", "")]
)
def test_else_its_tool_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, version: str
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert nvidia_driver(tmp_path / "none") == version
    monkeypatch.setenv("PATH", "")
    assert nvidia_driver(tmp_path / "none") == ""
