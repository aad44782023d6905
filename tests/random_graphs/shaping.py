"""Moving axes about, in the ways in which exporters write it, at any opset."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod

import numpy as np

from tests.random_graphs.builder import Network, Operand, Size, Tensor

Axes = list[tuple[str, ...]]


def transpose(net: Network, x: Tensor, *order: int) -> Tensor:
    y = net.op("Transpose", (x.shape[i] for i in order), x, perm=list(order))
    return y.at(order.index(x.axis))


def channels_last(net: Network, x: Tensor) -> Tensor:
    order = [i for i in range(x.rank) if i != x.axis]
    return x if x.axis == x.rank - 1 else transpose(net, x, *order, x.axis)


def channels_at(net: Network, x: Tensor, axis: int) -> Tensor:
    order = [i for i in range(x.rank) if i != x.axis]
    order.insert(axis, x.axis)
    return x if x.axis == axis else transpose(net, x, *order)


# Sizes that the graph computes.


def size_of(net: Network, x: Tensor, axis: int) -> Tensor:
    """The size of an axis, as a list of one number."""
    style = net.choose("index", "scalar", "range", "slice")
    if style == "range" and net.opset >= 15:
        return net.op("Shape", (1,), x, start=axis, end=axis + 1)
    sizes = net.op("Shape", (x.rank,), x)
    if style == "slice":
        return slice_(net, sizes, 0, axis, axis + 1)
    if style == "index":
        return net.op("Gather", (1,), sizes, net.ints(axis), axis=0)
    one = net.op("Gather", (), sizes, net.index(axis), axis=0)
    return unsqueeze(net, one, 0)


def count_of(net: Network, x: Tensor, axis: int) -> Tensor:
    """The size of an axis as a single number."""
    return net.op("Gather", (), net.op("Shape", (x.rank,), x), net.index(axis), axis=0)


def sizes_like(net: Network, x: Tensor, shape: Sequence[int]) -> Operand:
    """A shape as an input: sizes that `x` has on the same axis may be read off it."""
    dynamic = any(isinstance(size, Size) for size in shape)
    if not dynamic and net.flag():
        return net.ints(*shape)
    parts: list[Operand] = []
    for axis, size in enumerate(shape):
        same = axis < x.rank and x.shape[axis] == size
        computed = same and (isinstance(size, Size) or net.rarely())
        parts.append(size_of(net, x, axis) if computed else net.ints(size))
    return net.op("Concat", (len(shape),), *parts, axis=0)


# Reshapes.


def rearrange(net: Network, x: Tensor, pattern: str, **sizes: int) -> Tensor:
    """Split, transpose and merge axes, in the notation of einops; `*s` are any number of axes.

    The channels of the result lie on the axis that holds `c`.
    """
    left, _, right = pattern.partition("->")
    stars = x.rank - len(_words(left)) + 1
    before, after = _named(left, stars), _named(right, stars)
    names = [name for group in before for name in group]
    wanted = [name for group in after for name in group]
    y = _parted(net, x, before, sizes)
    if names != wanted:
        y = transpose(net, y, *(names.index(name) for name in wanted))
    y = _merged(net, y, after)
    channels = next((i for i, group in enumerate(after) if "c" in group), None)
    return y if channels is None else y.at(channels)


def _words(side: str) -> list[str]:
    return re.findall(r"\([^)]*\)|\S+", side)


def _named(side: str, stars: int) -> Axes:
    axes: Axes = []
    for word in _words(side.replace("*s", " ".join(f"s{i}" for i in range(stars)))):
        names = tuple(word.strip("()").split())
        axes.append(() if names == ("1",) else names)
    return axes


def _parted(net: Network, x: Tensor, groups: Axes, known: dict[str, int]) -> Tensor:
    """Each axis apart into its factors; at most one factor of an axis is not known."""
    sizes: list[int] = []
    sources: list[tuple[int, int] | None] = []
    for axis, names in enumerate(groups):
        divisor = prod(known.get(name, 1) for name in names)
        assert not isinstance(divisor, Size), "only the input's axes tell dynamic sizes"
        for name in names:
            sizes.append(known[name] if name in known else x.shape[axis] // divisor)
            sources.append(None if name in known else (axis, divisor))
    if all(len(names) == 1 for names in groups):
        return x
    ones = [axis for axis, names in enumerate(groups) if not names]
    if ones and all(len(names) < 2 for names in groups) and net.flag():
        return squeeze(net, x, *ones)
    target = [
        _Entry(n, () if s is None else (s[0],), 1 if s is None else s[1])
        for n, s in zip(sizes, sources, strict=True)
    ]
    return _reshape(net, x, target)


def _merged(net: Network, x: Tensor, groups: Axes) -> Tensor:
    if all(len(names) == 1 for names in groups):
        return x
    ones = [axis for axis, names in enumerate(groups) if not names]
    if ones and all(len(names) < 2 for names in groups) and net.flag():
        return unsqueeze(net, x, *ones)
    place = 0
    target: list[_Entry] = []
    for names in groups:
        axes = tuple(range(place, place + len(names)))
        size = x.shape[axes[0]] if axes else 1
        for axis in axes[1:]:
            size = size * x.shape[axis]
        target.append(_Entry(size, axes))
        place += len(names)
    if len(groups) == 2 and len(groups[0]) == 1 and net.flag():
        return net.op("Flatten", (entry.size for entry in target), x, axis=1)
    return _reshape(net, x, target)


class _Entry:
    """One size of a target shape: the product of axes of the input, divided."""

    def __init__(self, size: int, axes: tuple[int, ...], divisor: int = 1) -> None:
        self.size = size
        self.axes = axes
        self.divisor = divisor

    def copies(self, place: int) -> bool:
        return self.axes == (place,) and self.divisor == 1


def _reshape(net: Network, x: Tensor, target: list[_Entry]) -> Tensor:
    shape = [entry.size for entry in target]
    plain = _plain_target(net, target)
    if plain is not None and not net.rarely():
        return net.op("Reshape", shape, x, net.ints(*plain))
    return net.op("Reshape", shape, x, _computed_target(net, x, target))


def _plain_target(net: Network, target: list[_Entry]) -> list[int] | None:
    """The target as constants, with 0 and -1 where they must stand or may; None if they cannot."""
    plain: list[int] = []
    for place, entry in enumerate(target):
        dynamic = isinstance(entry.size, Size)
        if entry.copies(place) and (net.flag() or (dynamic and -1 in plain)):
            plain.append(0)
        elif -1 not in plain and (dynamic or net.rarely()):
            plain.append(-1)
        elif dynamic:
            return None
        else:
            plain.append(entry.size)
    return plain


def _computed_target(net: Network, x: Tensor, target: list[_Entry]) -> Tensor:
    parts: list[Operand] = []
    rest = net.number(0, len(target))  # the place of a -1, if there is one
    for place, entry in enumerate(target):
        if place == rest and len(target) > 1:
            parts.append(net.ints(-1))
        elif entry.axes and (isinstance(entry.size, Size) or net.flag()):
            parts.append(_computed_size(net, x, entry))
        else:
            parts.append(net.ints(entry.size))
    return net.op("Concat", (len(target),), *parts, axis=0)


def _computed_size(net: Network, x: Tensor, entry: _Entry) -> Tensor:
    size = size_of(net, x, entry.axes[0])
    for axis in entry.axes[1:]:
        size = net.op("Mul", (1,), size, size_of(net, x, axis))
    return size if entry.divisor == 1 else net.op("Div", (1,), size, net.ints(entry.divisor))


# Axes of size 1.


def squeeze(net: Network, x: Tensor, *axes: int) -> Tensor:
    shape = [n for i, n in enumerate(x.shape) if i not in axes]
    if net.opset >= 13:
        y = net.op("Squeeze", shape, x, net.ints(*axes))
    else:
        y = net.op("Squeeze", shape, x, axes=list(axes))
    return y.at(x.axis - sum(axis < x.axis for axis in axes))


def unsqueeze(net: Network, x: Tensor, *axes: int) -> Tensor:
    """New axes of size 1, at these places of the result."""
    sizes = iter(x.shape)
    shape = [1 if i in axes else next(sizes) for i in range(x.rank + len(axes))]
    if net.opset >= 13:
        y = net.op("Unsqueeze", shape, x, net.ints(*axes))
    else:
        y = net.op("Unsqueeze", shape, x, axes=list(axes))
    kept = [i for i in range(len(shape)) if i not in axes]
    return y.at(kept[x.axis]) if x.shape else y


# Segments.


def split(net: Network, x: Tensor, axis: int, sizes: Sequence[int]) -> list[Tensor]:
    shapes = [x.sized(axis, size) for size in sizes]
    equal = len(set(sizes)) == 1
    counted = axis - x.rank if net.flag() and net.opset >= 11 else axis
    if net.opset >= 18 and net.flag():
        count = len(sizes)
        uneven = -(-x.shape[axis] // count)
        if all(size == uneven for size in sizes[:-1]) and 0 < sizes[-1] <= uneven:
            return net.ops("Split", shapes, x, axis=counted, num_outputs=count)
    elif equal and net.opset < 18 and net.flag():
        return net.ops("Split", shapes, x, axis=counted)
    if net.opset >= 13:
        return net.ops("Split", shapes, x, net.ints(*sizes), axis=counted)
    return net.ops("Split", shapes, x, axis=counted, split=list(sizes))


def parts(net: Network, x: Tensor, axis: int, sizes: Sequence[int]) -> list[Tensor]:
    """Segments of an axis, by Split or by slices."""
    if net.flag():
        return split(net, x, axis, sizes)
    ends = np.cumsum(sizes).tolist()
    return [slice_(net, x, axis, e - n, e) for e, n in zip(ends, sizes, strict=True)]


def slice_(net: Network, x: Tensor, axis: int, start: int, stop: int, step: int = 1) -> Tensor:
    """Elements from `start` to `stop`; a negative `stop` is the very front."""
    size = x.shape[axis]
    count = len(range(start, stop, step))
    if isinstance(size, Size) and stop == size:
        shape = x.sized(axis, Size(count))
    else:
        shape = x.sized(axis, count)
    end = stop if stop >= 0 else -(2**31)
    if stop == size and net.flag():
        end = 2**31 - 1
    elif step == 1 and stop < size and not isinstance(size, Size) and net.rarely():
        end = stop - size
    if net.opset < 10:
        return net.op("Slice", shape, x, starts=[start], ends=[end], axes=[axis])
    bounds = [net.ints(v) for v in (start, end, axis - x.rank if net.flag() else axis)]
    return net.op("Slice", shape, x, *bounds, *[net.ints(step)] * (step != 1 or net.flag()))


def sliced_to(net: Network, x: Tensor, axis: int, like: Tensor, like_axis: int) -> Tensor:
    """As much of `x` as `like` is long; one element where an opset has no way to say so."""
    size = like.shape[like_axis]
    if net.opset < 10:
        bound = 1 if isinstance(size, Size) else size
        return slice_(net, x, axis, 0, bound)
    end = size_of(net, like, like_axis)
    return net.op("Slice", x.sized(axis, size), x, net.ints(0), end, net.ints(axis))


def concat(net: Network, parts_: Sequence[Tensor], axis: int) -> Tensor:
    first = parts_[0]
    total = first.shape[axis]
    for part in parts_[1:]:
        total = total + part.shape[axis]
    counted = axis - first.rank if net.flag() and net.opset >= 11 else axis
    return net.op("Concat", first.sized(axis, total), *parts_, axis=counted)


def pick(net: Network, x: Tensor, axis: int, index: int) -> Tensor:
    """One index of an axis, which goes away."""
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    counted = index - x.shape[axis] if net.rarely() and net.opset >= 11 else index
    y = net.op("Gather", shape, x, net.index(counted), axis=axis)
    return y.at(max(x.axis - (axis < x.axis), 0))


def pad(net: Network, x: Tensor, before: Sequence[int], after: Sequence[int]) -> Tensor:
    shape = [b + n + a for b, n, a in zip(before, x.shape, after, strict=True)]
    if net.opset < 11:
        return net.op("Pad", shape, x, pads=[*before, *after])
    moved = [i for i in range(x.rank) if before[i] or after[i]]
    if net.opset >= 18 and moved and net.flag():
        amounts = net.ints(*(before[i] for i in moved), *(after[i] for i in moved))
        return net.op("Pad", shape, x, amounts, "", net.ints(*moved))
    return net.op("Pad", shape, x, net.ints(*before, *after))


def expand(net: Network, x: Tensor, shape: Sequence[int], like: Tensor) -> Tensor:
    """Repeat axes of size 1; sizes may be read off `like`, whose axes are the result's."""
    if net.opset < 8:
        zero = net.op("Mul", like.shape, like, net.scalar(0.0))
        return net.op("Add", shape, x, zero)
    return net.op("Expand", shape, x, sizes_like(net, like, shape))


def reduce_(net: Network, kind: str, x: Tensor, axes: Sequence[int], keep: bool = True) -> Tensor:
    shape = [1 if i in axes else n for i, n in enumerate(x.shape) if keep or i not in axes]
    counted = [i - x.rank if net.rarely() and net.opset >= 11 else i for i in axes]
    if net.opset >= (13 if kind == "ReduceSum" else 18):
        y = net.op(kind, shape, x, net.ints(*counted), keepdims=int(keep))
    else:
        y = net.op(kind, shape, x, axes=counted, keepdims=int(keep))
    gone = 0 if keep else sum(axis < x.axis for axis in axes)
    return y.at(min(x.axis - gone, max(y.rank - 1, 0)))
