"""What a measurement was made on: the build of ONNX Runtime and the processor."""

import platform
from pathlib import Path

from onnxprune.runtime.binding import load_onnxruntime


def build_info() -> dict[str, str]:
    """Describes the machine's ONNX Runtime and processor, for reports.

    Returns:
        `onnxruntime` (its version), `providers` (those it was built with, separated by commas),
        `cpu` (the model's name, as far as the system tells), `platform`.

    Raises:
        ProviderUnavailableError: onnxruntime is not installed, or does not load.
    """
    runtime = load_onnxruntime()
    return {
        "onnxruntime": runtime.__version__,
        "providers": ",".join(runtime.get_available_providers()),
        "cpu": cpu_name(),
        "platform": platform.platform(),
    }


def cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Returns the processor's model name.

    Args:
        cpuinfo: Where Linux describes its processors. It names the model on x86; elsewhere, and
            where the file is missing, the name is what Python knows, at worst the architecture.
    """
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip().lower() == "model name" and value.strip():
            return value.strip()
    return platform.processor() or platform.machine() or "unknown"
