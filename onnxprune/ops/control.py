"""Control flow: what a body is handed and what it makes is what the node reads and makes.

Nodes inside a body speak for themselves; here its borders are joined to the node's operands. A
state is one tensor on its way through the iterations, so its axes are the same before, in, after
each iteration and at the end. Where a loop cuts or stacks along an axis, there is one iteration for
each index, and none can be left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from onnxprune.ops.operator import Operator
from onnxprune.ops.site import Site, Value


def _if(site: Site) -> None:
    for place, y in enumerate(site.outputs):
        _join(site, [y, *(branch.outputs[place] for branch in site.bodies)])


def _loop(site: Site) -> None:
    """Inputs: trip count, condition, states; of the body: iteration, condition, states."""
    (body,) = site.bodies
    states = len(body.inputs) - 2
    for place in range(states):
        inside = [body.inputs[2 + place], body.outputs[1 + place]]
        _join(site, [site.inputs[2 + place], *inside, *site.outputs[place : place + 1]])
    _hand(site, range(2, len(site.inputs)))
    for y, part in zip(site.outputs[states:], body.outputs[1 + states :], strict=False):
        _stack(site, y, part, 0)


def _scan(site: Site) -> None:
    """Inputs: states, and tensors to cut into slices; outputs: states, and slices stacked."""
    (body,) = site.bodies
    slices = site.attribute("num_scan_inputs", 1)
    states = len(site.inputs) - slices
    for place in range(states):
        inside = [body.inputs[place], body.outputs[place]]
        _join(site, [site.inputs[place], *inside, *site.outputs[place : place + 1]])
    _hand(site, range(len(site.inputs)))
    axes = site.ints("scan_input_axes") or [0] * slices
    for x, part, axis in zip(site.inputs[states:], body.inputs[states:], axes, strict=True):
        _stack(site, x, part, axis)
    made = site.outputs[states:]
    axes = site.ints("scan_output_axes") or [0] * len(made)
    for y, part, axis in zip(made, body.outputs[states:], axes, strict=False):
        _stack(site, y, part, axis)


def _hand(site: Site, places: Iterable[int]) -> None:
    """Note which inputs a body computes with: what is hidden there must be hidden in a constant."""
    for place in places:
        value = site.inputs[place]
        for dim in value.dims if value is not None else ():
            site.role("handed", dim, place)


def _join(site: Site, values: Sequence[Value | None]) -> None:
    """Say that values are one tensor, at different times or in different cases."""
    known = [value for value in values if value is not None]
    shapes = {value.shape for value in known}
    if len(known) == len(values) and len(shapes) == 1:
        for value in known[1:]:
            for mine, theirs in zip(known[0].dims, value.dims, strict=True):
                site.same(mine, theirs)
        return
    listed = " and ".join(str(list(shape)) for shape in sorted(shapes))
    _block(site, known, f"shapes {listed}" if len(shapes) > 1 else "an unknown shape")


def _stack(site: Site, whole: Value | None, part: Value | None, axis: int) -> None:
    """Say that one value holds the other for all iterations, side by side along an axis."""
    if whole is None or part is None:
        _block(site, [value for value in (whole, part) if value is not None], "an unknown shape")
        return
    axis = site.axis(axis, len(whole.shape))
    site.block(whole.dims[axis], f"{site.op_type}: one iteration for each index")
    rest = (*whole.dims[:axis], *whole.dims[axis + 1 :])
    for mine, theirs in zip(rest, part.dims, strict=True):
        site.same(mine, theirs)


def _block(site: Site, values: Sequence[Value], what: str) -> None:
    for value in values:
        for dim in value.dims:
            site.block(dim, f"{site.op_type} joins values of {what}")


OPERATORS = (
    Operator("If", _if),
    Operator("Loop", _loop),
    Operator("Scan", _scan, since=9),
)
