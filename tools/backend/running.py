"""Models of backend cases in ONNX Runtime, and whether they give what they must."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from backend.cases import Case

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
    flat: dict[str, Array] = {}
    for info, value in zip(case.model.graph.output, case.sets[place][1], strict=True):
        if isinstance(value, list):
            flat.update({f"{info.name}[{index}]": element for index, element in enumerate(value)})
        elif value is not None:
            flat[info.name] = value
    return flat


def unlike(case: Case, found: Iterable[Mapping[str, Array]]) -> str:
    """How what the sets of inputs give, in order, differs from what they must; "" if not."""
    pairs = ((outputs, wanted_outputs(case, place)) for place, outputs in enumerate(found))
    return next(filter(None, (first_other(a, b, case.rtol, case.atol) for a, b in pairs)), "")


def first_other(
    found: Mapping[str, Array], wanted: Mapping[str, Array], rtol: float, atol: float
) -> str:
    """How an output differs from what it must be, as ONNX's own runner judges; "" if none does."""
    if found.keys() != wanted.keys():
        return f"outputs {', '.join(found)} instead of {', '.join(wanted)}"
    others = ((name, _other(found[name], right, rtol, atol)) for name, right in wanted.items())
    return next((f"output {name}: {why}" for name, why in others if why), "")


def _other(found: Array, right: Array, rtol: float, atol: float) -> str:
    if found.shape != right.shape:
        return f"shape {list(found.shape)} instead of {list(right.shape)}"
    if found.dtype != right.dtype:
        return f"{found.dtype} instead of {right.dtype}"
    if right.dtype.kind in "OSUb":
        return "" if np.array_equal(found, right) else "other elements"
    if right.dtype.name == "bfloat16":
        rtol = max(rtol, _BFLOAT16_RTOL)
    if right.dtype.kind == "V":
        found, right = found.astype(np.float32), right.astype(np.float32)
    with np.errstate(all="ignore"):
        if np.allclose(found, right, rtol, atol, equal_nan=True):
            return ""
        off = np.abs(found.astype(np.float64) - right.astype(np.float64))
    return f"off by {np.nanmax(off):.3g} at most"
