"""The dependency graph of a model, for the library."""

from __future__ import annotations

import os

from onnxprune.coupling.analysis import analyse
from onnxprune.coupling.dependency import DependencyGraph
from onnxprune.coupling.dependency import dependency_graph as graph_of
from onnxprune.coupling.groups import find_groups
from onnxprune.ir.canonical import canonicalise
from onnxprune.ir.load import load
from onnxprune.ir.model import Model
from onnxprune.pipelines.inputs import Shapes


def dependency_graph(
    model: Model | str | os.PathLike[str], *, input_shapes: Shapes | None = None
) -> DependencyGraph:
    """The dependency graph of a model: operators, values, weights and coupling groups.

    Args:
        model: a loaded model, which is left as it is, or a path.
        input_shapes: shapes of dynamic inputs, by name.

    Raises:
        ModelError: the model cannot be handled.
        UsageError: the shapes do not fit it.
    """
    source = model if isinstance(model, Model) else load(model)
    analysis = analyse(canonicalise(source, dict(input_shapes or {})))
    return graph_of(analysis, find_groups(analysis))
