"""A model loaded into ONNX Runtime: what it takes and gives, and its runs."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

from onnxprune.errors import RuntimeFailureError, UsageError
from onnxprune.runtime.binding import (
    Array,
    InferenceSession,
    NodeArg,
    OnnxRuntime,
    SessionOptions,
    explain,
    failures,
    is_array,
    load_onnxruntime,
    preload_gpu_libraries,
)
from onnxprune.runtime.providers import (
    CPU,
    Provider,
    parse_provider,
    refused,
    require_installed,
    require_registered,
    require_used,
)
from onnxprune.runtime.timing import TimedRun, bound_run, run_failure

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


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a session.

    Attributes:
        name: Name of the value.
        dtype: ONNX Runtime's spelling, such as `tensor(float)` or `seq(tensor(float))`.
        shape: A number, a symbol's name, or None where nothing is known, for each axis; empty
            for scalars and for what is not a tensor.
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]


class Session:
    """A model loaded into ONNX Runtime on the provider asked for, and on no other in silence."""

    def __init__(
        self,
        model: bytes | str | os.PathLike[str],
        *,
        provider: str = "cpu",
        threads: int = 1,
        optimization: Optimization = "all",
        quiet: bool = False,
    ) -> None:
        """Loads a model.

        Args:
            model: A serialized model, or the path of one. A model above 2 GB, or with external
                data, has to be a path.
            provider: A provider as `parse_provider` reads it.
            threads: Threads within an operator; 0 leaves the number to ONNX Runtime. Operators
                run one after the other.
            optimization: ONNX Runtime's own graph optimization.
            quiet: Whether its messages about failing runs are dropped, where some are expected.

        Raises:
            ProviderUnavailableError: The provider is not installed, does not start, or takes no
                node of the model.
            RuntimeFailureError: ONNX Runtime cannot load the model.
            UsageError: The provider cannot be read, or the number of threads is negative.
        """
        if threads < 0:
            raise UsageError("the number of threads is negative", where=str(threads))
        asked = parse_provider(provider)
        runtime = load_onnxruntime()
        require_installed(runtime, asked)
        said = preload_gpu_libraries(runtime) if asked.on_cuda else ""
        source: bytes | str = model if isinstance(model, bytes) else str(Path(model))
        self._source = source
        self._where = f"{len(source)} bytes in memory" if isinstance(source, bytes) else source
        self._spec = provider
        self._provider = asked
        self._threads = threads
        self._optimization: Optimization = optimization
        options = _session_options(runtime, threads, optimization)
        if quiet:
            options.log_severity_level = _SEVERITY_FATAL
        self._inner = _create(runtime, source, options, asked, self._where)
        self._inputs = tuple(map(_port, self._inner.get_inputs()))
        self._outputs = tuple(map(_port, self._inner.get_outputs()))
        self._providers = tuple(self._inner.get_providers())
        self._nodes = _count_nodes(self._inner)
        require_registered(asked, self._providers, said)
        require_used(asked, self._nodes)

    @property
    def inputs(self) -> tuple[Port, ...]:
        """The inputs in graph order, without those that an initializer gives a value."""
        return self._inputs

    @property
    def outputs(self) -> tuple[Port, ...]:
        """The outputs in graph order."""
        return self._outputs

    @property
    def provider(self) -> Provider:
        """The provider asked for."""
        return self._provider

    @property
    def providers(self) -> tuple[str, ...]:
        """The providers registered, by falling precedence; the CPU is always among them."""
        return self._providers

    @property
    def nodes_by_provider(self) -> dict[str, int]:
        """How many nodes each provider runs; empty where this ONNX Runtime cannot say.

        Counted are the nodes that a provider was given to run, before it fuses them.
        """
        return dict(self._nodes)

    @property
    def threads(self) -> int:
        """Threads within an operator; 0 where ONNX Runtime chose the number."""
        return self._threads

    @property
    def optimization(self) -> Optimization:
        """ONNX Runtime's own graph optimization."""
        return self._optimization

    def twin(self) -> "Session":
        """Loads the same model once more, in the same way.

        Two sessions of one model differ in speed a little, by where their memory lies: a noise
        floor has to know by how much.

        Returns:
            The other session.

        Raises:
            ProviderUnavailableError: The provider does not start again.
            RuntimeFailureError: The model cannot be loaded again: its file is gone, or there is
                not enough memory for both.
        """
        return Session(
            self._source,
            provider=self._spec,
            threads=self._threads,
            optimization=self._optimization,
        )

    def run(
        self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None
    ) -> dict[str, Array]:
        """Runs the model once.

        Args:
            feeds: A tensor for each input.
            outputs: The outputs wanted; all of them if None.

        Returns:
            A tensor for each output wanted, in the order asked for.

        Raises:
            RuntimeFailureError: The inputs do not fit, the run failed, or an output wanted is
                not a tensor.
        """
        names = [port.name for port in self._outputs] if outputs is None else list(outputs)
        if not names:
            return {}  # ONNX Runtime takes an empty list for all outputs.
        try:
            values = self._inner.run(names, dict(feeds))
        except failures() as error:
            raise run_failure(error, self._where) from error
        for name, value in zip(names, values, strict=True):
            if not is_array(value):
                raise RuntimeFailureError(
                    f"output {name!r} is not a tensor",
                    where=self._where,
                    why=f"it came as {type(value).__name__}",
                    hint="ask only for outputs that are tensors",
                )
        return dict(zip(names, cast(list[Array], values), strict=True))

    def timed(self, feeds: Mapping[str, Array]) -> TimedRun:
        """Prepares timed runs of the whole model on fixed inputs.

        Args:
            feeds: A tensor for each input.

        Returns:
            The timed run; nothing has run yet.

        Raises:
            RuntimeFailureError: The inputs cannot be brought to the device.
        """
        names = [port.name for port in self._outputs]
        inner = self._inner
        fixed = dict(feeds)
        # Strings cannot be bound.
        textual = any(value.dtype.kind in "OSTU" for value in fixed.values())
        if not self._provider.on_cuda or textual:
            return TimedRun(lambda: inner.run(names, fixed), self._where)
        device_id = int(self._provider.options.get("device_id", "0"))
        try:
            once = bound_run(inner, fixed, names, "cuda", device_id)
        except failures() as error:
            raise run_failure(error, self._where) from error
        return TimedRun(once, self._where)


def _session_options(
    runtime: OnnxRuntime, threads: int, optimization: Optimization
) -> SessionOptions:
    options = runtime.SessionOptions()
    options.log_severity_level = _SEVERITY_ERROR
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = getattr(
        runtime.GraphOptimizationLevel, _LEVELS[optimization]
    )
    # Idle threads that spin would slow the other session of a comparison.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return options


def _create(
    runtime: OnnxRuntime,
    source: bytes | str,
    options: SessionOptions,
    provider: Provider,
    where: str,
) -> InferenceSession:
    try:
        # Without enable_fallback=0 onnxruntime answers a provider's failure by printing to
        # stdout and starting over on the CPU, when the session is made and at every run.
        return runtime.InferenceSession(
            source, options, providers=[(provider.name, dict(provider.options))], enable_fallback=0
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


def _port(arg: NodeArg) -> Port:
    return Port(arg.name, arg.type, tuple(arg.shape))


def _count_nodes(inner: InferenceSession) -> dict[str, int]:
    # Builds before 1.24 cannot tell.
    assignment = getattr(inner, "get_provider_graph_assignment_info", None)
    if assignment is None:
        return {}
    count: Counter[str] = Counter()
    for part in assignment():
        count[part.ep_name] += len(part.get_nodes())
    return dict(count)
