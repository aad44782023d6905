"""The part of ONNX Runtime's Python interface that onnxprune uses, typed, and its loading.

onnxruntime ships neither type stubs nor a `py.typed` marker, so the protocols here are all that
the type checkers know of it.
"""

import contextlib
import importlib
import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray

from onnxprune.errors import ProviderUnavailableError

Array = NDArray[Any]
"""A tensor of any dtype."""

_FAILURES = (
    "EPFail",
    "EngineError",
    "Fail",
    "InvalidArgument",
    "InvalidGraph",
    "InvalidProtobuf",
    "ModelLoadCanceled",
    "ModelLoaded",
    "ModelRequiresCompilation",
    "NoModel",
    "NoSuchFile",
    "NotFound",
    "NotImplemented",
    "RuntimeException",
)
_STATUS = re.compile(r"^\[ONNXRuntimeError\] : -?\d+ : (\w+) : ")
_INSTALL = (
    "install it: pip install 'onnxprune[cpu]' (or one of onnxprune[gpu], onnxprune[tensorrt], "
    "onnxprune[openvino]; never two of them beside each other)"
)
_EXPLAIN_LINES = 4
_EXPLAIN_CHARACTERS = 800


class NodeArg(Protocol):
    """An input or output as a session describes it."""

    name: str
    type: str
    shape: Sequence[int | str | None]


class AssignedNode(Protocol):
    """A node that an execution provider took."""

    op_type: str


class AssignedSubgraph(Protocol):
    """Nodes that one execution provider took."""

    ep_name: str

    def get_nodes(self) -> Sequence[AssignedNode]:
        """Returns the nodes, as they are after graph optimization."""
        ...


class IOBinding(Protocol):
    """Inputs and outputs bound to memory of a device."""

    def bind_cpu_input(self, name: str, arr_on_cpu: Array) -> None:
        """Binds an input, copying it to the device that reads it."""
        ...

    def bind_output(self, name: str, device_type: str, device_id: int) -> None:
        """Binds an output, to be allocated on a device."""
        ...

    def synchronize_inputs(self) -> None:
        """Waits until the inputs have arrived."""
        ...

    def synchronize_outputs(self) -> None:
        """Waits until the outputs are there."""
        ...


class OrtValue(Protocol):
    """A tensor or a container in ONNX Runtime's own memory, or over that of a numpy array."""

    def is_tensor(self) -> bool:
        """Says whether it is a tensor."""
        ...

    def element_type(self) -> int:
        """Returns the number that ONNX gives the type of a tensor's elements."""
        ...

    def shape(self) -> Sequence[int]:
        """Returns the shape of a tensor."""
        ...

    def tensor_size_in_bytes(self) -> int:
        """Returns how much memory a tensor's elements take."""
        ...

    def data_ptr(self) -> int:
        """Returns the address of a tensor's first element."""
        ...

    def numpy(self) -> Array:
        """Returns a copy of a tensor of a type that numpy has."""
        ...


class OrtValues(Protocol):
    """The class that makes values; they live as long as the arrays that they are made over."""

    def ortvalue_from_numpy(self, numpy_obj: Array, /) -> OrtValue:
        """Makes a value over an array of a type that numpy has."""
        ...

    def ortvalue_from_numpy_with_onnx_type(
        self, data: Array, /, onnx_element_type: int
    ) -> OrtValue:
        """Makes a value over the memory of an array, whose elements are said to be of a type."""
        ...


class InferenceSession(Protocol):
    """A loaded model."""

    def get_inputs(self) -> Sequence[NodeArg]:
        """Returns the inputs in graph order."""
        ...

    def get_outputs(self) -> Sequence[NodeArg]:
        """Returns the outputs in graph order."""
        ...

    def get_providers(self) -> Sequence[str]:
        """Returns the execution providers registered, by falling precedence."""
        ...

    def run(self, output_names: Sequence[str], input_feed: Mapping[str, object]) -> list[object]:
        """Returns the values of the outputs named."""
        ...

    def run_with_ort_values(
        self, output_names: Sequence[str], input_dict_ort_values: Mapping[str, OrtValue]
    ) -> list[OrtValue]:
        """Returns the values of the outputs named, as ONNX Runtime has them."""
        ...

    def io_binding(self) -> IOBinding:
        """Returns an empty binding for this session."""
        ...

    def run_with_iobinding(self, iobinding: IOBinding) -> None:
        """Runs on bound inputs and outputs."""
        ...

    def end_profiling(self) -> str:
        """Stops profiling and returns the path of the file that holds the events."""
        ...


class SessionOptions(Protocol):
    """How to load and run a model."""

    log_severity_level: int
    intra_op_num_threads: int
    inter_op_num_threads: int
    graph_optimization_level: object
    enable_profiling: bool
    profile_file_prefix: str

    def add_session_config_entry(self, key: str, value: str) -> None:
        """Sets an entry; keys that this build does not know are ignored."""
        ...


class OnnxRuntime(Protocol):
    """The module `onnxruntime`."""

    __version__: str
    SessionOptions: Callable[[], SessionOptions]
    InferenceSession: Callable[..., InferenceSession]
    GraphOptimizationLevel: object
    OrtValue: OrtValues

    def get_available_providers(self) -> list[str]:
        """Returns the execution providers that this build was compiled with."""
        ...


def load_onnxruntime() -> OnnxRuntime:
    """Imports onnxruntime, at the first call and no sooner.

    Returns:
        The module.

    Raises:
        ProviderUnavailableError: onnxruntime is not installed, or does not load.
    """
    try:
        module = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise ProviderUnavailableError(
            "ONNX Runtime cannot be imported", why=str(error), hint=_INSTALL
        ) from error
    if not hasattr(module, "InferenceSession"):
        raise ProviderUnavailableError(
            "ONNX Runtime is installed incompletely",
            where=str(list(getattr(module, "__path__", ()))),
            why="uninstalling one of two onnxruntime packages takes files of the other along",
            hint=f"uninstall all onnxruntime packages first, then {_INSTALL}",
        )
    return cast(OnnxRuntime, module)


def failures() -> tuple[type[Exception], ...]:
    """Returns the exceptions by which onnxruntime says that a model cannot be loaded or run.

    Its own classes have no base in common; the binding adds `RuntimeError` for what the C++ code
    throws without a status, and `ValueError` for inputs that are missing.
    """
    state = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    # Older builds lack some of the classes.
    own = [getattr(state, name) for name in _FAILURES if hasattr(state, name)]
    return (*cast(list[type[Exception]], own), RuntimeError, ValueError)


def explain(error: Exception) -> str:
    """Returns the first lines of an onnxruntime message, the status code's name before them."""
    text = _STATUS.sub(r"\1: ", str(error).strip())
    lines = [line.strip() for line in text.splitlines() if line.strip()][:_EXPLAIN_LINES]
    # A message may hold a whole serialized graph on one line.
    return "\n".join(lines)[:_EXPLAIN_CHARACTERS]


def preload_gpu_libraries(runtime: OnnxRuntime) -> str:
    """Loads the CUDA and cuDNN libraries that Python packages brought, where onnxruntime can.

    Args:
        runtime: The module.

    Returns:
        What onnxruntime printed: the libraries that it did not find. It prints to stdout, which
        belongs to the caller's JSON document, so it is caught.
    """
    preload = getattr(runtime, "preload_dlls", None)
    if preload is None:
        return ""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        preload()
    return said.getvalue().strip()


def is_array(value: object) -> TypeGuard[Array]:
    """Says whether an output is a tensor; sequences and maps come as lists and dicts."""
    return isinstance(value, np.ndarray)
