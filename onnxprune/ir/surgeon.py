"""Structural edits through onnx-graphsurgeon, without what it forgets.

graphsurgeon gives nodes and tensors that know each other, clean-up and sorting. It drops metadata,
doc strings and more on export; what it drops is put back from the model. Weights never pass
through it: it sees their stubs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
import onnx_graphsurgeon as gs  # pyright: ignore[reportMissingTypeStubs]  (it has none)

from onnxprune.ir.edit import with_constants
from onnxprune.ir.graph import keep_infos, uses
from onnxprune.ir.model import Model
from onnxprune.ir.tensors import ArrayTensor, Tensor


def operate(model: Model, edit: Callable[[Any], None]) -> Model:
    """A copy of a model whose graph was edited.

    Args:
        model: the model; it is left as it is.
        edit: changes a ``gs.Graph`` in place. Weights appear as variables without producer;
            constants that it adds become initializers.
    """
    structure = model.copy().proto
    del structure.graph.initializer[:]
    surgical = gs.import_onnx(structure)
    edit(surgical)
    surgical.cleanup(recurse_subgraphs=False).toposort(recurse_subgraphs=False)
    exported: onnx.ModelProto = gs.export_onnx(surgical, do_type_check=False)  # pyright: ignore
    result = model.copy()
    _restore(result.proto, exported)
    added: dict[str, Tensor] = {
        tensor.name: ArrayTensor.of(onnx.numpy_helper.to_array(tensor))
        for tensor in exported.graph.initializer
    }
    read, was_read = uses(result.proto.graph), uses(model.proto.graph)
    result.drop_constants(name for name in model.constants if was_read[name] and not read[name])
    return with_constants(result, result.constants | added)


def _restore(target: onnx.ModelProto, exported: onnx.ModelProto) -> None:
    """Put exported nodes into `target`, each with what graphsurgeon dropped of it."""
    originals = {name: node for node in target.graph.node for name in node.output if name}
    nodes: list[onnx.NodeProto] = []
    for node in exported.graph.node:
        fresh = onnx.NodeProto()
        fresh.CopyFrom(node)
        old = originals.get(node.output[0]) if node.output else None
        if old is not None and old.op_type == node.op_type:
            fresh.CopyFrom(old)
            del fresh.input[:], fresh.output[:]
            fresh.input.extend(node.input)
            fresh.output.extend(node.output)
        nodes.append(fresh)
    del target.graph.node[:]
    target.graph.node.extend(nodes)
    keep_infos(target.graph, {name for node in nodes for name in node.output})
