"""Operators as affine maps: rows times matrix is what ONNX Runtime gives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from onnxprune.axes import Keeps
from onnxprune.coupling.analysis import analyse
from onnxprune.ir.canonical import canonicalise
from onnxprune.ops.affine import Linear, Scaling, linear_form, scaling_form
from onnxprune.verify.sessions import session_of
from tests.texts import Weight, f32, model_of

Array = npt.NDArray[Any]
NOTHING: Keeps = {}

LINEAR = [
    ("Conv<pads=[1,1,1,1]>", [2, 4, 7, 6], (6, 4, 3, 3), True),
    ("Conv<strides=[2,1], pads=[0,1,2,0]>", [2, 4, 8, 7], (6, 4, 3, 2), True),
    ("Conv<dilations=[2,3], group=2>", [2, 4, 9, 9], (6, 2, 3, 3), False),
    ("Conv<group=4, pads=[1,1,1,1]>", [3, 4, 5, 5], (4, 1, 3, 3), True),
    ('Conv<auto_pad="SAME_UPPER", strides=[2,2]>', [2, 3, 7, 8], (5, 3, 4, 3), True),
    ('Conv<auto_pad="SAME_LOWER", strides=[3,2]>', [2, 3, 7, 8], (5, 3, 4, 3), True),
    ('Conv<auto_pad="VALID">', [2, 3, 7, 8], (5, 3, 4, 3), True),
    ("Conv<pads=[2,1], strides=[3]>", [2, 3, 11], (5, 3, 4), True),
    ("Conv<pads=[1,0,1,1,2,0]>", [2, 3, 4, 5, 4], (5, 3, 2, 3, 2), True),
    ("ConvTranspose", [2, 4, 5, 4], (4, 3, 3, 2), True),
    ("ConvTranspose<strides=[2,3], pads=[1,0,0,1]>", [2, 4, 5, 4], (4, 3, 3, 4), True),
    ("ConvTranspose<strides=[2,2], output_padding=[1,0]>", [2, 4, 3, 4], (4, 3, 3, 3), False),
    ("ConvTranspose<group=2, dilations=[2,1]>", [2, 4, 5, 4], (4, 3, 3, 2), True),
    ('ConvTranspose<auto_pad="SAME_UPPER", strides=[2,2]>', [2, 4, 5, 4], (4, 3, 3, 3), True),
    ('ConvTranspose<auto_pad="SAME_LOWER", strides=[2,2]>', [2, 4, 5, 4], (4, 3, 3, 3), True),
    ("ConvTranspose<strides=[3], pads=[4,4]>", [2, 4, 6], (4, 3, 2), True),
    ("MatMul", [2, 3, 5], (5, 4), False),
    ("MatMul", [3, 5], (5, 4), False),
    ("com.microsoft.FusedMatMul<alpha=2.0>", [2, 3, 5], (5, 4), False),
    ("com.microsoft.FusedMatMul<transB=1, alpha=0.5>", [2, 3, 5], (4, 5), False),
    ("Gemm", [3, 5], (5, 4), True),
    ("Gemm<transA=1, transB=1, alpha=0.5, beta=2.0>", [5, 3], (4, 5), True),
]  # fmt: skip


def _made(
    operator: str, shape: list[int], weights: dict[str, Weight]
) -> tuple[Any, Array, Array, dict[str, Array]]:
    """A node's site, an input, and what ONNX Runtime gives."""
    name, _, attributes = operator.partition("<")
    head = f"{name}<{attributes}" if attributes else name
    dims, operands = ",".join(map(str, shape)), ", ".join(["x", *weights])
    model = model_of(
        '<ir_version: 8, opset_import: ["": 21, "com.microsoft": 1]>'
        f"g (float[{dims}] x) => (float y) {{ r = {head}({operands})  y = Identity(r) }}",
        weights,
    )
    analysis = analyse(canonicalise(model))
    x = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    with session_of(model) as session:
        y = session.run({"x": x})["y"]
    constants = {name: tensor.numpy() for name, tensor in model.constants.items()}
    return analysis.placed[0].site, x, y, constants


