"""Faults of how values are joined, cut and addressed: order, bounds, sizes, the wrong operand."""

from collections.abc import Iterator
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import onnx
from mutation.edits import exchange, exchange_inputs, give
from mutation.subject import Array, Draft, Site, Subject, attribute, kind, title
from onnx import helper

_END = 2**31 - 1
"""Slices up to here go to the end."""
_SIZED = {"Reshape": (1,), "Expand": (1,), "ConstantOfShape": (0,), "Tile": (1,), "Resize": (3,)}
"""Operands that are lists of sizes."""


@kind("concat order exchanged")
def concat_order(subject: Subject) -> Iterator[Site]:
    """Two inputs change places."""
    for place, node in subject.nodes("Concat"):
        if subject.is_float(node.output[0]):
            for first, second in combinations(range(len(node.input)), 2):
                if node.input[first] != node.input[second]:
                    yield Site(title(node), exchange_inputs(place, first, second))


@kind("Split sizes exchanged")
def split_sizes(subject: Subject) -> Iterator[Site]:
    """Two different sizes change places."""
    yield from _exchanged_sizes(subject, "Split")


def _exchanged_sizes(subject: Subject, op_type: str) -> Iterator[Site]:
    """Nodes of a type whose second operand is a list of sizes, with two of them exchanged."""
    for place, node in subject.nodes(op_type):
        sizes = subject.constant(node, 1)
        for first, second in combinations(range(0 if sizes is None else sizes.size), 2):
            if sizes is not None and sizes[first] != sizes[second]:
                other = sizes.copy()
                other[[first, second]] = sizes[[second, first]]
                yield Site(f"{title(node)}, {sizes.tolist()}", give(place, 1, other))


@kind("Split outputs exchanged")
def split_outputs(subject: Subject) -> Iterator[Site]:
    """Two parts of the same shape change names: queries for keys."""
    for place, node in subject.nodes("Split"):
        for first, second in combinations(range(len(node.output)), 2):
            if subject.shape(node.output[first]) == subject.shape(node.output[second]) != ():
                edit = partial(_exchange_outputs, place=place, first=first, second=second)
                yield Site(f"{title(node)}, outputs {first} and {second}", edit)


def _exchange_outputs(draft: Draft, place: int, first: int, second: int) -> str:
    exchange(draft.node(place).output, first, second)
    return ""


@kind("Slice bound off by one")
def slice_bound(subject: Subject) -> Iterator[Site]:
    """Both ends move by one where there is room; else one does."""
    for place, node in subject.nodes("Slice"):
        starts, ends, axes = (subject.constant(node, operand) for operand in (1, 2, 3))
        shape = subject.shape(node.input[0])
        if starts is None or ends is None or not subject.is_float(node.input[0]):
            continue
        for i in range(starts.size):
            axis = int(axes[i]) if axes is not None else i
            edit = partial(_move_slice, place=place, bounds=(starts, ends), i=i, size=shape[axis])
            yield Site(f"{title(node)} axis {axis} of {list(shape)}", edit)


def _move_slice(draft: Draft, place: int, bounds: tuple[Array, Array], i: int, size: int) -> str:
    starts, ends = (array.copy() for array in bounds)
    start = int(starts[i]) + (size if starts[i] < 0 else 0)
    end = min(int(ends[i]) + (size if ends[i] < 0 else 0), size)
    if end < size and ends[i] < _END:
        starts[i], ends[i] = start + 1, end + 1
    elif start > 0:
        starts[i], ends[i] = start - 1, end - 1
    else:
        ends[i] = end - 1
    draft.give(place, 1, starts)
    draft.give(place, 2, ends)
    return f"{start}:{end} became {starts[i]}:{ends[i]}"


@kind("Gather index off by one")
def gather_index(subject: Subject) -> Iterator[Site]:
    """One place further, round the corner at the end."""
    for place, node in subject.nodes("Gather"):
        indices, shape = subject.constant(node, 1), subject.shape(node.input[0])
        size = shape[attribute(node, "axis", 0)] if shape else 1
        if indices is not None and subject.is_float(node.input[0]) and size > 1:
            other = ((indices + 1) % size).astype(indices.dtype)
            yield Site(f"{title(node)} of {list(shape)}", give(place, 1, other))


@kind("Reshape target exchanged")
def reshape_target(subject: Subject) -> Iterator[Site]:
    """Two sizes change places, as the number of heads and their size."""
    yield from _exchanged_sizes(subject, "Reshape")


@kind("stale shape constant under a dynamic axis")
def stale_shape(subject: Subject) -> Iterator[Site]:
    """A size that is computed, copied or inferred stays what it was in one run."""
    for place, node in subject.nodes(*_SIZED) if subject.is_dynamic else ():
        for operand in _SIZED[node.op_type]:
            if operand < len(node.input) and subject.is_float(node.output[0]):
                now = np.array(subject.shape(node.output[0]), np.int64)
                target = subject.constant(node, operand)
                if node.op_type != "Reshape":
                    now = subject.seen.numbers.get(node.input[operand], now[:0])
                if now.size and (target is None or (target < 1).any()):
                    yield Site(title(node), give(place, operand, now))


