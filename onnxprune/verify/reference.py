"""The masked reference: the original with removed indices hidden, not sliced.

All shapes are the original's. Behind every tensor that carries a removed index stands a
``Where(mask, x, 0)``, and operators that depend on which indices there are run in their masked
form. It shares no slicing code with the compiler: if both agree, the surgery was right.
"""

from __future__ import annotations

from collections.abc import Mapping

from onnxprune.axes import BoolArray, Dim, Keep, is_touched, tensor_mask
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.placed import Placed
from onnxprune.ir.model import Model
from onnxprune.ir.probe import ProbeBuilder
from onnxprune.ops.masked import FORMS


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
            if value is not None and (mask := tensor_mask(value.dims, keeps)) is not None
        }
        made = _add_node(builder, analysis, placed, place, masks, keeps)
        for name, mask in masks.items():
            if name not in made:
                continue
            builder.rename(builder.hide(f"{name}::raw", mask, facts.elem_types[name]), name)
    return builder.finish()


def _add_node(
    builder: ProbeBuilder,
    analysis: Analysis,
    placed: Placed,
    place: int,
    masks: Mapping[str, BoolArray],
    keeps: Mapping[Dim, Keep],
) -> tuple[str, ...]:
    """Add a node, or its masked form, which may leave out last outputs; tell what is made."""
    source = builder.source(place)
    names = tuple(f"{name}::raw" if name in masks else name for name in placed.node.outputs)
    hidden = _reduced_masks(placed, keeps)
    types = analysis.canonical.facts.elem_types
    for operand, mask in hidden.items():
        name = placed.node.inputs[operand]
        if name in analysis.canonical.model.constants:
            source.input[operand] = builder.hide(source.input[operand], mask, types[name])
    form = FORMS.get(placed.operator.masked) if placed.operator is not None else None
    if form is None or 0 not in hidden:
        source.output[:] = names
        builder.add(source)
        return placed.node.outputs
    typed = builder.typed(types[placed.node.inputs[0]])
    results = form(typed, placed.site, list(source.input), hidden[0])
    for result, name in zip(results, names, strict=False):
        if name:
            builder.rename(result, name)
    return placed.node.outputs[: len(results)]


def _reduced_masks(placed: Placed, keeps: Mapping[Dim, Keep]) -> dict[int, BoolArray]:
    """The masks of operands in which a hidden value counts, by input index.

    The operator reduces over a touched dim of it, or hands it on to a body.
    """
    masks: dict[int, BoolArray] = {}
    for role in placed.site.roles:
        if role.name in ("reduced", "handed") and is_touched(role.dim, keeps):
            mask = tensor_mask(placed.site.x(role.operand).dims, keeps)
            if mask is not None:
                masks[role.operand] = mask
    return masks
