"""Execution providers: what was asked for, whether it is here, and whether it took the work.

ONNX Runtime falls back to the CPU in silence: a session that was asked for CUDA succeeds without
it. Here every such case is a `ProviderUnavailableError`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from onnxprune.errors import ProviderUnavailableError, UsageError
from onnxprune.runtime.binding import OnnxRuntime, load_onnxruntime

CPU: Final = "CPUExecutionProvider"
"""The provider that is always there and that ONNX Runtime falls back to."""

_FULL_NAMES: Final = {
    "acl": "ACLExecutionProvider",
    "azure": "AzureExecutionProvider",
    "cann": "CANNExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "cpu": CPU,
    "cuda": "CUDAExecutionProvider",
    "directml": "DmlExecutionProvider",
    "dml": "DmlExecutionProvider",
    "dnnl": "DnnlExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "nnapi": "NnapiExecutionProvider",
    "nvtensorrtrtx": "NvTensorRTRTXExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "qnn": "QNNExecutionProvider",
    "rocm": "ROCMExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "vitisai": "VitisAIExecutionProvider",
    "webgpu": "WebGpuExecutionProvider",
    "xnnpack": "XnnpackExecutionProvider",
}

_NEEDS: Final = {
    "CUDAExecutionProvider": "onnxruntime-gpu with the CUDA and cuDNN that it was built for "
    "(pip install 'onnxruntime-gpu[cuda,cudnn]')",
    "DmlExecutionProvider": "onnxruntime-directml",
    "NvTensorRTRTXExecutionProvider": "onnxruntime-trt-rtx",
    "OpenVINOExecutionProvider": "onnxruntime-openvino",
    "QNNExecutionProvider": "onnxruntime-qnn",
    "TensorrtExecutionProvider": "onnxruntime-gpu with CUDA, cuDNN and TensorRT 10",
}

_CUDA_FAMILY: Final = frozenset(
    {"CUDAExecutionProvider", "NvTensorRTRTXExecutionProvider", "TensorrtExecutionProvider"}
)


@dataclass(frozen=True, slots=True)
class Provider:
    """An execution provider as asked for.

    Attributes:
        name: ONNX Runtime's name, such as `CUDAExecutionProvider`.
        options: Provider options, passed on as they are.
    """

    name: str
    options: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def on_cuda(self) -> bool:
        """Whether it needs the CUDA libraries and keeps its tensors on a CUDA device."""
        return self.name in _CUDA_FAMILY


def parse_provider(spec: str) -> Provider:
    """Reads `NAME` or `NAME:KEY=VALUE,KEY=VALUE`.

    A name is a short one (`cpu`, `cuda`, `tensorrt`, `openvino`, …, in any case) or a full one,
    which is passed on as it is. A piece between commas that has no `=` continues the value before
    it, as in `tensorrt:trt_profile_min_shapes=x:1x3,y:1x4`.

    Args:
        spec: The text.

    Returns:
        The provider; whether it is available has not been looked at.

    Raises:
        UsageError: The name is empty, an option has no key or is given twice, or the provider
            takes no options.
    """
    name, colon, rest = spec.partition(":")
    name = name.strip()
    if not name:
        raise UsageError(
            "a provider needs a name", where=repr(spec), hint="for example cpu, cuda, tensorrt"
        )
    options: dict[str, str] = {}
    last = ""
    for piece in rest.split(",") if colon else ():
        key, equals, value = piece.partition("=")
        key = key.strip()
        if not equals and last:
            options[last] += "," + piece
            continue
        if not equals or not key or key in options:
            raise UsageError(
                f"provider option {piece!r} is not KEY=VALUE, or its key is given twice",
                where=repr(spec),
                hint="for example tensorrt:trt_fp16_enable=1,device_id=0",
            )
        options[key] = value.strip()
        last = key
    full_name = _FULL_NAMES.get(name.lower(), name)
    if full_name == CPU and options:
        # ONNX Runtime would ignore them without a word.
        raise UsageError("the CPU provider takes no options", where=repr(spec))
    return Provider(full_name, options)


def available_providers() -> tuple[str, ...]:
    """Returns the providers that the installed ONNX Runtime was built with.

    That a provider is listed does not say that its libraries are there: only a session shows it.

    Raises:
        ProviderUnavailableError: onnxruntime is not installed, or does not load.
    """
    return tuple(load_onnxruntime().get_available_providers())


def require_installed(runtime: OnnxRuntime, provider: Provider) -> None:
    """Checks, before a session is made, that this build has the provider.

    Raises:
        ProviderUnavailableError: It has not.
    """
    installed = runtime.get_available_providers()
    if provider.name not in installed:
        raise ProviderUnavailableError(
            f"execution provider {provider.name} is not available",
            why=f"the installed ONNX Runtime {runtime.__version__} has {', '.join(installed)}",
            hint=_advice(provider),
        )


def require_registered(provider: Provider, registered: Sequence[str], said: str) -> None:
    """Checks, after a session was made, that the provider was not dropped on the way.

    Args:
        provider: The provider asked for.
        registered: The providers of the session.
        said: What onnxruntime said while it loaded the provider's libraries.

    Raises:
        ProviderUnavailableError: It was dropped: its libraries or its device are missing.
    """
    if provider.name not in registered:
        why = f"ONNX Runtime lists it but fell back to {', '.join(registered)}"
        raise ProviderUnavailableError(
            f"execution provider {provider.name} does not start",
            why=f"{why}\n{said}".strip(),
            hint=_advice(provider),
        )


def require_used(provider: Provider, nodes: Mapping[str, int]) -> None:
    """Checks that the provider took a node at all, if there are nodes.

    Args:
        provider: The provider asked for.
        nodes: Number of nodes by provider; empty where the build cannot say.

    Raises:
        ProviderUnavailableError: Other providers took every node.
    """
    if nodes and not nodes.get(provider.name):
        taken = ", ".join(f"{name} {count}" for name, count in nodes.items())
        raise ProviderUnavailableError(
            f"execution provider {provider.name} took none of the model's nodes",
            why=f"nodes by provider: {taken}",
            hint=f"it supports no operator of this model; ask for {' or '.join(nodes)}",
        )


def refused(provider: Provider, reason: str) -> ProviderUnavailableError:
    """Returns the error for a provider that could not be registered.

    Args:
        provider: The provider asked for.
        reason: What onnxruntime said.
    """
    return ProviderUnavailableError(
        f"execution provider {provider.name} does not start", why=reason, hint=_advice(provider)
    )


def _advice(provider: Provider) -> str:
    needs = _NEEDS.get(provider.name, f"an ONNX Runtime built with {provider.name}")
    return (
        f"it needs {needs}; only one onnxruntime package may be installed at a time; "
        "or run on the CPU: --provider cpu"
    )
