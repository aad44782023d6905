"""Constants that no few inputs show: all rows of a vocabulary, bounds that are hardly reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from onnxprune.axes import Dim, Keep
from onnxprune.coupling.analysis import Analysis
from onnxprune.ir.elements import is_weight_type
from onnxprune.ir.graph import attributes
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
    not, such as the bounds of a Clip, which may be attributes, too. Only where both models make
    the same value of a constant by the same operator; other values are computed, and compared
    where they are.

    Args:
        analysis: of the model before removal.
        keeps: what stays of each leaf.
        pruned: the model after removal.
        tolerances: how far elements may be apart.
    """
    constants = analysis.canonical.model.constants
    readers = {
        placed.node.outputs[0]: (placed.node, 1 if known.looks_up else None)
        for placed in analysis.placed
        if (known := placed.operator) is not None and (known.looks_up or known.selects)
    }
    pairs: dict[tuple[str, str], None] = {}  # each once: a mask may be read in every layer
    for node in pruned.proto.graph.node:
        reader, most = readers.get(node.output[0], (None, None))
        if reader is not None and reader.op_type == node.op_type:
            pairs.update(dict.fromkeys(zip(reader.inputs[:most], node.input, strict=False)))
            yield from _bounds(node.output[0], reader.attributes, attributes(node), tolerances)
    tensors = written_out(pruned) if pairs else {}
    for name, ours in pairs:
        found = tensors.get(ours)
        if name in constants and found is not None and is_weight_type(found.elem_type):
            kept = take(constants[name].numpy(), axes_taken(analysis, name, keeps, 0))
            yield compare(ours, [kept], [found.numpy()], tolerances)


def _bounds(
    made: str, before: Mapping[str, object], after: Mapping[str, object], tolerances: Tolerances
) -> Iterator[Deviation]:
    """Compare attributes that are numbers, as a Clip of old has its bounds; one may be missing."""
    for name in dict.fromkeys((*before, *after)):
        one, other = before.get(name), after.get(name)
        if isinstance(one, float) or isinstance(other, float):
            first, second = (
                [np.array([np.nan if bound is None else bound], np.float32)]
                for bound in (one, other)
            )
            yield compare(f"{name} of {made}", first, second, tolerances)
