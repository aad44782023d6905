"""The masked reference: the original with removed indices hidden, not sliced.

All shapes are the original's. Behind every tensor that carries a removed index stands a
``Where(mask, x, 0)``, and operators that depend on which indices there are run in their masked
form. It shares no slicing code with the compiler: if both agree, the surgery was right.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from onnxprune.axes import BoolArray, Dim, Keep, axis_mask, is_touched
from onnxprune.coupling.analysis import Analysis, Placed
from onnxprune.ir.model import Model
from onnxprune.ir.probe import ProbeBuilder
from onnxprune.ops.masked import FORMS
from onnxprune.ops.site import Value


def masked_reference(analysis: Analysis, keeps: Mapping[Dim, Keep]) -> Model:
    """Build the masked reference of a canonical model.

    Args:
        analysis: of the model before removal.
        keeps: keep masks by leaf.
    """
    facts = analysis.canonical.facts
    builder = ProbeBuilder(analysis.canonical.model, facts.elem_types)
    for place, placed in enumerate(analysis.placed):
        masks = {
            value.name: mask
            for value in placed.site.outputs
            if value is not None and (mask := value_mask(value, keeps)) is not None
        }
        made = _add_node(builder, analysis, placed, place, masks, keeps)
        for name, mask in masks.items():
            if name not in made:
                continue
            builder.rename(builder.hide(f"{name}::raw", mask, facts.elem_types[name]), name)
    return builder.finish()


def value_mask(value: Value, keeps: Mapping[Dim, Keep]) -> BoolArray | None:
    """The mask of a tensor, of size 1 along axes that keep everything; None if all do."""
    touched = [axis for axis, dim in enumerate(value.dims) if is_touched(dim, keeps)]
    if not touched:
        return None
    mask = np.ones([1] * len(value.dims), dtype=np.bool_)
    for axis in touched:
        shape = [1] * len(value.dims)
        shape[axis] = value.shape[axis]
        keep = keeps.get(value.dims[axis].root)
        if keep is None or keep.over is None:
            mask = mask & axis_mask(value.dims[axis], keeps).reshape(shape)
            continue
        by, repeats = _blocks_of(value, keep.over)
        shape[by] = value.shape[by]
        rows = np.repeat(keep.mask, repeats, axis=0)
        mask = mask & (rows if by < axis else rows.T).reshape(shape)
    return mask


def _blocks_of(value: Value, over: Dim) -> tuple[int, int]:
    """The axis whose outermost factor is `over`, and how many of its indices make a block."""
    for axis, dim in enumerate(value.dims):
        if dim.root.walk_factors()[0] is over.root:
            return axis, dim.size // over.size
    raise ValueError(f"{value.name}: no axis carries the groups of a ragged one")


def _add_node(
    builder: ProbeBuilder,
    analysis: Analysis,
    placed: Placed,
    place: int,
    masks: Mapping[str, BoolArray],
    keeps: Mapping[Dim, Keep],
) -> tuple[str, ...]:
    """Add a node, or its masked form, which makes the first output only; tell what is made."""
    source = builder.source(place)
    form = FORMS.get(placed.operator.masked) if placed.operator is not None else None
    reduced = any(
        role.name == "reduced" and role.operand == 0 and is_touched(role.dim, keeps)
        for role in placed.site.roles
    )
    hidden = value_mask(placed.site.x(), keeps) if reduced else None
    if hidden is not None:
        elem_type = analysis.canonical.facts.elem_types[placed.node.inputs[0]]
        if placed.node.inputs[0] in analysis.canonical.model.constants:
            source.input[0] = builder.hide(source.input[0], hidden, elem_type)
        if form is not None:
            result = form(builder.typed(elem_type), placed.site, list(source.input), hidden)
            name = placed.node.outputs[0]
            builder.rename(result, f"{name}::raw" if name in masks else name)
            return placed.node.outputs[:1]
    for index, name in enumerate(source.output):
        if name in masks:
            source.output[index] = f"{name}::raw"
    builder.add(source)
    return placed.node.outputs
