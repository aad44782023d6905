"""What the operators of small models couple, and of which kind the groups are."""

from __future__ import annotations

from onnxprune.coupling.groups import DEFAULT_KINDS, block_reasons, choose
from tests.coupling.models import couple, members


def test_an_add_couples_two_convolutions() -> None:
    model = couple(
        """
        a = Conv(x, wa)
        b = Conv(x, wb)
        s = Add(a, b)
        y = Conv(s, wc)
        """,
        {"wa": (6, 3, 1, 1), "wb": (6, 3, 1, 1), "wc": (4, 6, 1, 1)},
    )
    group = model.group("wa", 0)
    assert members(group) == {("wa", 0), ("wb", 0), ("wc", 1)}
    assert group.kind == "residual"
    assert [m.producer for m in group.members] == [True, True, False]
    assert group.parameters == 18 + 18 + 24
    assert len(model.groups) == 1


def test_a_chain_is_a_group_for_each_link() -> None:
    model = couple(
        "h = Conv(x, w1, b1)\nr = Relu(h)\nk = Conv(r, w2)\ny = Conv(k, w3)",
        {"w1": (6, 3, 1, 1), "b1": (6,), "w2": (5, 6, 1, 1), "w3": (4, 5, 1, 1)},
    )
    assert [members(group) for group in model.groups] == [
        {("w1", 0), ("b1", 0), ("w2", 1)},
        {("w2", 0), ("w3", 1)},
    ]
    assert [group.name for group in model.groups] == ["channel of w1", "channel of w2"]


def test_concat_puts_groups_end_to_end() -> None:
    model = couple(
        """
        a = Conv(x, wa)
        b = Conv(x, wb)
        s = Concat <axis = 1> (a, b)
        y = Conv(s, wc)
        """,
        {"wa": (6, 3, 1, 1), "wb": (5, 3, 1, 1), "wc": (4, 11, 1, 1)},
    )
    assert model.tree("wc", 1) == "6+5"
    assert model.groups_on("wc", 1) == [model.group("wa", 0), model.group("wb", 0)]
    assert model.group("wa", 0).rivals == []


def test_a_grouped_convolution_has_groups_and_channels_in_them() -> None:
    model = couple(
        "h = Conv(x, w1)\nk = Conv <group = 2> (h, w2)\ny = Conv(k, w3)",
        {"w1": (8, 3, 1, 1), "w2": (12, 4, 1, 1), "w3": (4, 12, 1, 1)},
    )
    assert model.tree("w1", 0) == "(2 4)"
    assert model.tree("w2", 0) == "(2 6)"
    group, inner = model.groups_on("w1", 0)
    _, outer = model.groups_on("w2", 0)
    assert (group.kind, inner.kind, outer.kind) == ("group", "channel", "channel")
    assert group.rivals == [inner, outer]
    assert inner.rivals == outer.rivals == [group]
    assert inner.over is outer.over is group.leaf
    assert choose(model.groups, DEFAULT_KINDS) == [inner, outer]
    assert choose(model.groups, ["group"]) == [group]


def test_a_depthwise_convolution_ties_what_it_reads_to_what_it_makes() -> None:
    model = couple(
        "h = Conv(x, w1)\nk = Conv <group = 6> (h, w2, b2)\ny = Conv(k, w3)",
        {"w1": (6, 3, 1, 1), "w2": (6, 1, 3, 3), "b2": (6,), "w3": (4, 6, 1, 1)},
        x="float[1,3,8,8] x",
    )
    (group,) = model.groups
    assert members(group) == {("w1", 0), ("w2", 0), ("b2", 0), ("w3", 1)}
    assert group.kind == "channel"


FUSED_QKV = """
    p = MatMul(x, wqkv)
    r = Reshape(p, shape5)
    t = Transpose <perm = [2, 0, 3, 1, 4]> (r)
    q4, k4, v4 = Split <axis = 0> (t, ones)
    q = Squeeze(q4, zero)
    k = Squeeze(k4, zero)
    v = Squeeze(v4, zero)
    kt = Transpose <perm = [0, 1, 3, 2]> (k)
    s = MatMul(q, kt)
    a = Softmax <axis = -1> (s)
    o = MatMul(a, v)
    ot = Transpose <perm = [0, 2, 1, 3]> (o)
    c = Reshape(ot, shape3)
    y = MatMul(c, wo)
"""


