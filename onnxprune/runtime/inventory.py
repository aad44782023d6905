"""What is installed that decides whether a provider works: packages, drivers, versions."""

import importlib
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from onnxprune.errors import ProviderUnavailableError
from onnxprune.runtime.binding import load_onnxruntime
from onnxprune.runtime.describe import cpu_name
from onnxprune.runtime.providers import TENSORRT, Provider

NOT_INSTALLED: Final = "not installed"
"""Stands for the version of what is not there."""

_DRIVER: Final = Path("/proc/driver/nvidia/version")
_DRIVER_VERSION: Final = re.compile(r"Kernel Module.*?\s(\d+(?:\.\d+)+)\s")
_ACCELERATORS: Final = ("nvidia-", "cuda-", "tensorrt", "openvino")
_CUDA_PARTS: Final = {"CUDA": "nvidia-cuda-runtime", "cuDNN": "nvidia-cudnn"}
_PATIENCE_S: Final = 20


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is installed.

    Attributes:
        versions: Of onnxprune, Python, its packages, the system and the processor.
        runtimes: Installed packages that bring the module `onnxruntime`, with their versions; more
            than one overwrite each other's files.
        accelerators: Installed packages that bring CUDA, cuDNN, TensorRT or OpenVINO.
        built_for: What ONNX Runtime says it was built for, such as `cuda` and its version.
        driver: Version of the NVIDIA driver; empty if there is none.
    """

    versions: Mapping[str, str]
    runtimes: Mapping[str, str]
    accelerators: Mapping[str, str]
    built_for: Mapping[str, str]
    driver: str

    @property
    def warnings(self) -> list[str]:
        """What is wrong with it."""
        if len(self.runtimes) < 2:
            return []
        names = " and ".join(sorted(self.runtimes))
        return [
            f"{names} are installed beside each other and overwrite each other's files: "
            "uninstall all of them, then install one"
        ]

    def missing(self, provider: Provider) -> list[str]:
        """Returns what was not found that a provider on NVIDIA GPUs needs.

        CUDA, cuDNN and TensorRT may also be there without Python packages.

        Args:
            provider: A provider that does not work.
        """
        if not provider.on_cuda:
            return []
        parts = dict(_CUDA_PARTS)
        if provider.name == TENSORRT:
            parts["TensorRT"] = "tensorrt"
        absent = [
            f"{what} package"
            for what, prefix in parts.items()
            if not any(name.startswith(prefix) for name in self.accelerators)
        ]
        return absent if self.driver else ["NVIDIA driver", *absent]


def take_inventory() -> Inventory:
    """Looks up what is installed; imports onnxruntime, if it can be."""
    names = {
        canonical(entry.metadata["Name"] or ""): entry.version for entry in metadata.distributions()
    }
    runtimes = {
        canonical(name): names.get(canonical(name), "")
        for name in metadata.packages_distributions().get("onnxruntime", ())
    }
    versions = {
        "onnxprune": names.get("onnxprune", NOT_INSTALLED),
        "python": platform.python_version(),
        "onnx": names.get("onnx", NOT_INSTALLED),
        "onnxruntime": _onnxruntime_version(),
        "numpy": names.get("numpy", NOT_INSTALLED),
        "system": platform.platform(),
        "processor": cpu_name(),
    }
    return Inventory(versions, runtimes, accelerators(names), _built_for(), nvidia_driver())


def canonical(name: str) -> str:
    """Returns the name of a package as indices spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def accelerators(names: Mapping[str, str]) -> dict[str, str]:
    """Returns the packages that bring an accelerator's libraries, of those installed."""
    return {name: names[name] for name in sorted(names) if name.startswith(_ACCELERATORS)}


def nvidia_driver(described: Path = _DRIVER) -> str:
    """Returns the version of the NVIDIA driver; empty if there is none.

    Args:
        described: Where the driver describes itself on Linux; elsewhere `nvidia-smi` is asked.
    """
    try:
        text = described.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return _asked_driver()
    found = _DRIVER_VERSION.search(text)
    return found[1] if found else text.partition("\n")[0]


def _asked_driver() -> str:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ""
    command = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=_PATIENCE_S
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return _first(done.stdout.splitlines())


def _first(lines: Iterable[str]) -> str:
    return next((line.strip() for line in lines if line.strip()), "")


def _onnxruntime_version() -> str:
    try:
        return load_onnxruntime().__version__
    except ProviderUnavailableError:
        return NOT_INSTALLED


def _built_for() -> dict[str, str]:
    """What the build says of itself: `cuda_version` and the like, in builds for GPUs."""
    try:
        info = importlib.import_module("onnxruntime.capi.build_and_package_info")
    except ImportError:
        return {}
    return {
        name.removesuffix("_version"): str(value)
        for name, value in vars(info).items()
        if name.endswith("_version") and not name.startswith("_") and value
    }
