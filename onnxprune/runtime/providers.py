"""Execution providers: what was asked for, whether it is here, and whether it took the work.

ONNX Runtime falls back to the CPU in silence: a session that was asked for CUDA succeeds without
it. Here every such case is a `ProviderUnavailableError`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from onnxprune.errors import ProviderUnavailableError, UsageError, suggestion
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

PROVIDER_NAMES: Final = tuple(_FULL_NAMES)
"""Short names that `parse_provider` knows; ONNX Runtime's own it takes as well."""

CUDA: Final = "CUDAExecutionProvider"
"""NVIDIA GPUs; it takes what TensorRT leaves."""
TENSORRT: Final = "TensorrtExecutionProvider"
"""NVIDIA GPUs, by engines that are built from the model first."""

_NEEDS: Final = {
    CUDA: "onnxruntime-gpu with the CUDA and cuDNN that it was built for: "
    "pip install 'onnxprune[gpu]'",
    "DmlExecutionProvider": "onnxruntime-directml",
    "NvTensorRTRTXExecutionProvider": "onnxruntime-trt-rtx",
    "OpenVINOExecutionProvider": "onnxruntime-openvino: pip install 'onnxprune[openvino]'",
    "QNNExecutionProvider": "onnxruntime-qnn",
    TENSORRT: "onnxruntime-gpu with CUDA, cuDNN and TensorRT 10: pip install 'onnxprune[tensorrt]'",
}

_CUDA_FAMILY: Final = frozenset({CUDA, "NvTensorRTRTXExecutionProvider", TENSORRT})
_DEVICES: Final = {
    **dict.fromkeys(_CUDA_FAMILY, "cuda"),
    "CANNExecutionProvider": "cann",
    "DmlExecutionProvider": "dml",
}
"""Where providers keep tensors that are not in the host's memory, as IO binding spells it."""
_DEVICE: Final = "device_id"
"""Their option for the number of the device."""


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

    @property
    def builds_engines(self) -> bool:
        """Whether it builds engines that are worth keeping."""
        return self.name == TENSORRT

    @property
    def device(self) -> tuple[str, int] | None:
        """Kind and number of the device whose memory holds its tensors; None for the host's."""
        kind = _DEVICES.get(self.name)
        return None if kind is None else (kind, int(self.options.get(_DEVICE, "0")))


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
        UsageError: The name is empty, an option has no key or is given twice, the provider takes
            no options, or its device is no number.
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
    if full_name in _DEVICES and not options.get(_DEVICE, "0").isdecimal():
        raise UsageError(
            f"{options[_DEVICE]!r} is no number of a device",
            where=repr(spec),
            hint=f"for example {name}:{_DEVICE}=0",
        )
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
            hint=advice(provider),
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
            hint=advice(provider),
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


def require_all(provider: Provider, operators: Mapping[str, Mapping[str, int]] | None) -> None:
    """Checks that the provider took every node, and none fell back to another one.

    Args:
        provider: The provider asked for.
        operators: Number of nodes by provider and operator type; None where the build cannot say.

    Raises:
        ProviderUnavailableError: Nodes fell back, or it cannot be told whether any did.
    """
    if provider.name == CPU:
        return
    if operators is None:
        raise ProviderUnavailableError(
            f"whether {provider.name} runs every node cannot be told",
            why="this ONNX Runtime does not say which provider runs a node",
            hint="install ONNX Runtime 1.24 or later",
        )
    fallen = {name: types for name, types in operators.items() if name != provider.name}
    if not fallen:
        return
    count = sum(sum(types.values()) for types in fallen.values())
    total = sum(sum(types.values()) for types in operators.values())
    raise ProviderUnavailableError(
        f"{count} of {total} nodes fell back from {provider.name} to other providers",
        why="\n".join(f"{name} runs {operator_counts(types)}" for name, types in fallen.items()),
        hint="without --strict-provider (strict=True) they run there, and `onnxprune benchmark` "
        "shows what share of the time they take",
    )


def operator_counts(types: Mapping[str, int]) -> str:
    """Returns operator types with how many nodes there are of each, the most frequent first."""
    ranked = sorted(types.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} ({count})" for name, count in ranked)


def refused(provider: Provider, reason: str) -> ProviderUnavailableError:
    """Returns the error for a provider that could not be registered.

    Args:
        provider: The provider asked for.
        reason: What onnxruntime said.
    """
    return ProviderUnavailableError(
        f"execution provider {provider.name} does not start", why=reason, hint=advice(provider)
    )


def needs(provider: Provider) -> str:
    """Returns what has to be installed for a provider; empty where it is not known."""
    return _NEEDS.get(provider.name, "")


def advice(provider: Provider) -> str:
    """Returns what to do where a provider does not work."""
    if provider.name not in _FULL_NAMES.values():
        close = suggestion(provider.name.lower(), _FULL_NAMES)
        if close:
            return close
    wanted = needs(provider) or f"an ONNX Runtime built with {provider.name}"
    return (
        f"it needs {wanted}; only one onnxruntime package may be installed at a time, "
        "so uninstall the one that is here first; or run on the CPU: --provider cpu"
    )