def test_fused_attention_has_heads_and_head_dims() -> None:
    constants = """
    shape5 = Constant <value_ints = [1, 5, 3, 2, 4]> ()
    shape3 = Constant <value_ints = [1, 5, 8]> ()
    ones = Constant <value_ints = [1, 1, 1]> ()
    zero = Constant <value_ints = [0]> ()
    """
    model = couple(
        constants + FUSED_QKV,
        {"wqkv": (6, 24), "wo": (8, 6)},
        x="float[1,5,6] x",
        y="float[1,5,6] y",
    )
    assert model.tree("wqkv", 1) == "(1+1+1 (2 4))"
    kinds = {group.kind for group in model.groups}
    assert kinds == {"head", "head_dim"}
    head, *head_dims = model.groups_on("wo", 0)
    assert (head.kind, head.size) == ("head", 2)
    assert members(head) == {("wqkv", 1), ("wo", 0)}
    assert all(group.kind == "head_dim" and group.size == 4 for group in head_dims)
    assert choose(model.groups, DEFAULT_KINDS) == [head]


def test_queries_that_share_keys_are_heads_of_a_kv_group() -> None:
    model = couple(
        """
        heads = Constant <value_ints = [1, 5, 6, 4]> ()
        shared = Constant <value_ints = [1, 5, 2, 4]> ()
        apart = Constant <value_ints = [1, 5, 2, 1, 4]> ()
        repeated = Constant <value_ints = [1, 5, 2, 3, 4]> ()
        flat = Constant <value_ints = [1, 5, 24]> ()
        q0 = MatMul(x, wq)  q1 = Reshape(q0, heads)  q = Transpose <perm = [0, 2, 1, 3]> (q1)
        k0 = MatMul(x, wk)  k1 = Reshape(k0, apart)  k2 = Expand(k1, repeated)
        k3 = Reshape(k2, heads)  k = Transpose <perm = [0, 2, 3, 1]> (k3)
        v0 = MatMul(x, wv)  v1 = Reshape(v0, apart)  v2 = Expand(v1, repeated)
        v3 = Reshape(v2, heads)  v = Transpose <perm = [0, 2, 1, 3]> (v3)
        s = MatMul(q, k)  p = Softmax(s)  o = MatMul(p, v)
        ot = Transpose <perm = [0, 2, 1, 3]> (o)  c = Reshape(ot, flat)  y = MatMul(c, wo)
        """,
        {"wq": (6, 24), "wk": (6, 8), "wv": (6, 8), "wo": (24, 6)},
        x="float[1,5,6] x",
        y="float[1,5,6] y",
    )
    assert model.tree("wq", 1) == "((2 3) 4)"
    kinds = [group.kind for group in model.groups_on("wq", 1)]
    assert kinds == ["kv_group", "head", "head_dim"]
    (shared, _) = model.groups_on("wk", 1)
    assert members(shared) == {("wq", 1), ("wk", 1), ("wv", 1), ("wo", 0)}
    assert [g.kind for g in choose(model.groups, DEFAULT_KINDS)] == ["head"]
    assert [g.kind for g in choose(model.groups, ("kv_group",))] == ["kv_group"]


def test_flatten_makes_a_channel_a_block_of_a_fully_connected_layer() -> None:
    model = couple(
        "h = Conv(x, w1)\nf = Flatten <axis = 1> (h)\ny = Gemm <transB = 1> (f, w2, b2)",
        {"w1": (6, 3, 1, 1), "w2": (4, 6 * 64), "b2": (4,)},
        y="float[1,4] y",
    )
    assert model.tree("w2", 1) == "(6 8! 8!)"
    assert members(model.group("w1", 0)) == {("w1", 0), ("w2", 1)}


def test_a_shared_vector_does_not_couple_but_a_shared_matrix_does() -> None:
    nodes = "h = Conv(x, {0}, b)\nk = Conv(h, {1}, b)\ny = Conv(k, w3)"
    weights = {"b": (6,), "w3": (4, 6, 1, 1)}
    apart = couple(nodes.format("w1", "w2"), {**weights, "w1": (6, 3, 1, 1), "w2": (6, 6, 1, 1)})
    assert len(apart.groups) == 2
    assert apart.group("w1", 0) is not apart.group("w2", 0)
    tied = couple(
        "a = Conv(x, w0)\n" + nodes.format("w", "w").replace("x,", "a,"),
        {**weights, "w0": (6, 3, 1, 1), "w": (6, 6, 1, 1)},
    )
    assert tied.group("w", 0) is tied.group("w", 1) is tied.group("w0", 0)


def test_what_is_ignored_is_blocked_on_both_sides() -> None:
    nodes = "[first] h = Conv(x, w1)\n[second] k = Conv(h, w2)\n[third] y = Conv(k, w3)"
    weights = {"w1": (6, 3, 1, 1), "w2": (5, 6, 1, 1), "w3": (4, 5, 1, 1)}
    assert len(couple(nodes, weights).groups) == 2
    for pattern in ("second", "sec*", "w2"):
        model = couple(nodes, weights, ignore=[pattern])
        assert model.groups == []
        assert model.reasons("w1")[0] == ["ignored as asked"]
        assert model.reasons("w3")[1] == ["ignored as asked"]
    assert [members(g) for g in couple(nodes, weights, ignore=["first"]).groups] == [
        {("w2", 0), ("w3", 1)}
    ]


