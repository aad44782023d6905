"""The masked reference: the original with removed indices hidden, not sliced.

All shapes are the original's. Behind every tensor that carries a removed index stands a
``Where(mask, x, 0)``, and operators that depend on which indices there are run in their masked
form. It shares no slicing code with the compiler: if both agree, the surgery was right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from onnxprune.axes import BoolArray, Dim, Keep, is_touched, tensor_mask
from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.placed import Placed
from onnxprune.ir.elements import is_float_type
from onnxprune.ir.model import Model
from onnxprune.ir.probe import ProbeBuilder
from onnxprune.ops.masked import FORMS, HIDDEN_ON


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
    hidden = _masks_of(("reduced", "handed"), placed, keeps)
    types = analysis.canonical.facts.elem_types
    for operand, mask in hidden.items():
        name = placed.node.inputs[operand]
        if name in analysis.canonical.model.constants:
            source.input[operand] = builder.hide(source.input[operand], mask, types[name])
    for operand, mask in _masks_of(("divisor",), placed, keeps).items():
        elem_type = types[placed.node.inputs[operand]]
        if not is_float_type(elem_type):  # integers divided by 0 stop the run
            source.input[operand] = builder.typed(elem_type).where(mask, source.input[operand], 1.0)
    for operand, mask, zero in _encoded_masks(placed, keeps):
        elem_type = types[placed.node.inputs[operand]]
        name, neutral = source.input[operand], source.input[zero]
        source.input[operand] = builder.hide(name, mask, elem_type, neutral)
    form = FORMS.get(placed.operator.masked) if placed.operator is not None else None
    seen = HIDDEN_ON.get(placed.operator.masked, 0) if placed.operator is not None else 0
    if form is None or seen not in hidden:
        source.output[:] = names
        builder.add(source)
        return placed.node.outputs
    typed = builder.typed(types[placed.node.inputs[seen]])
    results = form(typed, placed.site, list(source.input), hidden[seen])
    for result, name in zip(results, names, strict=False):
        if name:
            builder.rename(result, name)
    return placed.node.outputs[: len(results)]


def _encoded_masks(
    placed: Placed, keeps: Mapping[Dim, Keep]
) -> Iterator[tuple[int, BoolArray, int]]:
    """(operand, mask, zero point) of integers that are summed over, where they stand for numbers.

    Their zero point has to take the place of what is hidden.
    """
    encodings = placed.operator.encodings if placed.operator is not None else ()
    masks = _masks_of(("contracted", "reduced"), placed, keeps) if encodings else {}
    for encoding in encodings:
        zero = encoding.neutral(placed.site)
        if zero is not None and encoding.operand in masks:
            yield encoding.operand, masks[encoding.operand], zero


def _masks_of(
    names: tuple[str, ...], placed: Placed, keeps: Mapping[Dim, Keep]
) -> dict[int, BoolArray]:
    """The masks of operands of which the operator does something with a touched dim.

    Args:
        names: roles: ``reduced`` where a hidden value counts, ``handed`` on to a body, ...
        placed: the operator.
        keeps: what stays.

    Returns:
        By input index.
    """
    masks: dict[int, BoolArray] = {}
    for role in placed.site.roles:
        if role.name in names and role.operand >= 0 and is_touched(role.dim, keeps):
            mask = tensor_mask(placed.site.x(role.operand).dims, keeps)
            if mask is not None:
                masks[role.operand] = mask
    return masks
