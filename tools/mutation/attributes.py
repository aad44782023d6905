"""Faults of what operators do: padding, axes, activations, small constants, precision."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import onnx
from mutation.edits import give
from mutation.subject import Array, Draft, Edit, Site, Subject, attribute, kind, title
from onnx import helper

_EPSILONS = (
    "BatchNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "GroupNormalization",
    "RMSNormalization",
)
_ACTIVATIONS = (
    "Relu",
    "LeakyRelu",
    "Elu",
    "Sigmoid",
    "HardSigmoid",
    "HardSwish",
    "Tanh",
    "Erf",
    "Softplus",
    "Gelu",
    "Clip",
)
_OTHER: dict[str, tuple[str, dict[str, float]]] = {
    "Relu": ("LeakyRelu", {"alpha": 0.01}),
    "Sigmoid": ("HardSigmoid", {"alpha": 1 / 6}),
    "Tanh": ("Softsign", {}),
    "Erf": ("Tanh", {}),
    "HardSwish": ("Relu", {}),
}
_MAXIMA = {"ReduceMean": "ReduceMax", "GlobalAveragePool": "GlobalMaxPool"}
_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_FALSE_EPSILON = 1e-3
_FLOAT16_MAX = 65504.0
_MASKED = -1e4
"""What is added where attention must not look is less."""


def _set(place: int, **attributes: Any) -> Edit:
    def edit(draft: Draft) -> str:
        draft.set(place, **attributes)
        return ", ".join(f"{name}={value}" for name, value in attributes.items())

    return edit


def _become(place: int, op_type: str, **attributes: Any) -> Edit:
    def edit(draft: Draft) -> str:
        draft.become(place, op_type, **attributes)
        return f"became {op_type}"

    return edit


@kind("padding moved by one, shape intact")
def padding(subject: Subject) -> Iterator[Site]:
    """One less in front, one more behind, or the other way round."""
    for place, node in subject.nodes("Conv", "MaxPool", "AveragePool"):
        pads = list(attribute(node, "pads", []))
        spatial = len(pads) // 2
        for axis in range(spatial):
            for less, more in ((axis, axis + spatial), (axis + spatial, axis)):
                if pads[less] > 0 and pads[more] >= 0:
                    moved = list(pads)
                    moved[less], moved[more] = pads[less] - 1, pads[more] + 1
                    yield Site(f"{title(node)}, {pads}", _set(place, pads=moved))


@kind("dilation one larger, padding made to fit")
def dilation(subject: Subject) -> Iterator[Site]:
    """The kernel looks further, the output keeps its size."""
    for place, node in subject.nodes("Conv"):
        shape = subject.shape(node.input[1])[2:] or _kernel(subject, node)
        if attribute(node, "auto_pad", b"NOTSET") == b"NOTSET" and max(shape, default=1) > 1:
            rank = len(shape)
            dilations = list(attribute(node, "dilations", [1] * rank))
            pads = list(attribute(node, "pads", [0] * 2 * rank))
            pads = [p + (k - 1 + side) // 2 for side in (0, 1) for p, k in _half(pads, shape, side)]
            wider = [d + 1 for d in dilations]
            yield Site(title(node), _set(place, dilations=wider, pads=pads))


def _kernel(subject: Subject, node: onnx.NodeProto) -> tuple[int, ...]:
    array = subject.constant(node, 1)
    return () if array is None else array.shape[2:]


def _half(pads: Sequence[int], kernel: Sequence[int], side: int) -> list[tuple[int, int]]:
    """The pads in front, or behind, each with the size of the kernel."""
    rank = len(kernel)
    return list(zip(pads[side * rank : (side + 1) * rank], kernel, strict=True))


@kind("epsilon of another framework")
def epsilon(subject: Subject) -> Iterator[Site]:
    """1e-3 below the root of a variance."""
    for place, node in subject.nodes(*_EPSILONS):
        before = attribute(node, "epsilon", 1e-5)
        if before < _FALSE_EPSILON:
            yield Site(f"{title(node)}, {before:.2g}", _set(place, epsilon=_FALSE_EPSILON))
    roots = {node.input[0] for _, node in subject.nodes("Sqrt")}
    for place, node in subject.nodes("Add"):
        for operand in (0, 1) if node.output[0] in roots else ():
            array = subject.floats(node, operand)
            if array is not None and array.size == 1 and 0 < array.item() < _FALSE_EPSILON:
                other = np.full_like(array, _FALSE_EPSILON)
                yield Site(f"{title(node)}, {array.item():.2g}", give(place, operand, other))


@kind("activation left out")
def no_activation(subject: Subject) -> Iterator[Site]:
    """What comes in goes out."""
    for place, node in subject.nodes(*_ACTIVATIONS):
        yield Site(title(node), _become(place, "Identity"))


@kind("activation of another kind")
def other_activation(subject: Subject) -> Iterator[Site]:
    """A leaky one for a sharp one, a hard one for a soft one."""
    for place, node in subject.nodes(*_OTHER):
        op_type, attributes = _OTHER[node.op_type]
        yield Site(title(node), _become(place, op_type, **attributes))


@kind("bound of a Clip changed")
def clip_bound(subject: Subject) -> Iterator[Site]:
    """A tenth less."""
    for place, node in subject.nodes("Clip"):
        for operand in (1, 2):
            array = subject.floats(node, operand)
            if array is not None and array.item() != 0 and abs(array.item()) < 1e30:
                other = (array * array.dtype.type(0.9)).astype(array.dtype)
                yield Site(f"{title(node)}, {array.item():g}", give(place, operand, other))


@kind("Softmax over the axis before")
def softmax_axis(subject: Subject) -> Iterator[Site]:
    """Weights that sum to one the wrong way round."""
    for place, node in subject.nodes("Softmax", "LogSoftmax"):
        rank = len(subject.shape(node.output[0]))
        if rank > 1:
            axis = attribute(node, "axis", -1) % rank
            yield Site(title(node), _set(place, axis=(axis - 1) % rank))


@kind("axes of a Transpose exchanged")
def permutation(subject: Subject) -> Iterator[Site]:
    """Two axes of the same size, or any two in front of a Reshape."""
    reshaped = {node.input[0] for _, node in subject.nodes("Reshape")}
    for place, node in subject.nodes("Transpose"):
        shape = subject.shape(node.output[0])
        perm = list(attribute(node, "perm", range(len(shape))[::-1]))
        for first, second in combinations(range(len(shape)), 2):
            same = shape[first] == shape[second] > 1
            if same or (node.output[0] in reshaped and min(shape[first], shape[second]) > 1):
                other = list(perm)
                other[first], other[second] = perm[second], perm[first]
                yield Site(f"{title(node)} of {list(shape)}, {perm}", _set(place, perm=other))


@kind("average replaced by maximum")
def maximum(subject: Subject) -> Iterator[Site]:
    """Over the same axes."""
    for place, node in subject.nodes(*_MAXIMA):
        yield Site(title(node), partial(_retype, place=place, op_type=_MAXIMA[node.op_type]))


def _retype(draft: Draft, place: int, op_type: str) -> str:
    draft.node(place).op_type = op_type
    return f"became {op_type}"


@kind("padding counted in the average")
def counted_padding(subject: Subject) -> Iterator[Site]:
    """Or no longer counted."""
    for place, node in subject.nodes("AveragePool"):
        if any(attribute(node, "pads", [])):
            counted = int(attribute(node, "count_include_pad", 0))
            yield Site(title(node), _set(place, count_include_pad=1 - counted))


@kind("interpolation of another kind")
def interpolation(subject: Subject) -> Iterator[Site]:
    """Nearest for linear, or the other way round."""
    for place, node in subject.nodes("Resize"):
        mode = b"linear" if attribute(node, "mode", b"nearest") == b"nearest" else b"nearest"
        yield Site(title(node), _set(place, mode=mode))


@kind("depth and space rearranged the other way")
def depth_to_space(subject: Subject) -> Iterator[Site]:
    """Columns first, or rows first."""
    for place, node in subject.nodes("DepthToSpace"):
        mode = b"CRD" if attribute(node, "mode", b"DCR") == b"DCR" else b"DCR"
        yield Site(title(node), _set(place, mode=mode))


@kind("comparison off by one")
def comparison(subject: Subject) -> Iterator[Site]:
    """Less or equal for less, and the like."""
    pairs = ("Less", "LessOrEqual"), ("Greater", "GreaterOrEqual")
    other = {a: b for pair in pairs for a, b in (pair, pair[::-1])}
    for place, node in subject.nodes(*other):
        yield Site(title(node), partial(_retype, place=place, op_type=other[node.op_type]))


@kind("mask shifted by one")
def mask(subject: Subject) -> Iterator[Site]:
    """A causal or local mask that starts one place too late."""
    for place, node in subject.nodes("Where", "And", "Add"):
        for operand in (0, 1) if node.op_type != "Where" else (0,):
            array = subject.constant(node, operand)
            if array is not None and array.ndim and _is_mask(array):
                other = np.roll(array, 1, axis=-1 if array.shape[-1] > 1 else -2)
                yield Site(title(node), give(place, operand, other))
    for place, node in subject.nodes("Trilu"):
        below = subject.constant(node, 1)
        if below is not None:
            yield Site(title(node), give(place, 1, below + 1))


def _is_mask(array: Array) -> bool:
    if max(array.shape[-2:]) < 2 or (array == array.flat[0]).all():
        return False
    return array.dtype == np.bool_ or (array.dtype.kind == "f" and bool((array < _MASKED).any()))


@kind("attention scale of the pruned size")
def attention_scale(subject: Subject) -> Iterator[Site]:
    """A root of a size, computed anew from 7/10 of that size, in front of a Softmax."""
    near = _in_front_of_softmax(subject)
    for place, node in subject.nodes("Mul", "Div"):
        for operand in (0, 1) if node.output[0] in near else ():
            array = subject.floats(node, operand)
            factor = _of_pruned_size(array.item()) if array is not None and array.size == 1 else 1.0
            if array is not None and factor != 1.0:
                other = (array * array.dtype.type(factor)).astype(array.dtype)
                yield Site(f"{title(node)}, {array.item():.4g}", give(place, operand, other))


def _in_front_of_softmax(subject: Subject, steps: int = 6) -> set[str]:
    near = {node.input[0] for _, node in subject.nodes("Softmax")}
    for _ in range(steps):
        nodes = (node for _, node in subject.nodes() if near.intersection(node.output))
        near |= {name for node in nodes for name in node.input if subject.is_float(name)}
    return near


def _of_pruned_size(value: float) -> float:
    """By what a scale changes, if it is a root of a whole number; else 1."""
    for power in (2, -2, 4, -4):
        size = abs(value) ** power if value else 0.0
        if 4 <= size <= 4096 and abs(size - round(size)) < 1e-3 * size:
            return float((round(0.7 * size) / size) ** (1 / power))
    return 1.0


@kind("mean divided by the original's size")
def divisor(subject: Subject) -> Iterator[Site]:
    """The sum over what is left is divided by what there was."""
    for _, node in subject.nodes("ReduceMean"):
        now, before = (
            seen.shapes.get(node.input[0], ()) for seen in (subject.seen, subject.before)
        )
        axes = _reduced_axes(subject, node, len(now))
        share = np.prod([now[a] / before[a] for a in axes]) if len(now) == len(before) else 1.0
        if share != 1.0:
            edit = partial(_scale, name=node.output[0], factor=float(share))
            yield Site(f"{title(node)}, {share:.3g}", edit)


def _reduced_axes(subject: Subject, node: onnx.NodeProto, rank: int) -> list[int]:
    given = subject.constant(node, 1)
    axes = given.tolist() if given is not None else attribute(node, "axes", range(rank))
    return [axis % rank for axis in axes] if rank else []


def _scale(draft: Draft, name: str, factor: float) -> str:
    constant = draft.constant(np.array(factor, np.float32))
    draft.wrap(name, lambda inner, outer: [helper.make_node("Mul", [inner, constant], [outer])])
    return ""


@kind("a tensor overflows float16")
def overflow(subject: Subject) -> Iterator[Site]:
    """It goes through float16 in a unit in which its largest element is twice what fits."""
    for _, node in subject.nodes(*_LAYERS):
        peak = subject.seen.peaks.get(node.output[0], 0.0)
        if peak > 0 and subject.seen.dtypes[node.output[0]] == np.float32:
            unit = 2 * _FLOAT16_MAX / peak
            edit = partial(_through_float16, name=node.output[0], unit=unit)
            yield Site(title(node), edit)


@kind("a tensor rounded to float16")
def rounding(subject: Subject) -> Iterator[Site]:
    """There and back again."""
    for _, node in subject.nodes(*_LAYERS):
        if subject.seen.dtypes.get(node.output[0]) == np.float32:
            yield Site(title(node), partial(_through_float16, name=node.output[0], unit=1.0))


def _through_float16(draft: Draft, name: str, unit: float) -> str:
    names = [draft.constant(np.array(factor, np.float32)) for factor in (unit, 1 / unit)]

    def build(inner: str, outer: str) -> list[onnx.NodeProto]:
        steps = [f"{outer}::{step}" for step in ("scaled", "narrow", "wide")]
        return [
            helper.make_node("Mul", [inner, names[0]], [steps[0]]),
            helper.make_node("Cast", [steps[0]], [steps[1]], to=onnx.TensorProto.FLOAT16),
            helper.make_node("Cast", [steps[1]], [steps[2]], to=onnx.TensorProto.FLOAT),
            helper.make_node("Mul", [steps[2], names[1]], [outer]),
        ]

    draft.wrap(name, build)
    return f"times {unit:.3g}"