def test_the_borders_of_the_graph_are_blocked() -> None:
    model = couple("h = Conv(x, w1)\ny = Conv(h, w2)", {"w1": (6, 3, 1, 1), "w2": (4, 6, 1, 1)})
    assert model.reasons("w1")[1] == ["graph input x, axis 1"]
    assert model.reasons("w2")[0] == ["graph output y, axis 1"]
    axis, block = block_reasons(model.analysis, "w2")[0]
    assert (axis, block.reason) == (0, "graph output y, axis 1")


def test_weights_among_the_inputs_are_free_and_weights_among_the_outputs_are_not() -> None:
    nodes = "h = Conv(x, w1)\nk = Conv(h, w2)\ny = Conv(k, w3)"
    model = couple(
        nodes,
        {"w1": (6, 3, 1, 1), "w2": (5, 6, 1, 1), "w3": (4, 5, 1, 1)},
        x="float[1,3,8,8] x, float[6,3,1,1] w1",
        y="float[?,?,?,?] y, float[4,5,1,1] w3",
    )
    assert [members(group) for group in model.groups] == [{("w1", 0), ("w2", 1)}]
    assert model.reasons("w2")[0] == ["graph output w3, axis 1"]


def test_an_operator_without_a_signature_blocks_and_is_reported() -> None:
    model = couple(
        "h = Conv(x, w1)\n[odd] k = other.Wobble(h)\ny = Conv(k, w2)",
        {"w1": (6, 3, 1, 1), "w2": (4, 6, 1, 1)},
        imports='"" : 17, "other" : 1',
    )
    assert model.analysis.unknown == {"other.Wobble": ["odd"]}
    assert model.groups == []
    assert model.reasons("w1")[0] == ["other.Wobble: operator without a signature"]


def test_a_leaf_that_only_constants_carry_is_no_group() -> None:
    model = couple(
        """
        s = Constant <value_ints = [4, 3, 1, 1]> ()
        p = MatMul(a, b)
        q = Reshape(p, s)
        y = Conv(x, q)
        """,
        {"a": (4, 5), "b": (5, 3)},
    )
    assert model.analysis.sources["q"] >= {"a", "b"}
    assert model.tree("a", 1) == model.tree("b", 0) == "5"
    assert model.groups == []


def test_group_normalization_has_groups_and_channels_in_them() -> None:
    model = couple(
        "h = Conv(x, w1)\nk = GroupNormalization <num_groups = 3> (h, g, b)\ny = Conv(k, w2)",
        {"w1": (6, 3, 1, 1), "g": (6,), "b": (6,), "w2": (4, 6, 1, 1)},
        imports='"" : 21',
    )
    assert {model.tree(*axis) for axis in (("w1", 0), ("g", 0), ("b", 0), ("w2", 1))} == {"(3 2)"}
    group, channel = model.groups_on("w1", 0)
    assert group.rivals == [channel]
    assert len(choose(model.groups, DEFAULT_KINDS)) == 1


def test_where_is_a_choice_between_two_values() -> None:
    model = couple(
        """
        a = Conv(x, wa)
        b = Conv(x, wb)
        c = Greater(a, b)
        s = Where(c, a, b)
        y = Conv(s, wc)
        """,
        {"wa": (6, 3, 1, 1), "wb": (6, 3, 1, 1), "wc": (4, 6, 1, 1)},
    )
    (group,) = model.groups
    assert members(group) == {("wa", 0), ("wb", 0), ("wc", 1)}
    assert group.kind == "channel"


def test_kinds_that_are_not_asked_for_are_not_offered() -> None:
    model = couple(
        "h = MatMul(x, w1)\nr = Relu(h)\ny = MatMul(r, w2)",
        {"w1": (3, 6), "w2": (6, 4)},
        x="float[2,3] x",
        y="float[2,4] y",
    )
    (group,) = model.groups
    assert group.kind == "intermediate"
    assert choose(model.groups, DEFAULT_KINDS) == [group]
    assert choose(model.groups, ["channel"]) == []


def test_channels_of_zeros_alone_are_no_group() -> None:
    """What is computed from sizes is no weight of the file; a plan could not name it."""
    model = couple(
        """
        zeros = Constant <value_ints = [1, 2, 2, 2]> ()
        start = Constant <value_ints = [2]> ()
        end = Constant <value_ints = [3]> ()
        axis = Constant <value_ints = [1]> ()
        h = Conv(x, w1)
        z = ConstantOfShape <value = float[1] {0.0}> (zeros)
        c = Concat <axis = 1> (z, h)
        s = Slice (c, start, end, axis)
        y = Conv(s, w2)
        """,
        {"w1": (4, 3, 1, 1), "w2": (5, 1, 1, 1)},
        x="float[1,3,2,2] x",
    )
    assert model.tree("c", 1) == "2+1+3"
    assert [members(group) for group in model.groups] == [{("w1", 0)}]
