"""Builds networks step by step from random choices; see `random_graphs`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper

OPSETS = (12, 13, 17, 18, 20, 21)
WIDTHS = (4, 5, 6, 7, 8, 9, 10, 12, 14, 15, 16, 18)


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value of the network, with its shape at the batch size that it was made for."""

    name: str
    shape: tuple[int, ...]

    @property
    def channels(self) -> int:
        """Size of axis 1."""
        return self.shape[1]


class Network:
    """Builds a graph step by step; every choice is drawn from hypothesis."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw
        self.opset: int = self.choose(*OPSETS)
        self.dynamic: bool = self.flag()
        self._rng = np.random.default_rng(self.number(0, 999))
        self._nodes: list[onnx.NodeProto] = []
        self._made = 0
        self._weights: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._shared: dict[tuple[int, ...], str] = {}
        self.share_vectors: bool = self.flag()

    # Choices.

    def choose(self, *options: Any) -> Any:
        return self._draw(st.sampled_from(options))

    def number(self, low: int, high: int) -> int:
        return int(self._draw(st.integers(low, high)))

    def flag(self) -> bool:
        return bool(self._draw(st.booleans()))

    def width(self) -> int:
        return int(self.choose(*WIDTHS))

    # Pieces of a graph.

    def input(self, *shape: int, kind: int = TensorProto.FLOAT) -> Tensor:
        name = f"input{len(self._inputs)}"
        declared: list[Any] = ["batch" if self.dynamic else shape[0], *shape[1:]]
        self._inputs.append(helper.make_tensor_value_info(name, kind, declared))
        return Tensor(name, shape)

    def constant(self, array: npt.NDArray[Any]) -> str:
        name = f"c{len(self._weights)}"
        self._weights.append(onnx.numpy_helper.from_array(array, name))
        return name

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, dtype=np.int64))

    def weight(self, *shape: int, fan: int = 0) -> str:
        scale = 1.5 / np.sqrt(fan or prod(shape[1:]) or 1)
        return self.constant((self._rng.standard_normal(shape) * scale).astype(np.float32))

    def vector(self, *shape: int, low: float = -0.5, high: float = 0.5) -> str:
        """A bias or scale; exporters merge those that are equal."""
        if self.share_vectors:
            key = (*shape, int(low * 100))
            if key not in self._shared:
                filled = np.full(shape, (low + high) / 2 + 0.1, dtype=np.float32)
                self._shared[key] = self.constant(filled)
            return self._shared[key]
        return self.constant(self._rng.uniform(low, high, shape).astype(np.float32))

    def op(
        self, kind: str, shape: Iterable[int], *inputs: Tensor | str, **attributes: Any
    ) -> Tensor:
        return self.ops(kind, [shape], *inputs, **attributes)[0]

    def ops(
        self, kind: str, shapes: Iterable[Iterable[int]], *inputs: Tensor | str, **attributes: Any
    ) -> list[Tensor]:
        place, self._made = self._made, self._made + 1
        made = [Tensor(f"v{place}_{i}", tuple(shape)) for i, shape in enumerate(shapes)]
        names = [x.name if isinstance(x, Tensor) else x for x in inputs]
        node = helper.make_node(
            kind, names, [t.name for t in made], name=f"{kind}_{place}", **attributes
        )
        self._nodes.append(node)
        return made

    def unary(self, x: Tensor, kind: str = "", **attributes: Any) -> Tensor:
        return self.op(
            kind or self.choose("Relu", "Sigmoid", "Tanh", "LeakyRelu"), x.shape, x, **attributes
        )

    def binary(self, kind: str, x: Tensor, y: Tensor | str) -> Tensor:
        other = y.shape if isinstance(y, Tensor) else ()
        shape = np.broadcast_shapes(x.shape, other)
        return self.op(kind, shape, *((x, y) if self.flag() or kind in "SubDiv" else (y, x)))

    def transpose(self, x: Tensor, *order: int) -> Tensor:
        return self.op("Transpose", (x.shape[i] for i in order), x, perm=list(order))

    def reshape(self, x: Tensor, *shape: int) -> Tensor:
        """To a shape that keeps the batch axis; the target is written as exporters write it."""
        style = self.choose("minus", "zero", "computed")
        if style == "computed":
            sizes = self.op("Shape", (len(x.shape),), x)
            batch = self.op("Gather", (1,), sizes, self.ints(0))
            rest = self.ints(*shape[1:])
            target = self.op("Concat", (len(shape),), batch, rest, axis=0)
            return self.op("Reshape", shape, x, target)
        if style == "zero":
            last = -1 if self.flag() else tuple(shape)[-1]
            return self.op("Reshape", shape, x, self.ints(0, *shape[1:-1], last))
        return self.op("Reshape", shape, x, self.ints(-1, *shape[1:]))

    def reduce(self, kind: str, x: Tensor, axis: int, keep: bool = True) -> Tensor:
        axis %= len(x.shape)
        shape = [1 if i == axis else n for i, n in enumerate(x.shape) if keep or i != axis]
        since = 13 if kind == "ReduceSum" else 18
        if self.opset >= since:
            return self.op(kind, shape, x, self.ints(axis), keepdims=int(keep))
        return self.op(kind, shape, x, axes=[axis], keepdims=int(keep))

    def squeeze(self, x: Tensor, axis: int) -> Tensor:
        shape = x.shape[:axis] + x.shape[axis + 1 :]
        if self.opset >= 13:
            return self.op("Squeeze", shape, x, self.ints(axis))
        return self.op("Squeeze", shape, x, axes=[axis])

    def split(self, x: Tensor, axis: int, sizes: list[int]) -> list[Tensor]:
        shapes = [(*x.shape[:axis], size, *x.shape[axis + 1 :]) for size in sizes]
        if len(set(sizes)) == 1 and self.flag() and self.opset != 18 and self.opset < 18:
            return self.ops("Split", shapes, x, axis=axis)
        if self.opset >= 13:
            return self.ops("Split", shapes, x, self.ints(*sizes), axis=axis)
        return self.ops("Split", shapes, x, axis=axis, split=sizes)

    def slice(self, x: Tensor, axis: int, start: int, stop: int, step: int = 1) -> Tensor:
        """Elements from `start` to `stop`; a negative `stop` is the very front."""
        size = len(range(start, stop, step))
        shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
        end = stop if stop >= 0 else -(2**31)
        bounds = [self.ints(v) for v in (start, end, axis, step)]
        return self.op("Slice", shape, x, *bounds)

    def concat(self, parts: list[Tensor], axis: int) -> Tensor:
        first = parts[0].shape
        total = sum(part.shape[axis] for part in parts)
        return self.op("Concat", (*first[:axis], total, *first[axis + 1 :]), *parts, axis=axis)

    def conv(
        self,
        x: Tensor,
        out: int,
        *,
        size: int = 1,
        group: int = 1,
        stride: int = 1,
        kernel: str = "",
    ) -> Tensor:
        n, c, h, w = x.shape
        kernel = kernel or self.weight(out, c // group, size, size)
        bias = [self.vector(out)] if self.flag() else []
        pad = size // 2
        shape = (n, out, (h + 2 * pad - size) // stride + 1, (w + 2 * pad - size) // stride + 1)
        return self.op(
            "Conv",
            shape,
            x,
            kernel,
            *bias,
            group=group,
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=[pad] * 4,
        )

    def batch_norm(self, x: Tensor) -> Tensor:
        c = x.channels
        vectors = [self.vector(c, low=0.5, high=1.5), self.vector(c), self.vector(c)]
        return self.op(
            "BatchNormalization", x.shape, x, *vectors, self.vector(c, low=0.5, high=1.5)
        )

    def linear(self, x: Tensor, out: int) -> Tensor:
        """A matrix product over the last axis, in one of the ways that exporters write it."""
        c = x.shape[-1]
        shape = (*x.shape[:-1], out)
        if len(x.shape) == 2 and self.flag():
            transposed = self.flag()
            matrix = self.weight(out, c) if transposed else self.weight(c, out, fan=c)
            return self.op("Gemm", shape, x, matrix, self.vector(out), transB=int(transposed))
        if self.flag():
            stored = Tensor(self.weight(out, c), (out, c))
            y = self.op("MatMul", shape, x, self.transpose(stored, 1, 0))
        else:
            y = self.op("MatMul", shape, x, self.weight(c, out, fan=c))
        return self.binary("Add", y, self.vector(out)) if self.flag() else y

    def layer_norm(self, x: Tensor) -> Tensor:
        """Over the last axis: the operator, or what exporters make of it."""
        c = x.shape[-1]
        scale, bias = self.vector(c, low=0.5, high=1.5), self.vector(c)
        if self.opset >= 17 and self.flag():
            return self.op("LayerNormalization", x.shape, x, scale, bias, axis=-1)
        centred = x
        if self.flag():
            centred = self.op("Sub", x.shape, x, self.reduce("ReduceMean", x, -1))
        square = self.op("Mul", x.shape, centred, centred)
        variance = self.reduce("ReduceMean", square, -1)
        shifted = self.binary("Add", variance, self.constant(np.array(1e-3, dtype=np.float32)))
        y = self.op("Div", x.shape, centred, self.unary(shifted, "Sqrt"))
        y = self.binary("Mul", y, scale)
        return self.binary("Add", y, bias) if self.flag() else y

    # Control flow.

    def either(self, then: Callable[[], Tensor], otherwise: Callable[[], Tensor]) -> Tensor:
        """One of two blocks, as an input says; their values may have the same names."""
        flag = f"input{len(self._inputs)}"
        self._inputs.append(helper.make_tensor_value_info(flag, TensorProto.BOOL, []))
        start = self._made
        first, x = self._body("then", [], then)
        self._made, start = (start, self._made) if self.flag() else (self._made, start)
        second, y = self._body("else", [], otherwise)
        self._made = max(self._made, start)
        assert x.shape == y.shape
        return self.op("If", x.shape, flag, then_branch=first, else_branch=second)

    def loop(self, x: Tensor, trips: int, step: Callable[[Tensor], Tensor]) -> list[Tensor]:
        """A block that is repeated; what it came to, and all results on the way."""
        state = self._inner(x.shape)
        infos = [
            helper.make_tensor_value_info(f"{name}{state.name}", kind, [])
            for name, kind in (("i", TensorProto.INT64), ("on", TensorProto.BOOL))
        ]

        def body() -> list[Tensor]:
            going = self.op("Identity", (), Tensor(infos[1].name, ()))
            result = step(state)
            return [going, result, self.op("Neg", result.shape, result)]

        graph, *_ = self._body("loop", [*infos, self._info(state)], body)
        shapes = [x.shape, (trips, *x.shape)]
        count = self.constant(np.array(trips, dtype=np.int64))
        return self.ops("Loop", shapes, count, "", x, body=graph)

    def scan(
        self, start: Tensor, x: Tensor, step: Callable[[Tensor, Tensor], Tensor]
    ) -> list[Tensor]:
        """A cell over the second axis of `x`, N L C; its last state, and all of them."""
        n, length, c = x.shape
        state, part = self._inner(start.shape), self._inner((n, c))

        def body() -> list[Tensor]:
            result = step(state, part)
            return [result, self.op("Identity", result.shape, result)]

        graph, *_ = self._body("scan", [self._info(state), self._info(part)], body)
        shapes = [start.shape, (n, length, start.shape[1])]
        axes = {"scan_input_axes": [1], "scan_output_axes": [1]}
        return self.ops("Scan", shapes, start, x, body=graph, num_scan_inputs=1, **axes)

    def _inner(self, shape: Iterable[int]) -> Tensor:
        self._made += 1
        return Tensor(f"s{self._made}", tuple(shape))

    def _info(self, tensor: Tensor) -> onnx.ValueInfoProto:
        """A value inside a body, a scalar being a condition; Scan wants to know the rank."""
        kind = TensorProto.FLOAT if tensor.shape else TensorProto.BOOL
        return helper.make_tensor_value_info(tensor.name, kind, [None for _ in tensor.shape])

    def _body(
        self,
        name: str,
        inputs: list[onnx.ValueInfoProto],
        make: Callable[[], Tensor | list[Tensor]],
    ) -> tuple[onnx.GraphProto, Any]:
        """A graph of what `make` adds, with its results as outputs."""
        before = len(self._nodes)
        made = make()
        results = [made] if isinstance(made, Tensor) else made
        outputs = [self._info(tensor) for tensor in results]
        nodes = self._nodes[before:]
        del self._nodes[before:]
        return helper.make_graph(nodes, name, inputs, outputs), made

    def finish(self, *outputs: Tensor) -> onnx.ModelProto:
        infos: list[onnx.ValueInfoProto] = []
        for tensor in outputs:
            dims: list[Any] = ["batch" if self.dynamic else tensor.shape[0], *tensor.shape[1:]]
            infos.append(helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, dims))
        graph = helper.make_graph(self._nodes, "random", self._inputs, infos, self._weights)
        opsets = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        return onnx.shape_inference.infer_shapes(model) if self.flag() else model
