"""Models of backend cases in ONNX Runtime, and whether they give what they must."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pathlib import Path

import onnx
from backend_cases import Case, Feeds

from onnxprune.runtime import Session

Array = npt.NDArray[Any]

_BFLOAT16_RTOL = 2**-6
"""What ONNX's own runner of these cases allows at least: two units in the last place."""


def session_over(model: onnx.ModelProto | Path) -> Session:
    """A session over a model, unoptimised: ONNX Runtime trips over what it makes of some cases.

    Raises:
        RuntimeFailureError: ONNX Runtime does not load the model.
    """
    content = model.SerializeToString() if isinstance(model, onnx.ModelProto) else model
    return Session(content, optimization="none", quiet=True)


def wanted_outputs(case: Case, place: int) -> dict[str, Array]:
    """What a set of inputs must give, by output; of sequences the elements, as `Session.run`."""
    names = [info.name for info in case.model.graph.output]
    flat: dict[str, Array] = {}
    for name, value in zip(names, case.sets[place][1], strict=True):
        if isinstance(value, list):
            flat.update({f"{name}[{index}]": element for index, element in enumerate(value)})
        elif value is not None:
            flat[name] = value
    return flat


def runs(session: Session, sets: Sequence[Feeds]) -> list[dict[str, Array]]:
    """What each set of inputs gives.

    Raises:
        RuntimeFailureError: the model does not run.
    """
    return [session.run(feeds) for feeds in sets]


def first_other(
    found: Mapping[str, Array], wanted: Mapping[str, Array], rtol: float, atol: float
) -> str:
    """How an output differs from what it must be, as ONNX's own runner judges; "" if none does."""
    if found.keys() != wanted.keys():
        return f"outputs {', '.join(found)} instead of {', '.join(wanted)}"
    for name, right in wanted.items():
        if why := _other(found[name], right, rtol, atol):
            return f"output {name}: {why}"
    return ""


def _other(found: Array, right: Array, rtol: float, atol: float) -> str:
    if found.shape != right.shape:
        return f"shape {list(found.shape)} instead of {list(right.shape)}"
    if found.dtype != right.dtype:
        return f"{found.dtype} instead of {right.dtype}"
    if right.dtype.kind in "OSU":
        return "" if np.array_equal(found, right) else "other strings"
    if right.dtype.name == "bfloat16":
        rtol = max(rtol, _BFLOAT16_RTOL)
    exact = right.dtype.kind in "biu" or right.dtype.name == "float64"
    wide = np.dtype(
        right.dtype if exact else np.complex64 if right.dtype.kind == "c" else np.float32
    )
    a, b = found.astype(wide), right.astype(wide)
    with np.errstate(all="ignore"):
        if np.allclose(a, b, rtol, atol, equal_nan=True):
            return ""
        off = np.abs(np.subtract(a, b, dtype=np.result_type(wide, np.float64)))
    return f"off by {np.nanmax(off):.3g} at most"
