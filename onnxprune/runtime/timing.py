"""Timed runs of a session on fixed inputs."""

import time
from collections.abc import Callable, Mapping, Sequence

from onnxprune.errors import RuntimeFailureError
from onnxprune.runtime.binding import Array, InferenceSession, explain, failures


class TimedRun:
    """Runs of one session on fixed inputs, timed.

    On a CUDA device the inputs are copied there once and the outputs stay there, so that the
    model is timed and not the bus; on the CPU binding makes no difference, and plain runs are
    timed.
    """

    __slots__ = ("_once", "_where")

    def __init__(self, once: Callable[[], object], where: str) -> None:
        """Makes a timed run; `Session.timed` is the way to get one.

        Args:
            once: Runs the model once and returns when its outputs are there.
            where: The model, for error messages.
        """
        self._once = once
        self._where = where

    def time_ns(self, repeats: int = 1) -> int:
        """Runs the model and returns how long it took.

        Args:
            repeats: Number of runs, one after the other.

        Returns:
            Nanoseconds for all of them together.

        Raises:
            RuntimeFailureError: A run failed.
        """
        once = self._once
        try:
            start_ns = time.perf_counter_ns()
            for _ in range(repeats):
                once()
            return time.perf_counter_ns() - start_ns
        except failures() as error:
            raise run_failure(error, self._where) from error


def bound_run(
    inner: InferenceSession,
    feeds: Mapping[str, Array],
    outputs: Sequence[str],
    device: str,
    device_id: int = 0,
) -> Callable[[], None]:
    """Binds inputs and outputs to a device.

    Args:
        inner: The loaded model.
        feeds: A tensor for each input; copied to the device now, and not again.
        outputs: Names of the outputs, which are to stay on the device.
        device: Kind of device, such as `cuda` or `cpu`.
        device_id: Which device of this kind.

    Returns:
        A function that runs the model once and returns when the outputs are there.
    """
    binding = inner.io_binding()
    for name, value in feeds.items():
        binding.bind_cpu_input(name, value)
    for name in outputs:
        binding.bind_output(name, device, device_id)
    binding.synchronize_inputs()

    def once() -> None:
        inner.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return once


def run_failure(error: Exception, where: str) -> RuntimeFailureError:
    """Returns the error for a run that failed.

    Args:
        error: What onnxruntime raised.
        where: The model.
    """
    return RuntimeFailureError("ONNX Runtime cannot run the model", where=where, why=explain(error))