@pytest.mark.parametrize(("operator", "shape", "weight", "biased"), LINEAR)
def test_rows_times_matrix_is_the_result(
    operator: str, shape: list[int], weight: tuple[int, ...], biased: bool
) -> None:
    groups = 2 if "group=2" in operator else 1
    channels = {"Conv": weight[0], "ConvTranspose": weight[1] * groups}
    size = channels.get(operator.partition("<")[0], 4)
    bias: dict[str, Weight] = {"b": (size,)} if biased else {}
    site, x, y, constants = _made(operator, shape, {"w": weight, **bias})
    form = linear_form(site, NOTHING)
    assert isinstance(form, Linear)
    flat = np.moveaxis(y, form.axis, -1).reshape(-1, y.shape[form.axis])
    places = np.random.default_rng(4).permutation(len(flat))[: len(flat) // 2 + 1]
    rows = form.rows(x, weight, y.shape, places)
    matrix = form.matrix(constants["w"])
    result = np.concatenate(list(rows @ matrix), axis=1)
    shift = constants["b"] * form.bias_scale if biased else 0.0
    np.testing.assert_allclose(result + shift, flat[places], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(form.restored(matrix, weight), constants["w"])


SCALING: list[tuple[str, list[int], dict[str, Weight], Scaling | None]] = [
    ("BatchNormalization", [2, 4, 3], {"s": (4,), "b": (4,), "m": (4,), "v": f32(np.ones(4))},
     Scaling(1, 2, 1, (3, 4), 1e-5)),
    ("InstanceNormalization", [2, 4, 3], {"s": (4,), "b": (4,)}, Scaling(1, 2, 1)),
    ("GroupNormalization<num_groups=2>", [2, 4, 3], {"s": (4,), "b": (4,)}, Scaling(1, 2, 1)),
    ("LayerNormalization", [2, 3, 4], {"s": (4,), "b": (4,)}, Scaling(1, 2, 2)),
    ("LayerNormalization", [2, 3, 4], {"s": (4,)}, Scaling(1, None, 2)),
    ("LayerNormalization<axis=1>", [2, 3, 4], {"s": (3, 4), "b": (3, 4)}, None),
    ("SimplifiedLayerNormalization<axis=-1>", [2, 3, 4], {"s": (4,)}, Scaling(1, None, 2)),
    ("com.microsoft.SkipLayerNormalization", [2, 3, 4], {"x2": (2, 3, 4), "s": (4,), "b": (4,)},
     Scaling(2, 3, 2)),
    ("com.microsoft.SkipSimplifiedLayerNormalization", [2, 3, 4], {"x2": (2, 3, 4), "s": (4,)},
     Scaling(2, None, 2)),
    ("Add", [2, 3, 4], {"b": (4,)}, Scaling(None, 1, 2)),
    ("Add", [2, 3, 4], {"b": (1, 3, 1)}, Scaling(None, 1, 1)),
    ("Add", [2, 3, 4], {"b": (3, 4)}, None),
    ("Add", [2, 3, 4], {"b": (1,)}, None),
    ("Add", [2, 3, 1], {"b": (4,)}, Scaling(None, 1, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("operator", "shape", "weights", "expected"), SCALING)
def test_scalings_are_found(
    operator: str, shape: list[int], weights: dict[str, Weight], expected: Scaling | None
) -> None:
    site, _, y, constants = _made(operator, shape, weights)
    form = scaling_form(site)
    if expected is None or form is None:
        assert form is expected
        return
    assert replace(form, epsilon=expected.epsilon) == expected
    names = list(weights)
    factor = np.arange(1.0, y.shape[form.axis] + 1, dtype=np.float32)
    changed = dict(constants)
    for place in (form.scale, form.bias):
        if place is not None:
            name = names[place - 1]
            shaped = factor.reshape(constants[name].shape)
            changed[name] = constants[name] * shaped if form.scale else constants[name] + shaped
    _, _, other, _ = _made(operator, shape, dict(changed))
    along = factor.reshape([-1 if axis == form.axis else 1 for axis in range(y.ndim)])
    if form.scale is not None:
        assert np.allclose(other, y * along, atol=1e-4)
    else:
        assert np.allclose(other, y + along, atol=1e-4)


@pytest.mark.parametrize(
    "text",
    [
        "MatMul(x, x)",  # no constant
        "Gemm(x, w, c)",  # a bias for each row
        "Add(x, x)",
        "Mul(x, w)",
        "com.microsoft.FusedMatMul<transA = 1>(x, w)",
        'com.microsoft.FusedGemm<activation = "Relu">(x, w)',
    ],
)
def test_what_is_no_affine_map_is_left_alone(text: str) -> None:
    weights: dict[str, Weight] = {"w": (4, 4), "c": (4, 4)}
    model = model_of(
        '<ir_version: 8, opset_import: ["": 17, "com.microsoft": 1]>'
        f"g (float[4,4] x) => (float[4,4] y) {{ y = {text} }}",
        weights,
    )
    site = analyse(canonicalise(model)).placed[0].site
    assert linear_form(site, NOTHING) is None
    assert scaling_form(site) is None
