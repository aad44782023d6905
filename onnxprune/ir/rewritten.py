"""Models that another tool rewrote: what it needs on the way, and what it forgot."""

from __future__ import annotations

import onnx
from onnx.version_converter import ConvertError, convert_version

from onnxprune.errors import ModelError
from onnxprune.ir.difference import MODEL_FIELDS
from onnxprune.ir.edit import FREE_INITIALIZERS_SINCE
from onnxprune.ir.graph import all_graphs, all_nodes, keep_infos, label
from onnxprune.ir.load import load
from onnxprune.ir.model import Model


def raised(model: Model, opset: int) -> Model:
    """The model at this opset or a later one, with initializers that are no inputs.

    Args:
        model: the model; it is left as it is.
        opset: of the standard domain.

    Raises:
        ModelError: it cannot be converted.
    """
    if model.opset.get("", opset) < opset:
        try:
            model = load(convert_version(model.to_proto(), opset))
        except (ConvertError, RuntimeError) as error:
            raise ModelError(
                f"the model cannot be brought from opset {model.opset['']} to {opset}",
                why=str(error).partition("\n")[0],
                hint=f"export it at opset {opset} or later",
            ) from error
    if model.proto.ir_version >= FREE_INITIALIZERS_SINCE:
        return model
    result = model.copy()
    result.proto.ir_version = FREE_INITIALIZERS_SINCE
    inputs = result.proto.graph.input
    for index in reversed(range(len(inputs))):
        if inputs[index].name in result.constants:
            del inputs[index]
    return result


def with_names(model: Model) -> Model:
    """A copy in which each node has a name, and nothing is said of the shapes of weights.

    Some tools know nodes by their names alone, and some transpose weights and are then at odds with
    what the file says of them.

    Args:
        model: the model; it is left as it is.
    """
    result = model.copy()
    for node, _ in all_nodes(result.proto.graph):
        node.name = label(node)
    infos = result.proto.graph.value_info
    keep_infos(result.proto.graph, {info.name for info in infos} - model.constants.keys())
    return result


def restored(model: Model, original: Model) -> Model:
    """A copy with all of what the original says of itself, and nothing that a tool says.

    That is metadata and doc strings, of nodes too that have kept their name and type, and what is
    declared of inputs, outputs and other values. Operator sets that no node uses go.

    Args:
        model: what the tool made; it is left as it is.
        original: what it was made of.
    """
    result = model.copy()
    result.external = original.external
    proto, old = result.proto, original.proto
    for field in MODEL_FIELDS:
        proto.ClearField(field)  # pyright: ignore[reportArgumentType]  (one of five literals)
        if getattr(old, field):
            setattr(proto, field, getattr(old, field))
    graph = proto.graph
    graph.name, graph.doc_string = old.graph.name, old.graph.doc_string
    for mine, theirs in ((proto, old), (graph, old.graph)):
        del mine.metadata_props[:]
        mine.metadata_props.extend(theirs.metadata_props)
    _restore_nodes(graph, old.graph)
    declared = {info.name: info for info in (*old.graph.input, *old.graph.output)}
    for info in (*graph.input, *graph.output):
        if info.name in declared and info.name not in result.constants:
            info.CopyFrom(declared[info.name])
    keep_infos(graph, {info.name for info in old.graph.value_info})
    _restore_versions(proto, old)
    return result


def _restore_nodes(graph: onnx.GraphProto, old: onnx.GraphProto) -> None:
    originals = {(label(node), node.op_type): node for node, _ in all_nodes(old)}
    for node, _ in all_nodes(graph):
        source = originals.get((node.name, node.op_type))
        if source is not None:
            node.doc_string = source.doc_string
            del node.metadata_props[:]
            node.metadata_props.extend(source.metadata_props)


def _restore_versions(proto: onnx.ModelProto, old: onnx.ModelProto) -> None:
    used = {node.domain for part in all_graphs(proto.graph) for node in part.node}
    used |= {entry.domain for entry in old.opset_import}
    used |= {"", "ai.onnx"} if used & {"", "ai.onnx"} else set()
    for index in reversed(range(len(proto.opset_import))):
        if proto.opset_import[index].domain not in used:
            del proto.opset_import[index]
