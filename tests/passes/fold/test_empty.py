"""A group pruned to nothing takes its branch with it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

import onnxprune as op
from onnxprune.coupling.axis_plan import AxisPlan
from onnxprune.errors import ModelError
from tests.texts import Weight, assert_valid, model_of, op_types

Axes = dict[str, dict[int, AxisPlan]]
IMAGE = "g (float[2,3,5,4] x) => (float[2,6,5,4] y)"
GONE: AxisPlan = ()


def folded(text: str, weights: dict[str, Weight], plan: Axes, opset: int = 17) -> op.Model:
    """The model that a plan leaves: valid, and equal to the masked reference."""
    model = model_of(text, weights, opset=opset)
    result = op.apply_plan(op.Plan(model.sha256, plan), model)
    assert result.verify().passed
    assert_valid(result.model)
    assert result.reports[2].modified
    return result.model


def test_concat_loses_the_branch() -> None:
    model = folded(
        f"{IMAGE} {{ a = Conv(x, w1, b1) r = Relu(a) b = Conv(x, w2) c = Conv(x, w4) "
        "j = Concat<axis=1>(r, b, c) y = Conv(j, w3) }",
        {"w1": (8, 3, 1, 1), "b1": (8,), "w2": (4, 3, 1, 1), "w4": (5, 3, 1, 1),
         "w3": (6, 17, 1, 1)},
        {"w1": {0: GONE}, "b1": {0: GONE}, "w3": {1: tuple(range(8, 17))}},
    )  # fmt: skip
    assert op_types(model) == ["Conv", "Conv", "Concat", "Conv"]
    assert list(model.constants) == ["w2", "w4", "w3"]


def test_concat_of_one_branch_is_that_branch() -> None:
    model = folded(
        f"{IMAGE} {{ a = Conv(x, w1) b = Conv(x, w2) j = Concat<axis=1>(a, b) y = Conv(j, w3) }}",
        {"w1": (8, 3, 1, 1), "w2": (4, 3, 1, 1), "w3": (6, 12, 1, 1)},
        {"w1": {0: GONE}, "w3": {1: (8, 9, 10, 11)}},
    )
    assert [list(node.input) for node in model.proto.graph.node] == [["x", "w2"], ["b", "w3"]]


RESIDUAL = (
    f"{IMAGE} {{ a = Conv(x, w1) r = Relu(a) b = Conv(r, w2%s) s = Conv(x, w0) z = Add(b, s) "
    "y = Conv(z, w3) }"
)
RESIDUAL_WEIGHTS: dict[str, Weight] = {
    "w1": (8, 3, 1, 1),
    "w2": (4, 8, 1, 1),
    "b2": (4,),
    "w0": (4, 3, 1, 1),
    "w3": (6, 4, 1, 1),
}
RESIDUAL_PLAN: Axes = {"w1": {0: GONE}, "w2": {1: GONE}}


def test_sum_of_nothing_is_its_bias() -> None:
    model = folded(RESIDUAL % ", b2", RESIDUAL_WEIGHTS, RESIDUAL_PLAN)
    assert op_types(model) == ["Conv", "Add", "Conv"]
    bias = next(t for name, t in model.constants.items() if name.endswith("::bias"))
    assert bias.shape == (1, 4, 1, 1)


def test_adding_nothing_is_an_identity() -> None:
    model = folded(RESIDUAL % "", RESIDUAL_WEIGHTS | {"unused": (1,)}, RESIDUAL_PLAN)
    assert op_types(model) == ["Conv", "Conv"]
    assert "unused" in model.constants


def test_gemm_and_batch_of_any_size() -> None:
    model = folded(
        "g (float[n,5] x) => (float[n,4] y) { a = Gemm(x, w1, b1) r = Relu(a) "
        "b = Gemm<beta=0.5>(r, w2, b2) s = MatMul(x, w0) z = Sub(s, b) y = MatMul(z, w3) }",
        {"w1": (5, 8), "b1": (8,), "w2": (8, 4), "b2": (4,), "w0": (5, 4), "w3": (4, 4)},
        {"w1": {1: GONE}, "b1": {0: GONE}, "w2": {0: GONE}},
    )
    assert op_types(model) == ["MatMul", "Sub", "MatMul"]


def test_gate_without_channels_is_a_constant() -> None:
    model = folded(
        "g (float[n,3,5,4] x) => (float[n,6,5,4] y) { a = Conv(x, w1) p = GlobalAveragePool(a) "
        "q = Conv(p, w2) r = Relu(q) t = Conv(r, w4, b4) s = Sigmoid(t) z = Mul(a, s) "
        "y = Conv(z, w3) }",
        {"w1": (8, 3, 1, 1), "w2": (4, 8, 1, 1), "w4": (8, 4, 1, 1), "b4": (8,),
         "w3": (6, 8, 1, 1)},
        {"w2": {0: GONE}, "w4": {1: GONE}},
    )  # fmt: skip
    assert op_types(model) == ["Conv", "Mul", "Conv"]


def test_flattened_branch() -> None:
    model = folded(
        "g (float[2,3,5,4] x) => (float[2,6] y) { a = Conv(x, w1) f = Flatten(a) "
        "b = MatMul(f, w2) k = Flatten(x) c = MatMul(k, w4) z = Add(b, c) y = MatMul(z, w3) }",
        {"w1": (8, 3, 1, 1), "w2": (160, 7), "w3": (7, 6), "w4": (60, 7)},
        {"w1": {0: GONE}, "w2": {0: GONE}},
    )
    assert op_types(model) == ["Flatten", "MatMul", "MatMul"]


def test_what_is_computed_of_a_sum_of_nothing_is_a_constant() -> None:
    """A Swish of a bias, scaled, in another order of axes: all that broadcasts."""
    model = folded(
        "g (float[n,3,5,4] x) => (float[n,5,4,6] y) { a = Conv(x, w1) b = Conv(a, w2, b2) "
        "s = Sigmoid(b) m = Mul(b, s) t = Transpose<perm=[0,2,3,1]>(m) l = Mul(t, g2) "
        "k = Transpose<perm=[0,2,3,1]>(x) c = MatMul(k, w4) z = Add(c, l) y = MatMul(z, w3) }",
        {"w1": (8, 3, 1, 1), "w2": (4, 8, 1, 1), "b2": (4,), "g2": (4,), "w4": (3, 4),
         "w3": (4, 6)},
        {"w1": {0: GONE}, "w2": {1: GONE}},
    )  # fmt: skip
    assert op_types(model) == ["Transpose", "MatMul", "Add", "MatMul"]
    bias = next(t for name, t in model.constants.items() if name.endswith("::bias"))
    assert bias.shape == (1, 1, 1, 4)


def test_a_constant_meets_a_weight_that_is_computed() -> None:
    model = folded(
        "g (float[n,5,3] x) => (float[n,5,6] y) { a = MatMul(x, w1) b = MatMul(a, w2) "
        "s = Add(b, b2) t = Transpose<perm=[1,0]>(w4) k = Abs(t) m = MatMul(s, k) z = Add(x, m) "
        "y = MatMul(z, w3) }",
        {"w1": (3, 8), "w2": (8, 7), "b2": (7,), "w4": (3, 7), "w3": (3, 6)},
        {"w1": {1: GONE}, "w2": {0: GONE}},
    )
    assert op_types(model) == ["Add", "MatMul"]


@pytest.mark.parametrize("extra", ["", ", d"])
def test_a_sum_of_several_takes_constants(extra: str) -> None:
    model = folded(
        "g (float[n,5,3] x) => (float[n,5,6] y) { a = MatMul(x, w1) b = MatMul(a, w2) "
        f"c = Add(b, b2) d = Neg(c) z = Sum(x, c{extra}) y = MatMul(z, w3) }}",
        {"w1": (3, 8), "w2": (8, 3), "b2": (3,), "w3": (3, 6)},
        {"w1": {1: GONE}, "w2": {0: GONE}},
    )
    assert op_types(model) == ["Sum", "MatMul"]


def test_a_constant_goes_through_what_the_reference_cannot_compute() -> None:
    model = folded(
        "g (float[n,3,4,4] x) => (float[n,6,8,8] y) { a = Conv(x, w1) b = Conv(a, w2, b2) "
        "u = Upsample<mode=\"linear\", scales=[1.0,1.0,2.0,2.0]>(b) "
        "c = ConvTranspose<strides=[2,2]>(x, w4) z = Add(u, c) y = Conv(z, w3) }",
        {"w1": (8, 3, 1, 1), "w2": (4, 8, 1, 1), "b2": (4,), "w4": (3, 4, 2, 2),
         "w3": (6, 4, 1, 1)},
        {"w1": {0: GONE}, "w2": {1: GONE}},
        opset=8,
    )  # fmt: skip
    assert op_types(model) == ["ConvTranspose", "Add", "Conv"]


def test_heads_without_channels() -> None:
    """A Reshape to no heads: there a 0 is not the size that it was."""
    model = folded(
        "g (float[2,5,6] x) => (float[2,5,4] y) { q = MatMul(x, w1) r = Reshape(q, s1) "
        "t = Transpose<perm=[0,2,1,3]>(r) e = Exp(t) u = Transpose<perm=[0,2,1,3]>(e) "
        "f = Reshape(u, s2) o = MatMul(f, w2) z = Add(x, o) y = MatMul(z, w3) }",
        {"w1": (6, 12), "w2": (12, 6), "w3": (6, 4), "s1": np.array([2, 5, 3, 4]),
         "s2": np.array([2, 5, 12])},
        {"w1": {1: GONE}, "w2": {0: GONE}},
    )  # fmt: skip
    assert op_types(model) == ["MatMul"]


def test_a_mean_of_nothing_that_nobody_needs() -> None:
    """Weights are standardised over the channels that are gone; nothing is convolved with them."""
    model = folded(
        "g (float[2,3,5,4] x) => (float[2,6,5,4] y) { a = Conv(x, w1) "
        "m = ReduceMean<axes=[1,2,3]>(w2) k = Sub(w2, m) b = Conv(a, k, b2) c = Conv(x, w4) "
        "z = Add(b, c) y = Conv(z, w3) }",
        {"w1": (8, 3, 1, 1), "w2": (4, 8, 1, 1), "b2": (4,), "w4": (4, 3, 1, 1),
         "w3": (6, 4, 1, 1)},
        {"w1": {0: GONE}, "w2": {1: GONE}},
    )  # fmt: skip
    assert op_types(model) == ["Conv", "Add", "Conv"]


def test_half_precision_stays_half_precision() -> None:
    def weight(*shape: int) -> npt.NDArray[np.float16]:
        return np.random.default_rng(0).standard_normal(shape).astype(np.float16)

    model = folded(
        "g (float16[2,5,3] x) => (float16[2,5,6] y) { a = MatMul(x, w1) b = MatMul(a, w2) "
        "c = Concat<axis=2>(b, x) y = MatMul(c, w3) }",
        {"w1": weight(3, 8), "w2": weight(8, 3), "w3": weight(6, 6)},
        {"w1": {1: GONE}, "w2": {0: GONE}},
    )
    assert {t.dtype for t in model.constants.values()} == {np.dtype(np.float16)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f"{IMAGE} {{ a = Conv(x, w1) m = ReduceMean<axes=[1]>(a) z = Add(x, m) "
            "y = Conv(z, w3) }",
            "ReduceMean cannot do without the channels that were removed",
        ),
        (
            "g (float[2,3,5,4] x) => (float[2,1,5,4] y) { a = Conv(x, w1) y = Conv(a, w5) }",
            "nothing is left that output y could depend on",
        ),
    ],
)
def test_what_cannot_be_folded_is_refused(text: str, message: str) -> None:
    weights: dict[str, Weight] = {"w1": (8, 3, 1, 1)}
    weights |= {"w5": (1, 8, 1, 1)} if "w5" in text else {"w3": (6, 3, 1, 1)}
    model = model_of(text, weights)
    plan: Axes = {"w1": {0: GONE}} | ({"w5": {1: GONE}} if "w5" in text else {})
    with pytest.raises(ModelError, match=message) as raised:
        op.apply_plan(op.Plan(model.sha256, plan), model)
    assert "keep at least one channel" in raised.value.hint


def test_nothing_empty_nothing_done() -> None:
    model = model_of(f"{IMAGE} {{ y = Conv(x, w) }}", {"w": (6, 3, 1, 1)})
    result = op.Pipeline("fold-empty").run(model)
    assert result.model is model
    assert not result.reports[0].modified


def test_a_list_of_sizes_may_be_empty_by_itself() -> None:
    model = model_of(
        """g (float[1,3,4,4] x) => (float[1,2,8,8] y)
        <float[0] roi = {}, float[4] scales = {1,1,2,2}> {
            h = Conv(x, w1)  r = Relu(h)
            u = Resize <mode="nearest"> (r, roi, scales)
            y = Conv(u, w2)
        }""",
        {"w1": (8, 3, 1, 1), "w2": (2, 8, 1, 1)},
    )
    result = op.prune(model, 0.5, round_to=1)
    assert result.verify().passed
    assert result.model.constants["w1"].shape == (4, 3, 1, 1)


def test_what_was_empty_before_means_nothing() -> None:
    """A tensor may be there for its type alone, or to be extended in a loop."""
    model = model_of(
        """g (float[2,3] x) => (float[2,5] y) <float[0] kind = {}> {
            h = MatMul(x, w1)  d = Cast <to = 11> (h)  c = CastLike(d, kind)
            y = MatMul(c, w2)
        }""",
        {"w1": (3, 8), "w2": (8, 5)},
    )
    result = op.prune(model, 0.5, round_to=1)
    assert result.verify().passed
    assert result.model.constants["w1"].shape == (3, 4)
