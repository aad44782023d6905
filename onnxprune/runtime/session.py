"""A model loaded into ONNX Runtime: what it takes and gives, and its runs."""

import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final, cast

from onnxprune.errors import RuntimeFailureError, UsageError
from onnxprune.runtime.binding import (
    Array,
    InferenceSession,
    NodeArg,
    failures,
    is_array,
    load_onnxruntime,
    preload_gpu_libraries,
)
from onnxprune.runtime.caches import cache_folder
from onnxprune.runtime.engine_caches import made, with_engine_caches
from onnxprune.runtime.loading import Optimization, count_operators, create, session_options
from onnxprune.runtime.narrow import from_value, is_narrow, is_narrow_port, to_value
from onnxprune.runtime.profile import Profile, read_profile
from onnxprune.runtime.providers import (
    Provider,
    parse_provider,
    require_all,
    require_installed,
    require_registered,
    require_used,
)
from onnxprune.runtime.timing import TimedRun, bound_run, run_failure

_LOG = logging.getLogger(__name__)

_WARM_UP: Final = 5
"""First runs that a profile leaves out."""


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
        strict: bool = False,
        model_sha256: str = "",
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
            strict: Whether it is an error if any node falls back to another provider.
            model_sha256: Hash of the model with its weights, under which TensorRT's engines are
                kept. That of serialized models is found out; engines for a path without it are
                not kept.

        Raises:
            ProviderUnavailableError: The provider is not installed, does not start, or takes no
                node of the model; if `strict`, not all of them.
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
        self._runtime = runtime
        self._source = source
        self._where = f"{len(source)} bytes in memory" if isinstance(source, bytes) else source
        self._provider = asked
        self._cached = _with_caches(asked, source, model_sha256, runtime.__version__)
        self._threads = threads
        self._optimization: Optimization = optimization
        self._again = partial(
            Session,
            source,
            provider=provider,
            threads=threads,
            optimization=optimization,
            quiet=quiet,
            strict=strict,
            model_sha256=model_sha256,
        )
        self._inner = self._opened(quiet)
        self._inputs = tuple(map(_port, self._inner.get_inputs()))
        self._outputs = tuple(map(_port, self._inner.get_outputs()))
        self._providers = tuple(self._inner.get_providers())
        self._operators = count_operators(self._inner)
        require_registered(asked, self._providers, said)
        require_used(asked, self.nodes_by_provider)
        if strict:
            require_all(asked, self._operators)

    def _opened(self, quiet: bool) -> InferenceSession:
        options = session_options(self._runtime, self._threads, self._optimization, quiet)
        start = perf_counter()
        inner = create(self._runtime, self._source, options, self._cached, self._where)
        how = (self._where, self._provider.name, self._threads, self._optimization)
        _LOG.debug(
            "session of %s on %s, %d threads, optimization %s: %.3f s",
            *(*how, perf_counter() - start),
        )
        return inner

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
        return {name: sum(types.values()) for name, types in self.operators_by_provider.items()}

    @property
    def operators_by_provider(self) -> dict[str, dict[str, int]]:
        """How many nodes of each operator type each provider runs; see `nodes_by_provider`."""
        return {name: dict(types) for name, types in (self._operators or {}).items()}

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
        return self._again()

    def run(
        self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None
    ) -> dict[str, Array]:
        """Runs the model once.

        Args:
            feeds: A tensor for each input.
            outputs: The outputs wanted; all of them if None.

        Returns:
            A tensor for each output wanted, in the order asked for. A sequence `s` is there as its
            elements, `s[0]` and so on; an optional without a value is left out.

        Raises:
            RuntimeFailureError: The inputs do not fit, the run failed, or an output wanted holds
                no tensors.
        """
        names = [port.name for port in self._outputs] if outputs is None else list(outputs)
        if not names:
            return {}  # ONNX Runtime takes an empty list for all outputs.
        try:
            values = self._prepared(feeds, names)()
        except failures() as error:
            raise run_failure(error, self._where) from error
        return dict(self._tensors(names, values))

    def _prepared(
        self,
        feeds: Mapping[str, Array],
        names: Sequence[str],
        inner: InferenceSession | None = None,
    ) -> Callable[[], list[object]]:
        """A function that runs the model once on fixed inputs; in a session of its own if given."""
        runtime = self._runtime
        inner = inner or self._inner
        narrow = {port.name for port in self._outputs if is_narrow_port(port.dtype)}
        if not narrow.isdisjoint(names):
            given = {name: to_value(runtime, array) for name, array in feeds.items()}
            return lambda: [from_value(x) for x in inner.run_with_ort_values(names, given)]
        fixed = {n: to_value(runtime, x) if is_narrow(x) else x for n, x in feeds.items()}
        return lambda: inner.run(names, fixed)

    def _tensors(
        self, names: Iterable[str], values: Iterable[object]
    ) -> Iterator[tuple[str, Array]]:
        """The tensors among outputs and in sequences, by name."""
        for name, value in zip(names, values, strict=True):
            if isinstance(value, list):
                elements = cast(list[object], value)
                inside = (f"{name}[{place}]" for place in range(len(elements)))
                yield from self._tensors(inside, elements)
            elif is_array(value):
                yield name, value
            elif value is not None:
                raise RuntimeFailureError(
                    f"output {name!r} is not a tensor",
                    where=self._where,
                    why=f"it came as {type(value).__name__}",
                    hint="ask only for outputs that are tensors",
                )

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
        # Strings cannot be bound, nor what numpy has no type for.
        unbound = any(x.dtype.kind in "OSTU" or is_narrow(x) for x in feeds.values())
        device = self._provider.device
        if device is None or unbound:
            return TimedRun(self._prepared(feeds, names), self._where)
        try:
            once = bound_run(self._inner, dict(feeds), names, *device)
        except failures() as error:
            raise run_failure(error, self._where) from error
        return TimedRun(once, self._where)

    def profile(self, feeds: Mapping[str, Array], runs: int = 10) -> Profile:
        """Loads the same model once more and measures what its operators take.

        Args:
            feeds: A tensor for each input.
            runs: Number of runs, after those that warm it up; 1 or more.

        Returns:
            The medians over these runs.

        Raises:
            ProviderUnavailableError: The provider does not start again.
            RuntimeFailureError: The model cannot be loaded again, or a run failed.
        """
        names = [port.name for port in self._outputs]
        options = session_options(self._runtime, self._threads, self._optimization)
        with TemporaryDirectory(prefix="onnxprune-") as folder:
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder) / "profile")
            inner = create(self._runtime, self._source, options, self._cached, self._where)
            try:
                once = self._prepared(feeds, names, inner)
                for _ in range(_WARM_UP + runs):
                    once()
            except failures() as error:
                raise run_failure(error, self._where) from error
            finally:
                path = Path(inner.end_profiling())
            return read_profile(json.loads(path.read_text(encoding="utf-8")), _WARM_UP)


def _with_caches(asked: Provider, source: bytes | str, model_sha256: str, version: str) -> Provider:
    """The provider with caches for its engines, where it is one that builds any."""
    if asked.builds_engines and isinstance(source, bytes) and not model_sha256:
        model_sha256 = sha256(source).hexdigest()
    return made(with_engine_caches(asked, model_sha256, version, cache_folder()), asked)


def _port(arg: NodeArg) -> Port:
    return Port(arg.name, arg.type, tuple(arg.shape))
