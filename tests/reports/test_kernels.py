"""Kernels of a profile find their layers, whatever ONNX Runtime calls them."""

import pytest

from onnxprune.coupling.analysis import analyse
from onnxprune.ir.canonical import canonicalise
from onnxprune.reports.kernels import layer_times
from tests.texts import model_of

TEXT = """g (float[1, 4, 8, 8] x) => (float[1, 4, 1, 1] y) {
    [first] a = Conv(x, w1)
    [act] b = Relu(a)
    [second] c = Conv(b, w2)
    [sum] d = Add(c, b)
    [pool] y = GlobalMaxPool(d)
}"""
MODEL = model_of(TEXT, {"w1": (4, 4, 1, 1), "w2": (4, 4, 1, 1)})
LAYERS = {"first": "Conv", "second": "Conv"}


@pytest.mark.parametrize(
    ("kernel", "operator", "layer"),
    [
        ("first", "Conv", "first"),
        ("a_nchwc", "Conv", "first"),
        ("b_nchwc", "Conv", "first"),
        ("fused first", "FusedConv", "first"),
        ("c_nchwc", "Conv", "second"),
        ("second/Something", "Gemm", "second"),
        ("act", "Relu", None),
        ("d_nchwc", "Conv", None),
        ("y_nchwc", "GlobalMaxPool", None),
        ("ReorderOutput_token_1", "ReorderOutput", None),
    ],
)
def test_a_kernel_and_its_layer(kernel: str, operator: str, layer: str | None) -> None:
    analysis = analyse(canonicalise(MODEL))
    found = layer_times(analysis, LAYERS, {(kernel, operator): 3.0})
    assert found == ({} if layer is None else {layer: 3.0})


def test_the_kernels_of_a_layer_add_up() -> None:
    analysis = analyse(canonicalise(MODEL))
    kernels = {("first", "Conv"): 3.0, ("b_nchwc", "Conv"): 2.0}
    assert layer_times(analysis, LAYERS, kernels) == {"first": 5.0}
