"""Constants that no few inputs show: all rows of a vocabulary, bounds that are hardly reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from onnxprune.axes import Dim, Keep
from onnxprune.coupling.analysis import Analysis
from onnxprune.ir.elements import is_weight_type
from onnxprune.ir.model import Model
from onnxprune.ir.sparse import written_out
from onnxprune.verify.deviation import Deviation, compare
from onnxprune.verify.taken import axes_taken, take
from onnxprune.verify.tolerance import Tolerances


def compare_unseen(
    analysis: Analysis, keeps: Mapping[Dim, Keep], pruned: Model, tolerances: Tolerances
) -> Iterator[Deviation]:
    """Compare constants with what is kept of the original's, where an operator reads parts of them.

    Those are tables that rows are looked up in, and operands that are used where another one is
    not, such as the bounds of a Clip. Only where both models make the same value of a constant by
    the same operator; other values are computed, and compared where they are.

    Args:
        analysis: of the model before removal.
        keeps: what stays of each leaf.
        pruned: the model after removal.
        tolerances: how far elements may be apart.
    """
    constants = analysis.canonical.model.constants
    readers: dict[str, tuple[str, Sequence[str]]] = {}
    for placed in analysis.placed:
        known, inputs = placed.operator, placed.node.inputs
        if known is not None and (known.looks_up or known.selects):
            read = inputs[:1] if known.looks_up else inputs
            readers[placed.node.outputs[0]] = placed.node.op_type, read
    tensors = written_out(pruned) if readers else {}
    for node in pruned.proto.graph.node:
        op_type, names = readers.get(node.output[0], ("", ()))
        for name, ours in zip(names, node.input, strict=False) if op_type == node.op_type else ():
            found = tensors.get(ours)
            if name in constants and found is not None and is_weight_type(found.elem_type):
                kept = take(constants[name].numpy(), axes_taken(analysis, name, keeps, 0))
                yield compare(ours, [kept], [found.numpy()], tolerances)
