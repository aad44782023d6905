"""Faults of single weights: elements, order, precision, and weights of the wrong operand."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations, pairwise

import numpy as np
from mutation.edits import exchange_inputs
from mutation.subject import Array, Draft, Edit, Site, Subject, kind, layer_axes, title

_NORMALIZATIONS = (
    "BatchNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "GroupNormalization",
)
_GATES = {"LSTM": 4, "GRU": 3}
_BN_STATISTICS = {3: "mean", 4: "variance"}


def _change(place: int, operand: int, array: Array, change: Callable[[Array], Array]) -> Edit:
    """An edit that gives one operand what becomes of its constant."""

    def edit(draft: Draft) -> str:
        draft.give(place, operand, change(array))
        return ""

    return edit


@kind("one weight times 1.5")
def one_weight(subject: Subject) -> Iterator[Site]:
    """A single element of a layer's weight is wrong."""
    for place, operand, node, array in subject.layers():
        edit = partial(_scale_one, place=place, operand=operand, array=array)
        yield Site(f"{title(node)}, {node.input[operand]}", edit)


def _scale_one(draft: Draft, place: int, operand: int, array: Array) -> str:
    other = array.copy()
    index = np.unravel_index(int(draft.rng.integers(array.size)), array.shape)
    other[index] *= array.dtype.type(1.5)
    draft.give(place, operand, other)
    share = abs(float(array[index])) / max(float(np.sqrt(np.mean(array**2))), 1e-30)
    return f"{[int(i) for i in index]}, which is {share:.2g} of the weight's root mean square"


@kind("weights of one channel zeroed")
def channel_zeroed(subject: Subject) -> Iterator[Site]:
    """A layer makes nothing of one channel but its bias."""
    for place, operand, node, array in subject.layers():
        axis = layer_axes(node, operand, array.ndim)[0]
        edit = partial(_zero_one, place=place, operand=operand, array=array, axis=axis)
        yield Site(f"{title(node)}, {node.input[operand]}", edit)


@kind("scale zeroed in one channel")
def scale_zeroed(subject: Subject) -> Iterator[Site]:
    """A normalisation, or a multiplication by a vector, loses one channel."""
    for place, node in subject.nodes(*_NORMALIZATIONS, "Mul"):
        for operand in (0, 1) if node.op_type == "Mul" else (1,):
            array = subject.floats(node, operand)
            if array is not None and array.size > 1 and array.size == max(array.shape):
                axis = int(np.argmax(array.shape))
                edit = partial(_zero_one, place=place, operand=operand, array=array, axis=axis)
                yield Site(title(node), edit)


def _zero_one(draft: Draft, place: int, operand: int, array: Array, axis: int) -> str:
    index = int(draft.rng.integers(array.shape[axis]))
    other = np.moveaxis(array.copy(), axis, 0)
    other[index] = 0
    draft.give(place, operand, np.moveaxis(other, 0, axis))
    return f"channel {index} of {array.shape[axis]}"


@kind("square weight transposed")
def transposed(subject: Subject) -> Iterator[Site]:
    """What a layer makes and what it reads are mistaken for each other."""
    for place, operand, node, array in subject.layers():
        first, second = layer_axes(node, operand, array.ndim)
        if array.shape[first] == array.shape[second] > 1:
            change = partial(np.swapaxes, axis1=first, axis2=second)
            yield Site(title(node), _change(place, operand, array, change))


@kind("kernel flipped")
def flipped(subject: Subject) -> Iterator[Site]:
    """Convolution in place of correlation."""
    for place, node in subject.nodes("Conv", "ConvTranspose"):
        array = subject.floats(node, 1)
        if array is not None and max(array.shape[2:], default=1) > 1:
            change = partial(np.flip, axis=tuple(range(2, array.ndim)))
            yield Site(title(node), _change(place, 1, array, change))


@kind("weight rounded to int8")
def quantised(subject: Subject) -> Iterator[Site]:
    """One step of 1/127 of the largest element."""
    for place, operand, node, array in subject.layers():
        if array.any():
            yield Site(title(node), _change(place, operand, array, _to_int8))


def _to_int8(array: Array) -> Array:
    step = np.abs(array).max() / 127
    rounded: Array = (np.round(array / step) * step).astype(array.dtype)
    return rounded


@kind("bias dropped")
def bias_dropped(subject: Subject) -> Iterator[Site]:
    """Nothing is added."""
    for place, operand, node, array in subject.biases():
        yield Site(title(node), _change(place, operand, array, np.zeros_like))


