"""Networks to make sparse, and what is looked at afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.pipelines.result import Result
from tests.texts import Weight, f32

Array = npt.NDArray[Any]

NET = """g (float[n,3,9,9] x) => (float[n,10] y) {
    a = Conv<pads=[1,1,1,1]>(x, k, kb)  b = BatchNormalization(a, s, t, m, v)  c = Relu(b)
    d = Conv<pads=[1,1,1,1], strides=[2,2], group=2>(c, l, lb)  e = Relu(d)
    f = GlobalAveragePool(e)  g = Flatten(f)  y = Gemm<transB=1>(g, h, hb)
}"""
WEIGHTS: dict[str, Weight] = {
    "k": (16, 3, 3, 3),
    "kb": (16,),
    "s": (16,),
    "t": (16,),
    "m": (16,),
    "v": f32(np.full(16, 0.5)),
    "l": (20, 8, 3, 3),
    "lb": (20,),
    "h": (10, 20),
    "hb": (10,),
}
SIZES = {"k": 432, "l": 1440, "h": 200}
"""Of the weights that may become zero."""

PRODUCTS: dict[str, tuple[str, dict[str, Weight], int, int]] = {
    "matmul": ("g (float[n,16] x) => (float[n,8] y) { y = MatMul(x, w) }", {"w": (16, 8)}, 0, 1),
    "gemm": ("g (float[n,16] x) => (float[n,8] y) { y = Gemm(x, w, b) }",
             {"w": (16, 8), "b": (8,)}, 0, 1),
    "turned": ("g (float[n,16] x) => (float[n,8] y) { y = Gemm<transB=1>(x, w, b) }",
               {"w": (8, 16), "b": (8,)}, 1, 1),
    "both turned and scaled": (
        """g (float[16,5] x) => (float[5,8] y) {
            y = Gemm<transA=1, transB=1, alpha=0.3, beta=-2.0>(x, w, b)
        }""", {"w": (8, 16), "b": (8,)}, 1, 1),
    "conv": ("g (float[n,16,7,7] x) => (float[n,6,3,3] y) { y = Conv<strides=[2,2]>(x, w, b) }",
             {"w": (6, 16, 3, 3), "b": (6,)}, 1, 1),
    "line": ("g (float[n,16,9] x) => (float[n,6,5] y) { y = Conv<dilations=[2]>(x, w) }",
             {"w": (6, 16, 3)}, 1, 1),
    "volume": ("g (float[n,8,3,3,3] x) => (float[n,6,2,2,2] y) { y = Conv(x, w) }",
               {"w": (6, 8, 2, 2, 2)}, 1, 1),
    "groups": ("""g (float[n,16,7,7] x) => (float[n,6,4,3] y) {
            y = Conv<group=2, pads=[1,0,0,0], strides=[2,2]>(x, w)
        }""", {"w": (6, 8, 2, 3)}, 1, 1),
    "transposed": ("""g (float[n,16,5,5] x) => (float[n,6,10,10] y) {
            y = ConvTranspose<strides=[2,2]>(x, w, b)
        }""", {"w": (16, 6, 2, 2), "b": (6,)}, 0, 1),
    "transposed groups": ("""g (float[n,16,5] x) => (float[n,6,11] y) {
            y = ConvTranspose<group=2, strides=[2]>(x, w)
        }""", {"w": (16, 3, 3)}, 0, 2),
}  # fmt: skip
"""A product of each kind: its text, its weights, the axis that it sums over, its groups."""


def zeros(result: Result, name: str) -> int:
    return int((result.model.constants[name].numpy() == 0).sum())


def assert_others_untouched(result: Result, names: Mapping[str, Any]) -> None:
    """All but these is the same, and what stays of these is."""
    old, new = result.original.constants, result.model.constants
    assert old.keys() == new.keys()
    for name in old:
        before, after = old[name].numpy(), new[name].numpy()
        assert before.dtype == after.dtype
        same = before == after
        assert same[after != 0].all() if name in names else same.all()


def rows_of(array: Array, channels_axis: int, groups: int = 1) -> Array:
    """What a layer sums over for each output and tap, as rows."""
    parts = np.split(array, groups, axis=channels_axis)
    return np.concatenate([np.moveaxis(p, channels_axis, -1).reshape(-1, p.shape[channels_axis])
                           for p in parts])  # fmt: skip
