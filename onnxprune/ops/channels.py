"""What operators do to the values of channels: bounds, and which are the same up to a factor.

An abstract interpretation, one axis of each tensor: intervals (R. Moore, "Interval Analysis", 1966)
and value numbers (B. Alpern, M. Wegman, F. Zadeck, "Detecting Equality of Variables in Programs",
POPL 1988), where a number stands for a function of the model's inputs. What an operator does that
this does not know of is taken to be anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.ops.affine import Linear, by_tap, linear_form
from onnxprune.ops.elementwise import ELEMENTWISE
from onnxprune.ops.numbering import ONE, Channels, Numbers, made
from onnxprune.ops.site import Site, Value
from onnxprune.ops.weighted import bounds_of_sums, multiples, settled

Array = npt.NDArray[Any]
Evaluate = Callable[[Sequence[Array]], list[Array]]
RISES = frozenset(
    [
        "Atan",
        "Celu",
        "Clip",
        "Elu",
        "Erf",
        "Exp",
        "HardSigmoid",
        "LeakyRelu",
        "Relu",
        "Selu",
        "Sigmoid",
        "Sign",
        "Softplus",
        "Softsign",
        "Tanh",
        "ThresholdedRelu",
    ]
)
"""Operators that never fall where their first input rises, with the attributes that exporters
write."""
HOMOGENEOUS = frozenset(["LeakyRelu", "Relu"])
"""Operators that give a positive multiple of what they give, for that multiple of their input."""
POOLS = frozenset(
    ["AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "ReduceMax", "ReduceMean"]
)
"""Operators that give something between the smallest and the largest of what a place reads, for
each channel by itself; they are homogeneous, too."""
_DIGITS = 6
"""Factors that agree in so many digits are taken to be equal."""
_LARGEST = 1 << 16
"""Constants of more elements are no scales or biases."""


class ChannelRules:
    """Learns, operator by operator, what is known of the values that they make.

    Attributes:
        known: what is known of each value.
    """

    def __init__(
        self, elements: Callable[[Value], Array | None], is_float: Callable[[Value], bool]
    ) -> None:
        """Begin with a graph.

        Args:
            elements: float64 elements of a constant of floats; None for other values.
            is_float: whether a value holds floats.
        """
        self._elements = elements
        self._is_float = is_float
        self._numbers = Numbers()
        self.known: dict[str, Channels] = {}

    def visit(self, place: int, site: Site, evaluate: Evaluate) -> None:
        """Learn of an operator, those before it in the graph first.

        Args:
            place: a number that no other operator has.
            site: the operator.
            evaluate: what it gives for arrays.
        """
        found = self._results(place, site, evaluate)
        for value, channels in zip(site.outputs, found, strict=False):
            if channels is not None and value is not None:
                self.known[value.name] = channels

    def _results(self, place: int, site: Site, evaluate: Evaluate) -> Iterator[Channels | None]:
        if not site.outputs or site.outputs[0] is None:
            return
        values = [value for value in site.inputs if value is not None]
        if not values or all(value.constant for value in values):
            return
        form = linear_form(site, {})
        op = site.op_type
        if form is not None:
            yield self._linear(form, site)
        elif self._passes(site):
            yield self.known.get(site.x().name)
        elif op == "BatchNormalization" and not site.attribute("training_mode", 0):
            yield self._batch_norm(site)
        elif op in ("Add", "Sub", "Mul", "Div") and len(values) == 2:
            yield self._arithmetic(op, values[0], values[1], site.y())
        elif op in ELEMENTWISE:
            yield self._elementwise(site, values, evaluate)
        elif op in POOLS:
            yield self._pool(place, site)
        else:
            yield from self._moved(place, site, values)

    def unknown(self, value: Value, axis: int) -> Channels:
        """Channels of which nothing is known: each is a function of its own."""
        size = value.shape[axis]
        found = Channels(
            axis,
            self._numbers.fresh(size),
            np.ones(size),
            np.full(size, -np.inf),
            np.full(size, np.inf),
        )
        return self.known.setdefault(value.name, found)

    def _at(self, value: Value, axis: int) -> Channels:
        """What is known of an axis of a value."""
        found = self.known.get(value.name)
        if found is None:
            return self.unknown(value, axis)
        if found.axis == axis:
            return found
        size = value.shape[axis]  # all indices lie within the bounds of the other axis
        low, high = np.full(size, found.low.min()), np.full(size, found.high.max())
        return made(axis, self._numbers.fresh(size), np.ones(size), low, high)

    def _passes(self, site: Site) -> bool:
        """Whether an operator gives what it reads: a Dropout in inference, a Cast of floats."""
        if site.op_type == "Cast":
            return self._is_float(site.x()) and self._is_float(site.y())
        return site.op_type == "Identity" or (site.op_type == "Dropout" and not site.has(2))

    def _data(self, value: Value) -> Array | None:
        """The elements of a small constant."""
        return self._elements(value) if prod(value.shape) <= _LARGEST else None

    def _aligned(self, values: Sequence[Value], y: Value) -> tuple[int, list[Channels]] | None:
        """The operands of an elementwise operator, seen along one axis of the result."""
        rank = len(y.shape)
        axes = [
            self.known[value.name].axis + rank - len(value.shape)
            for value in values
            if value.name in self.known and value.shape
        ]
        if not axes:
            return None
        axis = max(set(axes), key=axes.count)
        found: list[Channels] = []
        for value in values:
            mine = axis - rank + len(value.shape)
            if value.constant:
                data = self._data(value)
                if data is None:
                    return None
                found.append(self._of_constant(data, mine, y.shape[axis]))
            elif mine >= 0 and value.shape[mine] == y.shape[axis]:
                found.append(self._at(value, mine))
            else:
                return None
        return axis, found

    def _of_constant(self, data: Array, axis: int, size: int) -> Channels:
        if axis < 0 or data.shape[axis] == 1:
            low, high = np.full(size, data.min()), np.full(size, data.max())
        else:
            rows = np.moveaxis(data, axis, 0).reshape(size, -1)
            low, high = rows.min(axis=1), rows.max(axis=1)
        return made(axis, self._numbers.fresh(size), np.ones(size), low, high)

    def _arithmetic(self, op: str, a: Value, b: Value, y: Value) -> Channels | None:
        aligned = self._aligned((a, b), y)
        if aligned is None:
            return None
        axis, (one, two) = aligned
        return self._combined(op, axis, one, two)

    def _combined(self, op: str, axis: int, a: Channels, b: Channels) -> Channels:
        with np.errstate(all="ignore"):
            if op in ("Add", "Sub"):
                sign = 1.0 if op == "Add" else -1.0
                ends = (b.low, b.high) if op == "Add" else (-b.high, -b.low)
                low, high = a.low + ends[0], a.high + ends[1]
                share = sign * b.factor / a.factor
                same = a.number == b.number
                number = self._numbers.of_rows(
                    ["Add"] * len(low), a.number, b.number, _rounded(share)
                )
                number = np.where(same, a.number, number)
                factor = np.where(same, a.factor + sign * b.factor, a.factor)
                # what adds nothing changes nothing
                for this, other, scale in ((a, b, 1.0), (b, a, sign)):
                    nothing = other.constant & (other.factor == 0)
                    number = np.where(nothing, this.number, number)
                    factor = np.where(nothing, scale * this.factor, factor)
            else:
                b = _inverse(b) if op == "Div" else b
                sides = np.stack([a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high])
                low, high = sides.min(axis=0), sides.max(axis=0)
                pair = np.minimum(a.number, b.number), np.maximum(a.number, b.number)
                number = self._numbers.of_rows(["Mul"] * len(low), *pair)
                for this, other in ((a, b), (b, a)):
                    number = np.where(other.constant, this.number, number)
                factor = a.factor * b.factor
                zero = (a.constant & (a.factor == 0)) | (b.constant & (b.factor == 0))
                low, high = np.where(zero, 0.0, low), np.where(zero, 0.0, high)
        low, high = settled(low, -np.inf), settled(high, np.inf)
        return made(axis, number, factor, low, high)

    def _batch_norm(self, site: Site) -> Channels | None:
        given = [self._data(value) for value in site.inputs[1:5] if value is not None]
        if len(given) < 4 or any(array is None for array in given):
            return None
        scale, bias, mean, variance = (np.asarray(array) for array in given)
        gain = scale / np.sqrt(variance + site.attribute("epsilon", 1e-5))
        x = self._at(site.x(), 1)
        scaled = self._combined("Mul", 1, x, self._of_constant(gain, 0, len(gain)))
        shift = self._of_constant(bias - mean * gain, 0, len(gain))
        return self._combined("Add", 1, scaled, shift)

    def _elementwise(self, site: Site, values: list[Value], evaluate: Evaluate) -> Channels | None:
        op = site.op_type
        aligned = self._aligned(values, site.y())
        if aligned is None:
            return None
        axis, states = aligned
        size = site.y().shape[axis]
        numbers = [state.number for state in states]
        factors = [state.factor for state in states]
        rises = op in RISES and min(site.attribute(n, 0.0) for n in ("alpha", "gamma")) >= 0
        low, high = np.full(size, -np.inf), np.full(size, np.inf)
        ends = (
            (_evaluated(evaluate, [state.low for state in states]) if rises else None),
            (_evaluated(evaluate, [state.high for state in states]) if rises else None),
        )
        fixed = np.all([state.constant for state in states], axis=0)
        exact = _evaluated(evaluate, factors) if fixed.any() else None
        if ends[0] is not None and ends[1] is not None:
            low, high = settled(ends[0], -np.inf), settled(ends[1], np.inf)
        if exact is not None:
            low, high = np.where(fixed, exact, low), np.where(fixed, exact, high)
        if op in HOMOGENEOUS:
            sign = np.sign(factors[0])
            number = self._numbers.of_rows(
                [op] * size, [str(site.attributes)] * size, numbers[0], sign
            )
            return made(axis, number, np.abs(factors[0]), low, high)
        keys = [
            column
            for number, factor in zip(numbers, factors, strict=True)
            for column in (number, _rounded(factor))
        ]
        number = self._numbers.of_rows([op] * size, [str(site.attributes)] * size, *keys)
        return made(axis, number, np.ones(size), low, high)

    def _pool(self, place: int, site: Site) -> Channels | None:
        known = self.known.get(site.x().name)
        axis = known.axis if known is not None else -1
        if known is None or site.y().shape[axis : axis + 1] != site.x().shape[axis : axis + 1]:
            return None
        reduced = site.ints("axes") or site.int_list(1) or []
        if axis in [site.axis(a, len(site.x().shape)) for a in reduced]:
            return None
        if len(site.y().shape) < len(site.x().shape):
            return None
        low, high = known.low, known.high
        if site.attribute("count_include_pad", 0):
            low, high = np.minimum(low, 0), np.maximum(high, 0)
        size = len(low)
        sign = np.sign(known.factor)
        number = self._numbers.of_rows([site.op_type] * size, [place] * size, known.number, sign)
        return made(axis, number, np.abs(known.factor), low, high)

    def _moved(self, place: int, site: Site, values: list[Value]) -> Iterator[Channels | None]:
        op, y = site.op_type, site.y()
        if op == "Concat":
            axis = site.axis(site.attribute("axis", 0), len(y.shape))
            parts = [
                self._of_constant(data, axis, value.shape[axis])
                if value.constant and (data := self._data(value)) is not None
                else self._at(value, axis)
                for value in values
            ]
            names = ("number", "factor", "low", "high")
            yield Channels(axis, *(np.concatenate([getattr(p, n) for p in parts]) for n in names))
            return
        known = self.known.get(site.x().name)
        if known is None:
            return
        if op == "Transpose":
            order = site.ints("perm") or list(range(len(y.shape)))[::-1]
            yield known.along(order.index(known.axis), self._elsewhere(place, known))
        elif op in ("Reshape", "Flatten", "Squeeze", "Unsqueeze"):
            moved = known.along(known.axis, self._elsewhere(place, known))
            yield self._reshaped(moved, site.x().shape, y.shape)
        elif op == "Split":
            start = 0
            for index, out in enumerate(site.outputs):
                if out is None:
                    return
                size = out.shape[known.axis]
                if size == y.shape[known.axis] == len(known.low):
                    number = self._numbers.of_rows([place] * size, [index] * size, known.number)
                    yield known.along(known.axis, number)
                else:
                    yield known.taken(np.arange(start, start + size))
                start += size

    def _elsewhere(self, place: int, known: Channels) -> Array:
        """Numbers for the same channels with their other axes in another order."""
        return self._numbers.of_rows(
            ["moved"] * len(known.low), [place] * len(known.low), known.number
        )

    def _reshaped(
        self, known: Channels, before: Sequence[int], after: Sequence[int]
    ) -> Channels | None:
        """An axis that stays, or takes those behind it in."""
        behind = int(np.prod(before[known.axis + 1 :]))
        size = len(known.low)
        for axis in range(len(after)):
            rest = int(np.prod(after[axis + 1 :]))
            if after[axis] == size and rest == behind:
                return known.along(axis)
            times = behind // max(rest, 1)
            if times > 1 and after[axis] == size * times and rest * times == behind:
                wide = known.taken(np.repeat(np.arange(size), times))
                inner = np.tile(np.arange(times), size)
                number = self._numbers.of_rows(["at"] * len(inner), wide.number, inner)
                return wide.along(axis, number)
        return None

    def _linear(self, form: Linear, site: Site) -> Channels:
        x = self._at(site.x(), form.inner)
        weight = self._elements(site.x(form.weight))
        y, size = site.y(), site.y().shape[form.axis]
        if weight is None:
            return self.unknown(y, form.axis)
        matrix = form.matrix(weight)
        bias = np.zeros(size)
        if form.bias is not None and site.has(form.bias):
            data = self._data(site.x(form.bias))
            if data is None:
                return self.unknown(y, form.axis)
            bias = np.broadcast_to(data.reshape(-1) * form.bias_scale, (size,))
        low, high = (x.low, x.high) if form.whole else (np.minimum(x.low, 0), np.maximum(x.high, 0))
        ends = bounds_of_sums(matrix, by_tap(low, matrix), by_tap(high, matrix))
        numbers, factors = by_tap(x.number, matrix), by_tap(x.factor, matrix)
        if not form.whole:  # a border tells a constant from its padding
            numbers = np.where(numbers == ONE, -1, numbers)
        weighed = matrix * factors[:, :, None]
        first, factor = multiples(weighed, numbers, len(x.number), bias)
        number = self._numbers.fresh(size)[first]
        return made(form.axis, number, factor, ends[0] + bias, ends[1] + bias)


def _evaluated(evaluate: Evaluate, feeds: list[Array]) -> Array | None:
    """What an elementwise operator gives for channels."""
    results = evaluate(feeds)
    fits = bool(results) and results[0].shape == feeds[0].shape
    return np.asarray(results[0], dtype=np.float64) if fits else None


def _inverse(b: Channels) -> Channels:
    """One over channels, where they are constant."""
    known = b.constant & (b.factor != 0)
    value = np.where(known, 1 / np.where(known, b.factor, 1.0), 1.0)
    ends = np.where(known, value, -np.inf), np.where(known, value, np.inf)
    return Channels(
        b.axis, np.where(known, ONE, -1 - b.number), np.where(known, value, 1 / b.factor), *ends
    )


def _rounded(factors: Array) -> list[str]:
    """Factors as keys."""
    return [f"{factor:.{_DIGITS}e}" for factor in factors.tolist()]
