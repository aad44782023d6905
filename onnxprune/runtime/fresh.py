"""Work in a process of its own: whose memory is its own, and whose crash is not ours."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from onnxprune.errors import RuntimeFailureError

T = TypeVar("T")


def in_fresh_process(function: Callable[..., T], *arguments: object) -> T:
    """Calls a function in a new process, which ends with the call.

    As always with `multiprocessing`, a script that leads here must do so below
    ``if __name__ == "__main__":``, for the new process reads it again.

    Args:
        function: A function of a module.
        arguments: Its arguments; they and what it returns can be pickled.

    Returns:
        What it returns.

    Raises:
        RuntimeFailureError: The process died.
        OnnxPruneError: Whatever the function raised.
    """
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(1, mp_context=context, initializer=_prepare) as executor:
            return executor.submit(function, *arguments).result()
    except BrokenProcessPool as error:
        raise RuntimeFailureError(
            "the process in which ONNX Runtime ran has died",
            why="the execution provider crashed, or there was too little memory",
            hint="what it said is above; `onnxprune doctor` shows which providers work",
        ) from error


def _prepare() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # our parent explains the interruption
    # Libraries print; stdout belongs to our parent's JSON document.
    os.dup2(2, 1)
    # Kernels of CUDA are waited for, so that a profile sees how long they take.
    os.environ.setdefault("CUDA_LAUNCH_BLOCKING", "1")
