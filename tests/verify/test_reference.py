"""The masked reference: original shapes, removed indices hidden, statistics counted anew."""

from __future__ import annotations

import numpy as np
import pytest

import onnxprune as op
from onnxprune.axes import tensor_mask
from onnxprune.coupling.axis_plan import AxisPlan
from onnxprune.ir.bindings import input_shapes
from onnxprune.ir.probe import with_outputs
from onnxprune.ir.shapes import interpret
from onnxprune.verify.reference import masked_reference
from onnxprune.verify.sessions import session_of
from tests.texts import Weight, model_of

IMAGE = "g (float[2,3,5,4] x) => (float[2,6,5,4] y)"


@pytest.mark.parametrize(
    ("middle", "weights", "opset"),
    [
        ("n = InstanceNormalization(h, s, b)", {"s": (12,), "b": (12,)}, 17),
        ("n = GroupNormalization<num_groups=3>(h, s, b)", {"s": (12,), "b": (12,)}, 21),
        (
            """t = Transpose<perm=[0,2,3,1]>(h)
            l = LayerNormalization<axis=-1>(t, s, b)
            n = Transpose<perm=[0,3,1,2]>(l)""",
            {"s": (12,), "b": (12,)},
            17,
        ),
        ("n = Softmax<axis=1>(h)", {}, 17),
        ("n = LogSoftmax<axis=1>(h)", {}, 17),
        ("m = ReduceMean<axes=[1]>(h)  n = Sub(h, m)", {}, 17),
        ("m = ReduceMax<axes=[1]>(h)  n = Sub(h, m)", {}, 17),
        ("m = ReduceMin<axes=[1]>(h)  n = Sub(h, m)", {}, 17),
        ("m = ReduceSum(h, one)  n = Mul(h, m)", {"one": np.array([1])}, 17),
        ("m = ReduceL2<axes=[1]>(h)  n = Div(h, m)", {}, 17),
        ("m = ReduceLogSumExp<axes=[1]>(h)  n = Sub(h, m)", {}, 17),
        ("m = ReduceProd<axes=[1]>(h)  n = Mul(h, m)", {}, 17),
    ],
)
def test_statistics_over_a_pruned_axis(middle: str, weights: dict[str, Weight], opset: int) -> None:
    text = f"{IMAGE} {{ h = Conv(x, w1, c) {middle} y = Conv(n, w2) }}"
    model = model_of(
        text, {"w1": (12, 3, 1, 1), "c": (12,), "w2": (6, 12, 1, 1), **weights}, opset=opset
    )
    result = op.prune(model, 0.34, round_to=1)
    assert result.is_pruned
    assert result.model.constants["w1"].shape[0] < 12
    verdict = result.verify()
    assert verdict.compared == verdict.reacting


@pytest.mark.parametrize("op_type", ["Softmax", "LogSoftmax", "ReduceLogSumExp", "ReduceMax"])
def test_what_is_left_of_a_row_may_all_be_infinite(op_type: str) -> None:
    """A softmax over nothing but minus infinities is no number, and so it is in the reference."""
    axis = "axes=[1]" if "Reduce" in op_type else "axis=1"
    model = model_of(
        f"""g (float[2,3] x) => (float[2,8] y, float[2,5] z) {{
            h = MatMul(x, w1)  a = Add(h, mask)  n = {op_type} <{axis}> (a)  y = Add(n, wide)
            z = MatMul(h, w2)
        }}""",
        {
            "w1": (3, 8),
            "w2": (8, 5),
            "mask": np.array([0, 0, *[-np.inf] * 6], np.float32),
            "wide": np.zeros((2, 1 if "Soft" in op_type else 8), np.float32),
        },
    )
    left: AxisPlan = (2, 3, 4, 5)
    kept = {"w1": {1: left}, "mask": {0: left}, "w2": {0: left}}
    result = op.apply_plan(
        op.Plan(model.sha256, kept, allow_io=("y:1",) if "Soft" in op_type else ()), model
    )
    assert result.is_pruned
    assert result.verify().passed


@pytest.mark.parametrize("op_type", ["Div", "Mod"])
def test_integers_are_not_divided_by_what_is_hidden(op_type: str) -> None:
    """ONNX Runtime stops at a division of integers by 0."""
    model = model_of(
        f"""g (float[2,3] x) => (float[2,5] y) {{
            h = MatMul(x, w1)  i = Cast <to = 7> (h)
            a = Abs(i)  d = Add(a, one)  q = {op_type}(i, d)
            f = Cast <to = 1> (q)  s = Add(f, h)  y = MatMul(s, w2)
        }}""",
        {"w1": (3, 8), "w2": (8, 5), "one": np.array([1])},
    )
    result = op.prune(model, 0.5, round_to=1)
    assert result.is_pruned
    assert result.verify().passed


def test_shapes_stay_and_removed_indices_are_zero() -> None:
    model = model_of(
        f"{IMAGE} {{ h = Conv(x, w1, b) r = Sigmoid(h) y = Conv(r, w2) }}",
        {"w1": (8, 3, 1, 1), "b": (8,), "w2": (6, 8, 1, 1)},
    )
    result = op.prune(model, 0.5, round_to=1)
    removal = result.removals[0]
    reference = masked_reference(removal.analysis, removal.keeps)
    facts = interpret(reference.proto, input_shapes(reference.proto))
    for name, shape in removal.analysis.canonical.facts.shapes.items():
        assert facts.shapes[name] == shape
    for name, tensor in removal.analysis.canonical.model.constants.items():
        assert np.array_equal(reference.constants[name].numpy(), tensor.numpy())
    kept = result.plan.initializers["w1"][0]
    assert isinstance(kept, tuple)
    with session_of(with_outputs(reference, ["r"], facts.elem_types)) as session:
        hidden = session.run(result.feeds()[0])["r"]
    gone = [index for index in range(8) if index not in kept]
    assert (
        np.take(hidden, gone, axis=1) == 0
    ).all()  # Sigmoid of 0 is 0.5: the mask stands behind it
    assert (np.take(hidden, kept, axis=1) != 0).all()


def test_masks_have_size_one_along_whole_axes() -> None:
    model = model_of(
        f"{IMAGE} {{ h = Conv(x, w1) y = Conv(h, w2) }}", {"w1": (8, 3, 1, 1), "w2": (6, 8, 1, 1)}
    )
    removal = op.prune(model, 0.5, round_to=1).removals[0]
    mask = tensor_mask(removal.analysis.values["h"].dims, removal.keeps)
    assert mask is not None
    assert mask.shape == (1, 8, 1, 1)
    assert mask.sum() == 4
    assert tensor_mask(removal.analysis.values["y"].dims, removal.keeps) is None


def test_ragged_selection_of_a_grouped_convolution() -> None:
    model = model_of(
        f"{IMAGE} {{ a = Conv(x, w0) h = Conv<group=3>(a, w1) y = Conv(h, w2) }}",
        {"w0": (12, 3, 1, 1), "w1": (15, 4, 1, 1), "w2": (6, 15, 1, 1)},
    )
    result = op.prune(model, 0.4, round_to=1)
    keeps = result.removals[0].keeps.values()
    ragged = [keep.mask for keep in keeps if keep.over is not None]
    assert ragged
    assert any((mask != mask[0]).any() for mask in ragged)
    assert result.verify().passed
