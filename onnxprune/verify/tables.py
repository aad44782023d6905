"""Tables that a model looks rows up in: no few inputs read all of a vocabulary's rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from onnxprune.axes import Dim, Keep
from onnxprune.coupling.analysis import Analysis
from onnxprune.ir.elements import is_weight_type
from onnxprune.ir.model import Model
from onnxprune.ir.sparse import written_out
from onnxprune.verify.deviation import Deviation, compare
from onnxprune.verify.taken import axes_taken, take
from onnxprune.verify.tolerance import Tolerances


def compare_tables(
    analysis: Analysis, keeps: Mapping[Dim, Keep], pruned: Model, tolerances: Tolerances
) -> Iterator[Deviation]:
    """Compare each constant that rows are looked up in with what is kept of the original's.

    Only where the same value is looked up in a constant in both models; other values are computed,
    and compared where they are.

    Args:
        analysis: of the model before removal.
        keeps: what stays of each leaf.
        pruned: the model after removal.
        tolerances: how far elements may be apart.
    """
    constants = analysis.canonical.model.constants
    tables = {
        placed.node.outputs[0]: placed.node
        for placed in analysis.placed
        if placed.operator is not None
        and placed.operator.looks_up
        and placed.node.inputs[0] in constants
    }
    tensors = written_out(pruned) if tables else {}
    for node in pruned.proto.graph.node:
        known = tables.get(node.output[0])
        table = known.inputs[0] if known and known.op_type == node.op_type else None
        found = tensors.get(node.input[0]) if node.input else None
        if table is not None and found is not None and is_weight_type(found.elem_type):
            kept = take(constants[table].numpy(), axes_taken(analysis, table, keeps, 0))
            yield compare(node.input[0], [kept], [found.numpy()], tolerances)
