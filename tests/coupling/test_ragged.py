"""Which groups may keep different indices for each index of a partner, and which may not."""

from __future__ import annotations

import json

import numpy as np
import pytest

import onnxprune as op
from onnxprune.coupling.axis_plan import Blocks
from tests.coupling.models import Coupled, couple
from tests.texts import Weight, model_of

GROUP_NORM = """g (float[2,3,5,4] x) => (float[2,6,5,4] y) {
    h = Conv(x, w1)  n = GroupNormalization <num_groups=2> (h, s, b)  r = Relu(n)  y = Conv(r, w2)
}"""
GROUP_NORM_WEIGHTS: dict[str, Weight] = {
    "w1": (16, 3, 1, 1),
    "s": (16,),
    "b": (16,),
    "w2": (6, 16, 1, 1),
}
BOTH_WAYS = """g (float[7,2,5] x) => (float[7,2,4] y) <int64[3] joined = {7, 2, 16}> {
    y0 = LSTM <hidden_size=8, direction="bidirectional"> (x, w, r, b)
    t = Transpose <perm=[0,2,1,3]> (y0)  f = Reshape(t, joined)  y = MatMul(f, wo)
}"""
BOTH_WAYS_WEIGHTS: dict[str, Weight] = {
    "w": (2, 32, 5),
    "r": (2, 32, 8),
    "b": (2, 64),
    "wo": (16, 4),
}


@pytest.mark.parametrize(
    ("text", "weights", "opset"),
    [(GROUP_NORM, GROUP_NORM_WEIGHTS, 21), (BOTH_WAYS, BOTH_WAYS_WEIGHTS, 17)],
    ids=["group normalization", "bidirectional LSTM"],
)
def test_each_block_keeps_its_own(text: str, weights: dict[str, Weight], opset: int) -> None:
    model = model_of(text, weights, opset=opset)
    result = op.prune(model, 0.5, round_to=1)
    (keep,) = result.removals[0].keeps.values()
    assert keep.over is not None
    assert (keep.mask[0] != keep.mask[1]).any()
    assert keep.mask.sum(axis=1).tolist() == [4, 4]
    assert result.verify().passed

    again = op.apply_plan(op.Plan.from_json(json.loads(json.dumps(result.plan.to_json()))), model)
    state = {name: model.constants[name].numpy() for name in weights}
    sliced = result.plan.apply_to_state_dict(state, model)
    for name in weights:
        expected = result.model.constants[name].numpy()
        assert np.array_equal(again.model.constants[name].numpy(), expected)
        assert np.array_equal(sliced[name], expected)


ATTENTION = """
    split = Constant <value_ints = [1, 5, 2, 6]> ()  flat = Constant <value_ints = [1, 5, 12]> ()
    q0 = MatMul(x, wq)  q1 = Reshape(q0, split)
    k0 = MatMul(x, wk)  k1 = Reshape(k0, split)
    v0 = MatMul(x, wv)  v1 = Reshape(v0, split)
    {norm}
    q = Transpose <perm = [0, 2, 1, 3]> (q2)
    k = Transpose <perm = [0, 2, 3, 1]> (k1)
    v = Transpose <perm = [0, 2, 1, 3]> (v1)
    s = MatMul(q, k)  p = Softmax(s)  o = MatMul(p, v)
    ot = Transpose <perm = [0, 2, 1, 3]> (o)  c = Reshape(ot, flat)  y = MatMul(c, wo)
"""


def attention(norm: str, **extra: tuple[int, ...]) -> Coupled:
    weights = {"wq": (8, 12), "wk": (8, 12), "wv": (8, 12), "wo": (12, 8), **extra}
    return couple(ATTENTION.format(norm=norm), weights, x="float[1,5,8] x", y="float[1,5,8] y")


def test_dimensions_differ_from_head_to_head() -> None:
    model = attention("q2 = Identity(q1)")
    head, head_dim = model.groups_on("wq", 1)
    assert head_dim.over is head.leaf
    assert model.groups_on("wo", 0)[1].over is head.leaf


