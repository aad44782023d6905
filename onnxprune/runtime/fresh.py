"""Work in a process of its own: whose memory is its own, and whose crash is not ours."""

import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from onnxprune.errors import RuntimeFailureError

T = TypeVar("T")

_SERVE = "from onnxprune.runtime.fresh import serve; serve()"


def in_fresh_process(function: Callable[..., T], *arguments: object) -> T:
    """Calls a function in a new process, which ends with the call.

    The process knows nothing of the script that leads here, unlike those of `multiprocessing`: so
    the script needs no ``if __name__ == "__main__":``.

    Args:
        function: A function of a module.
        arguments: Its arguments; they and what it returns can be pickled.

    Returns:
        What it returns.

    Raises:
        RuntimeFailureError: The process died.
        Exception: Whatever the function raised.
    """
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)),
        # Kernels of CUDA are waited for, so that a profile sees how long they take.
        "CUDA_LAUNCH_BLOCKING": os.environ.get("CUDA_LAUNCH_BLOCKING", "1"),
    }
    command = [sys.executable, "-P", "-c", _SERVE]
    task = pickle.dumps((function, arguments), pickle.HIGHEST_PROTOCOL)
    done = subprocess.run(command, input=task, stdout=subprocess.PIPE, env=env, check=False)
    if done.returncode:
        raise RuntimeFailureError(
            "the process in which ONNX Runtime ran has died",
            why=f"{_cause(done.returncode)}: the execution provider crashed, or there was too "
            "little memory",
            hint="what it said is above; `onnxprune doctor` shows which providers work",
        )
    result: T
    result, error = pickle.loads(done.stdout)
    if error is not None:
        raise error
    return result


def serve() -> None:
    """What the new process does: reads its task from stdin, and writes the outcome to stdout."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # our parent explains the interruption
    with os.fdopen(os.dup(1), "wb") as answer:
        os.dup2(2, 1)  # libraries print, which must not be taken for the answer
        function, arguments = pickle.load(sys.stdin.buffer)
        outcome: tuple[object, Exception | None]
        try:
            outcome = function(*arguments), None
        except Exception as error:  # crosses the border, with its trace as a note
            error.add_note(traceback.format_exc())
            outcome = None, error
        pickle.dump(outcome, answer, pickle.HIGHEST_PROTOCOL)


def _cause(code: int) -> str:
    with suppress(ValueError):
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"
