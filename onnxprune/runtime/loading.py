"""How a model is loaded: session options, and the providers that are registered."""

from collections import Counter
from collections.abc import Mapping
from typing import Final, Literal

from onnxprune.errors import RuntimeFailureError
from onnxprune.runtime.binding import (
    InferenceSession,
    OnnxRuntime,
    SessionOptions,
    explain,
    failures,
)
from onnxprune.runtime.providers import CPU, CUDA, TENSORRT, Provider, refused

Optimization = Literal["none", "basic", "extended", "all"]
"""How far ONNX Runtime rewrites the graph before it runs it."""

_LEVELS: Final[Mapping[Optimization, str]] = {
    "none": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}
_SEVERITY_ERROR: Final = 3
_SEVERITY_FATAL: Final = 4


def session_options(
    runtime: OnnxRuntime, threads: int, optimization: Optimization, quiet: bool = False
) -> SessionOptions:
    """Returns options for sessions whose runs are to be compared.

    Args:
        runtime: The module.
        threads: Threads within an operator; 0 leaves the number to ONNX Runtime.
        optimization: ONNX Runtime's own graph optimization.
        quiet: Whether messages about failing runs are dropped.
    """
    options = runtime.SessionOptions()
    options.log_severity_level = _SEVERITY_FATAL if quiet else _SEVERITY_ERROR
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = getattr(
        runtime.GraphOptimizationLevel, _LEVELS[optimization]
    )
    # Idle threads that spin would slow the other session of a comparison.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return options


def create(
    runtime: OnnxRuntime,
    source: bytes | str,
    options: SessionOptions,
    provider: Provider,
    where: str,
) -> InferenceSession:
    """Creates a session of ONNX Runtime.

    Args:
        runtime: The module.
        source: A serialized model, or the path of one.
        options: How to load it.
        provider: On what to load it.
        where: The model, for error messages.

    Raises:
        ProviderUnavailableError: The provider could not be registered.
        RuntimeFailureError: The model cannot be loaded.
    """
    try:
        # Without enable_fallback=0 onnxruntime answers a provider's failure by printing to
        # stdout and starting over on the CPU, when the session is made and at every run.
        return runtime.InferenceSession(
            source, options, providers=_registered(runtime, provider), enable_fallback=0
        )
    except failures() as error:
        # A model's failures come with a status of their own; these two come from registration.
        if isinstance(error, RuntimeError | ValueError) and provider.name != CPU:
            raise refused(provider, explain(error)) from error
        raise RuntimeFailureError(
            "ONNX Runtime cannot load the model",
            where=where,
            why=explain(error),
            hint="see whether onnx.checker.check_model(path, full_check=True) names the fault",
        ) from error


def count_operators(inner: InferenceSession) -> dict[str, dict[str, int]] | None:
    """Returns the number of nodes by provider and operator type.

    Counted are the nodes that a provider was given to run, before it fuses them.

    Args:
        inner: The loaded model.

    Returns:
        The numbers; None where this build cannot tell, as before ONNX Runtime 1.24.
    """
    assignment = getattr(inner, "get_provider_graph_assignment_info", None)
    if assignment is None:
        return None
    counts: dict[str, Counter[str]] = {}
    for part in assignment():
        taken = counts.setdefault(part.ep_name, Counter())
        taken.update(node.op_type for node in part.get_nodes())
    return {name: dict(taken) for name, taken in counts.items()}


def _registered(runtime: OnnxRuntime, provider: Provider) -> list[tuple[str, dict[str, str]]]:
    """The provider, and behind TensorRT CUDA, which then takes what TensorRT leaves."""
    providers = [(provider.name, dict(provider.options))]
    if provider.name == TENSORRT and CUDA in runtime.get_available_providers():
        device = {"device_id": provider.options.get("device_id", "0")}
        providers.append((CUDA, device))
    return providers
