"""Shapes that inference cannot tell, told by running the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx

from onnxprune.errors import OnnxPruneError
from onnxprune.ir.bindings import graph_inputs
from onnxprune.ir.model import Model
from onnxprune.ir.shapes import Shape
from onnxprune.ir.tensors import dtype_of
from onnxprune.runtime import Session


def measured_shapes(
    model: Model, inputs: Mapping[str, Shape], names: Iterable[str]
) -> dict[str, Shape]:
    """Run a model and look at the shapes of some values.

    Only shapes that are equal for different inputs are given: what depends on the data stays
    unknown. Nothing is given where ONNX Runtime cannot run the model.

    Args:
        model: the model.
        inputs: concrete shapes of its inputs.
        names: the values asked for.
    """
    wanted = sorted(names)
    probe = model.copy()
    del probe.proto.graph.output[:]
    for name in wanted:
        probe.proto.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    try:
        session = Session(probe.to_bytes(), optimization="none", quiet=True)
        runs = [session.run(simple_feeds(model, inputs, seed), wanted) for seed in range(4)]
    except OnnxPruneError:
        return {}
    shapes = {name: {run[name].shape for run in runs} for name in wanted}
    return {name: seen.pop() for name, seen in shapes.items() if len(seen) == 1}


def simple_feeds(model: Model, inputs: Mapping[str, Shape], seed: int) -> dict[str, np.ndarray]:
    """Zeros and ones for integers and truth values, normal numbers for the rest."""
    rng = np.random.default_rng(seed)
    feeds: dict[str, np.ndarray] = {}
    for info in graph_inputs(model.proto):
        shape = inputs.get(info.name, ())
        dtype = dtype_of(info.type.tensor_type.elem_type)
        drawn = rng.random(shape) < 0.5 if dtype.kind in "biu" else rng.standard_normal(shape)
        feeds[info.name] = np.asarray(drawn).astype(dtype)
    return feeds