@kind("bias of the neighbouring channel")
def bias_rolled(subject: Subject) -> Iterator[Site]:
    """Each channel takes the bias of the one before."""
    for place, operand, node, array in subject.biases():
        change = partial(np.roll, shift=1, axis=int(np.argmax(array.shape)))
        yield Site(title(node), _change(place, operand, array, change))


@kind("BatchNormalization statistics of the wrong channel")
def wrong_statistics(subject: Subject) -> Iterator[Site]:
    """Means or variances of the neighbouring channels."""
    for place, node in subject.nodes("BatchNormalization"):
        for operand, name in _BN_STATISTICS.items():
            array = subject.floats(node, operand)
            if array is not None and array.size > 1:
                edit = _change(place, operand, array, partial(np.roll, shift=1))
                yield Site(f"{title(node)}, {name}", edit)


@kind("two constants of one node exchanged")
def operands_exchanged(subject: Subject) -> Iterator[Site]:
    """Scale for bias, mean for variance: constants of the same shape."""
    for place, node in subject.nodes():
        arrays = {
            operand: array
            for operand in range(len(node.input))
            if (array := subject.floats(node, operand)) is not None and array.size > 1
        }
        for first, second in combinations(arrays, 2):
            if arrays[first].shape == arrays[second].shape:
                yield Site(title(node), exchange_inputs(place, first, second))


@kind("weights of two layers exchanged")
def layers_exchanged(subject: Subject) -> Iterator[Site]:
    """Two layers of the same type whose weights have the same shape."""
    alike: dict[tuple[str, int, tuple[int, ...]], list[tuple[int, str]]] = {}
    for place, operand, node, array in subject.layers():
        key = node.op_type, operand, array.shape
        alike.setdefault(key, []).append((place, node.input[operand]))
    for (op_type, operand, shape), members in alike.items():
        for (first, one), (second, two) in pairwise(members):
            if one != two:
                edit = partial(_exchange_layers, places=(first, second), operand=operand)
                yield Site(f"{op_type} {list(shape)}: {one} and {two}", edit)


def _exchange_layers(draft: Draft, places: tuple[int, int], operand: int) -> str:
    first, second = (draft.node(place).input for place in places)
    first[operand], second[operand] = second[operand], first[operand]
    return ""


@kind("gates of a recurrence exchanged")
def gates_exchanged(subject: Subject) -> Iterator[Site]:
    """Two gates change places in the weights of the input, or of the state."""
    for place, node in subject.nodes(*_GATES):
        for operand in (1, 2):
            array = subject.floats(node, operand)
            if array is not None:
                gates = _GATES[node.op_type]
                edit = partial(
                    _exchange_gates, place=place, operand=operand, array=array, gates=gates
                )
                yield Site(f"{title(node)}, operand {operand}", edit)


def _exchange_gates(draft: Draft, place: int, operand: int, array: Array, gates: int) -> str:
    first, second, order = draft.exchanged(gates)
    blocks = array.reshape(array.shape[0], gates, -1, array.shape[2])[:, order]
    draft.give(place, operand, blocks.reshape(array.shape))
    return f"gates {first} and {second}"


@kind("directions of a recurrence exchanged")
def directions_exchanged(subject: Subject) -> Iterator[Site]:
    """Weights of the way there for the way back, of the input or of the state."""
    for place, node in subject.nodes(*_GATES, "RNN"):
        for operand in (1, 2):
            array = subject.floats(node, operand)
            if array is not None and len(array) == 2:
                edit = _change(place, operand, array, np.flipud)
                yield Site(f"{title(node)}, operand {operand}", edit)


@kind("embedding rows off by one")
def rows_rolled(subject: Subject) -> Iterator[Site]:
    """Each index is given what belongs to the one before."""
    for place, name, array in _tables(subject):
        yield Site(name, _change(place, 0, array, partial(np.roll, shift=1, axis=0)))


@kind("one embedding row wrong")
def one_row(subject: Subject) -> Iterator[Site]:
    """One index is given what belongs to another one."""
    for place, name, array in _tables(subject):
        yield Site(name, partial(_wrong_row, place=place, array=array))


def _wrong_row(draft: Draft, place: int, array: Array) -> str:
    first, second = draft.two_of(len(array))
    other = array.copy()
    other[first] = array[second]
    draft.give(place, 0, other)
    return f"row {second} in place of {first}, of {len(array)}"


def _tables(subject: Subject) -> Iterator[tuple[int, str, Array]]:
    for place, node in subject.nodes("Gather"):
        array = subject.floats(node, 0)
        if array is not None and array.ndim == 2 and len(array) > 1:
            yield place, title(node), array