@kind("constant of a computed size off by one")
def size_constant(subject: Subject) -> Iterator[Site]:
    """One of the numbers that sizes, positions and indices are computed with."""
    for place, node in subject.nodes(
        "Add", "Sub", "Mul", "Div", "Mod", "Gather", "Concat", "Range"
    ):
        for operand in range(len(node.input)):
            array = subject.constant(node, operand)
            computed = node.output[0] in subject.seen.numbers
            if computed and array is not None and array.dtype.kind == "i" and array.size == 1:
                yield Site(f"{title(node)}, {array.item()}", give(place, operand, array + 1))


@kind("residual taken from another tensor of the same shape")
def other_residual(subject: Subject) -> Iterator[Site]:
    """One summand is a tensor that was made earlier."""
    for place, node in subject.nodes("Add"):
        if all(subject.is_float(name) for name in node.input):
            for operand in (0, 1):
                others = _earlier(subject, place, node.input[operand])
                if others:
                    edit = partial(_rewire, place=place, operand=operand, others=others)
                    yield Site(f"{title(node)}, operand {operand}", edit)


def _earlier(subject: Subject, place: int, name: str) -> list[str]:
    shape = subject.shape(name)
    return [
        other
        for other, maker in subject.makers.items()
        if maker < place
        and other not in subject.proto.graph.node[place].input
        and subject.is_float(other)
        and subject.shape(other) == shape
    ]


def _rewire(draft: Draft, place: int, operand: int, others: list[str]) -> str:
    other = str(draft.rng.choice(others))
    before = draft.node(place).input[operand]
    draft.node(place).input[operand] = other
    return f"{other} in place of {before}"


@kind("residual left out")
def no_residual(subject: Subject) -> Iterator[Site]:
    """A sum of two tensors of one shape is one of them."""
    for place, node in subject.nodes("Add"):
        shapes = {subject.shape(name) for name in node.input}
        if all(subject.is_float(name) for name in node.input) and len(shapes) == 1:
            for operand in (0, 1):
                edit = partial(_keep_operand, place=place, operand=operand)
                yield Site(f"{title(node)}, operand {operand} alone", edit)


def _keep_operand(draft: Draft, place: int, operand: int) -> str:
    names = draft.node(place).input
    names[0] = names[operand]
    draft.become(place, "Identity")
    return ""


@kind("operands exchanged")
def operands(subject: Subject) -> Iterator[Site]:
    """Of what does not commute."""
    for place, node in subject.nodes("Sub", "Div", "MatMul", "Pow"):
        first, second = (subject.shape(name) or _shape(subject, name) for name in node.input)
        if first == second or (node.op_type != "MatMul" and subject.is_float(node.output[0])):
            yield Site(title(node), exchange_inputs(place, 0, 1))


def _shape(subject: Subject, name: str) -> tuple[int, ...]:
    array = subject.constants.get(name)
    return () if array is None else array.shape


@kind("branches of a Where exchanged")
def where_branches(subject: Subject) -> Iterator[Site]:
    """What is masked and what is not."""
    for place, node in subject.nodes("Where"):
        if subject.is_float(node.output[0]):
            yield Site(title(node), exchange_inputs(place, 1, 2))


@kind("two inputs of the model exchanged")
def model_inputs(subject: Subject) -> Iterator[Site]:
    """All that reads one reads the other."""
    names = [info.name for info in subject.proto.graph.input]
    for first, second in combinations(names, 2):
        same = subject.shape(first) == subject.shape(second) != ()
        if same and subject.seen.dtypes[first] == subject.seen.dtypes[second]:
            yield Site(
                f"{first} and {second}", partial(_exchange_names, first=first, second=second)
            )


def _exchange_names(draft: Draft, first: str, second: str) -> str:
    names = {first: second, second: first}
    for node in draft.proto.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)
    return ""


@kind("an output permuted")
def permuted_output(subject: Subject) -> Iterator[Site]:
    """Two indices of one axis of an output of the model change places."""
    for info in subject.proto.graph.output:
        shape = subject.shape(info.name)
        for axis in range(len(shape)):
            if subject.is_float(info.name) and shape[axis] > 1 and axis > 0:
                edit = partial(_permute, name=info.name, axis=axis, size=shape[axis])
                yield Site(f"{info.name} axis {axis} of {list(shape)}", edit)


def _permute(draft: Draft, name: str, axis: int, size: int) -> str:
    first, second, order = draft.exchanged(size)
    indices = draft.constant(order)

    def build(inner: str, outer: str) -> list[onnx.NodeProto]:
        attributes: dict[str, Any] = {"axis": axis}
        return [helper.make_node("Gather", [inner, indices], [outer], **attributes)]

    draft.wrap(name, build)
    return f"{first} and {second}"