def test_a_scale_that_all_heads_share_ties_them() -> None:
    model = attention("q2 = Mul(q1, scale)", scale=(6,))
    _, head_dim = model.groups_on("wq", 1)
    assert head_dim.over is None
    _, of_values = model.groups_on("wv", 1)
    assert of_values.over is not None


def test_a_product_of_every_head_with_every_other_ties_them() -> None:
    """Each sum over dimensions meets two heads, which must keep the same ones."""
    model = couple(
        """
        split = Constant <value_ints = [5, 2, 6]> ()
        a = MatMul(x, w)  b = Reshape(a, split)  c = Transpose <perm = [0, 2, 1]> (b)
        y = MatMul(b, c)
        """,
        {"w": (8, 12)},
        x="float[5,8] x",
        y="float[5,2,2] y",
    )
    (head_dim,) = model.groups_on("w", 1)
    assert head_dim.size == 6
    assert head_dim.over is None


def test_of_two_partners_every_analysis_takes_the_same() -> None:
    """Channels of groups of groups: each of both would do, and a plan must mean one of them."""
    text = """g (float[n,3,4,4] x) => (float[n,3,4,4] y) {
        h = Conv(x, w0) d = Conv<group=4>(h, w1) e = Conv<group=2>(d, w2) y = Conv(e, w3)
    }"""
    shapes: dict[str, Weight] = {
        "w0": (12, 3, 1, 1), "w1": (12, 3, 1, 1), "w2": (2, 6, 3, 3), "w3": (3, 2, 3, 3),
    }  # fmt: skip
    for seed in range(8):
        model = model_of(text.replace("(e, w3)", "<pads=[2,2,2,2]>(e, w3)"), shapes, seed=seed)
        result = op.prune(model, 0.3, round_to=1)
        assert any(keep.over is not None for keep in result.removals[0].keeps.values())
        assert result.verify().passed  # reads the plan at another size
        again = op.apply_plan(result.plan, model).model
        for name, tensor in result.model.constants.items():
            assert np.array_equal(tensor.numpy(), again.constants[name].numpy())


@pytest.mark.parametrize("second", ["Conv<group=3>(f, w2)", "ConvTranspose<group=3>(f, w2)"])
def test_a_shuffle_of_groups_that_do_not_divide_each_other(second: str) -> None:
    """Three groups of 20 read a part of each of three groups of 20 (ShuffleNet)."""
    text = f"""g (float[n,6,4,4] x) => (float[n,c,4,4] y) <int64[5] apart = {{-1, 3, 20, 4, 4}},
        int64[4] joined = {{-1, 60, 4, 4}}> {{
        a = Conv<group=3>(x, w1)  b = Relu(a)  c = Reshape(b, apart)
        d = Transpose<perm=[0,2,1,3,4]>(c)  e = Reshape(d, joined)  f = Mul(e, s)  y = {second}
    }}"""
    shapes: dict[str, Weight] = {
        "w1": (60, 2, 1, 1),
        "s": (60, 1, 1),
        "w2": (60, 4, 1, 1) if "Transpose" in second else (12, 20, 1, 1),
    }
    model = model_of(text, shapes)
    result = op.prune(model, 0.5, round_to=1)
    assert result.model.constants["w1"].shape == (33, 2, 1, 1)
    assert result.model.constants["s"].shape == (33, 1, 1)
    assert result.verify().passed
    axis = result.plan.initializers["w2"][0 if "Transpose" in second else 1]
    rows = axis.kept if isinstance(axis, Blocks) else np.reshape(axis, (3, 11)) % 20
    assert len({tuple(row) for row in rows}) == 3

    again = op.apply_plan(op.Plan.from_json(json.loads(json.dumps(result.plan.to_json()))), model)
    sliced = result.plan.apply_to_state_dict(
        {name: model.constants[name].numpy() for name in shapes}, model
    )
    for name in shapes:
        expected = result.model.constants[name].numpy()
        assert np.array_equal(again.model.constants[name].numpy(), expected)
        assert np.array_equal(sliced[name], expected)
