"""Why an axis is free, and with what; why it is blocked, and by what chain."""

from __future__ import annotations

import re

import pytest

from onnxprune.coupling.explain import Explanation, Fate, Link, Place, explain, render
from onnxprune.errors import UsageError
from tests.coupling.models import Coupled, couple

RESIDUAL = """
    [conv_a] a = Conv(x, wa)
    [conv_b] b = Conv(x, wb)
    [add] s = Add(a, b)
    [relu] r = Relu(s)
    [conv_c] y = Conv(r, wc)
"""
WEIGHTS = {"wa": (6, 3, 1, 1), "wb": (6, 3, 1, 1), "wc": (4, 6, 1, 1)}


def ask(model: Coupled, name: str) -> Explanation:
    return explain(model.analysis, model.groups, name)


def test_a_free_axis_shows_its_group_and_what_ties_it() -> None:
    explanation = ask(couple(RESIDUAL, WEIGHTS), "wa")
    assert explanation.what == "constant"
    axis = explanation.axes[0]
    assert (axis.place, axis.size, axis.tree) == (Place("wa", 0), 6, "6")
    (leaf,) = axis.leaves
    assert leaf.fate is Fate.FREE
    assert leaf.group is not None
    assert leaf.group.offered
    assert (leaf.group.kind, leaf.group.size, leaf.group.rivals) == ("residual", 6, ())
    assert [(m.weight, m.axis) for m in leaf.group.members] == [("wa", 0), ("wb", 0), ("wc", 1)]
    assert [link.node for link in leaf.ties] == ["conv_a", "add", "conv_b", "relu", "conv_c"]


def test_a_blocked_axis_shows_the_chain_to_the_cause() -> None:
    explanation = ask(couple(RESIDUAL, WEIGHTS, ignore=["conv_c"]), "wb")
    (leaf,) = explanation.axes[0].leaves
    assert (leaf.fate, leaf.reason, leaf.where) == (Fate.BLOCKED, "ignored as asked", "conv_c")
    assert leaf.chain == (
        Link("conv_b", "Conv", Place("b", 1)),
        Link("add", "Add", Place("s", 1)),
        Link("relu", "Relu", Place("r", 1)),
    )


def test_the_nearest_of_several_causes_is_shown() -> None:
    model = couple(RESIDUAL, WEIGHTS, ignore=["conv_a", "conv_c"])
    (leaf,) = ask(model, "r").axes[1].leaves
    assert (leaf.where, leaf.chain) == ("conv_c", ())
    (leaf,) = ask(model, "wa").axes[0].leaves
    assert (leaf.where, leaf.chain) == ("conv_a", ())


def test_a_node_shows_its_outputs_and_weights() -> None:
    explanation = ask(couple(RESIDUAL, WEIGHTS), "conv_a")
    assert explanation.what == "Conv"
    assert [str(axis.place) for axis in explanation.axes] == [
        *(f"a axis {axis}" for axis in range(4)),
        *(f"wa axis {axis}" for axis in range(4)),
    ]
    batch, _, height, _ = explanation.axes[:4]
    assert [leaf.fate for leaf in batch.leaves] == [Fate.SINGLE]
    assert [leaf.fate for leaf in height.leaves] == [Fate.BLOCKED]
    assert height.leaves[0].reason == "graph input x, axis 2"


def test_a_clash_names_the_node_where_the_orders_differ() -> None:
    model = couple(
        """
        s1 = Constant <value_ints = [1, 3, 4, 64]> ()
        s2 = Constant <value_ints = [1, 4, 3, 64]> ()
        s3 = Constant <value_ints = [1, 12, 8, 8]> ()
        [conv] h = Conv(x, w1)
        [first] a = Reshape(h, s1)
        [ta] t = Transpose <perm = [0, 2, 1, 3]> (a)
        [second] b = Reshape(t, s3)
        [add] c = Add(b, h)
        y = Conv(c, w2)
        """,
        {"w1": (12, 3, 1, 1), "w2": (4, 12, 1, 1)},
    )
    for leaf in ask(model, "w1").axes[0].leaves:
        assert leaf.fate is Fate.BLOCKED
        assert "index orders clash" in leaf.reason
        assert leaf.where == "add"


def test_views_of_a_shared_constant_are_all_explained() -> None:
    model = couple(
        "h = Conv(x, w1, b)\ny = Conv(h, w2, b)",
        {"w1": (4, 3, 1, 1), "w2": (4, 4, 1, 1), "b": (4,)},
    )
    fates = [axis.leaves[0].fate for axis in ask(model, "b").axes]
    assert fates == [Fate.FREE, Fate.BLOCKED]


def test_an_unknown_name_comes_with_a_guess() -> None:
    with pytest.raises(UsageError, match="no node or value called 'conv_d'") as caught:
        ask(couple(RESIDUAL, WEIGHTS), "conv_d")
    assert caught.value.hint.startswith("did you mean 'conv_")


def test_a_name_that_folding_removed_is_refused() -> None:
    model = couple(
        "i = Constant <value_ints = [1, 6]> ()\nj = Constant <value_ints = [64]> ()\n"
        "k = Concat <axis = 0> (i, j)\nh = Conv(x, w1)\nr = Reshape(h, k)\ny = MatMul(r, w2)",
        {"w1": (6, 3, 1, 1), "w2": (64, 5)},
        y="float[1,6,5] y",
    )
    with pytest.raises(UsageError, match="folding left nothing of it"):
        ask(model, "i")


def test_the_text_of_a_free_axis() -> None:
    lines = render(ask(couple(RESIDUAL, WEIGHTS), "wa"))
    assert lines[:12] == [
        "wa (constant)",
        "  wa axis 0: 6",
        "    6 indices: free, residual of wa (group 0, residual, pruned by default)",
        "      shrinks 3 weight axes:",
        "        wa axis 0 (makes it)",
        "        wb axis 0 (makes it)",
        "        wc axis 1",
        "      tied by:",
        "        Conv conv_a",
        "        Add add",
        "        Conv conv_b",
        "        Relu relu",
    ]


def test_the_text_of_a_blocked_axis() -> None:
    lines = render(ask(couple(RESIDUAL, WEIGHTS, ignore=["conv_c"]), "wb"))
    assert lines[1:6] == [
        "  wb axis 0: 6",
        "    6 indices: blocked at conv_c: ignored as asked",
        "      through Conv conv_b to b axis 1",
        "      through Add add to s axis 1",
        "      through Relu relu to r axis 1",
    ]
    assert not re.search(r"object at 0x|<[A-Za-z]", "\n".join(lines))


def test_long_chains_and_lists_are_cut_in_the_text() -> None:
    nodes = "h0 = Conv(x, w0)\n" + "\n".join(f"h{i + 1} = Relu(h{i})" for i in range(20))
    model = couple(
        f"{nodes}\n[last] y = Conv(h20, w1)",
        {"w0": (6, 3, 1, 1), "w1": (4, 6, 1, 1)},
        ignore=["last"],
    )
    lines = render(ask(model, "w0"))
    assert "      ... 13 more couplings ..." in lines
    assert len([line for line in lines if "through" in line and "Relu" in line]) < 12


def test_a_single_number_has_no_axes() -> None:
    model = couple(
        "h = Conv(x, w1)\nm = Mul(h, half)\ny = Conv(m, w2)",
        {"w1": (6, 3, 1, 1), "half": (), "w2": (4, 6, 1, 1)},
    )
    assert render(ask(model, "half")) == ["half (constant)", "  a single number: it has no axes"]
