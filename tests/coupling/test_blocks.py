"""Residual blocks: found by what goes around them, and by what is constant without them."""

from __future__ import annotations

import numpy as np
import pytest

from onnxprune.coupling.analysis import analyse
from onnxprune.coupling.blocks import Block, find_blocks
from onnxprune.coupling.groups import find_groups
from onnxprune.ir.canonical import canonicalise
from tests.texts import Weight, model_of

WIDE: dict[str, Weight] = {"w0": (6, 3, 1, 1), "wa": (5, 6, 1, 1), "wb": (6, 5, 1, 1)}


def blocks(text: str, weights: dict[str, Weight], signature: str = "") -> list[Block]:
    head = signature or "g (float[2,3,5,5] x) => (float[2,4,5,5] y)"
    analysis = analyse(canonicalise(model_of(f"{head} {{ {text} }}", weights)))
    return find_blocks(analysis, find_groups(analysis))


def weights_of(block: Block) -> set[str]:
    return {member.weight for group in block.groups for member in group.members}


def test_a_block_is_added_to_what_goes_around_it() -> None:
    (block,) = blocks(
        "h = Conv(x, w0) a = Conv(h, wa) r = Relu(a) b = Conv(r, wb) s = Add(h, b) y = Conv(s, w1)",
        {**WIDE, "w1": (4, 6, 1, 1)},
    )
    assert (block.shortcut, block.branch, block.output) == ("h", "b", "s")
    assert weights_of(block) == {"wa", "wb"}
    assert block.parameters == 60
    assert len(block.places) == 3


def test_of_two_ways_the_longer_one_is_the_block() -> None:
    (block,) = blocks(
        "h = Conv(x, w0) p = Conv(h, wp) a = Conv(h, wa) b = Conv(a, wb) s = Add(p, b) "
        "y = Conv(s, w1)",
        {**WIDE, "wp": (6, 6, 1, 1), "w1": (4, 6, 1, 1)},
    )
    assert (block.shortcut, block.branch) == ("p", "b")
    assert weights_of(block) == {"wa", "wb"}


def test_one_block_may_lie_inside_another() -> None:
    found = blocks(
        "h = Conv(x, w0) a = Conv(h, wa) c = Conv(a, wc) d = Conv(c, wd) t = Add(a, d) "
        "b = Conv(t, wb) s = Add(h, b) y = Conv(s, w1)",
        {**WIDE, "wc": (7, 5, 1, 1), "wd": (5, 7, 1, 1), "w1": (4, 6, 1, 1)},
    )
    assert [block.output for block in found] == ["t", "s"]
    assert set(found[0].groups) < set(found[1].groups)


def test_gates_inside_a_block_go_with_it() -> None:
    (block,) = blocks(
        "h = Conv(x, w0) a = Conv(h, wa) b = Conv(a, wb) p = GlobalAveragePool(b) q = Conv(p, wq) "
        "g = Conv(q, wg) f = Sigmoid(g) e = Mul(b, f) s = Add(h, e) y = Conv(s, w1)",
        {**WIDE, "wq": (3, 6, 1, 1), "wg": (6, 3, 1, 1), "w1": (4, 6, 1, 1)},
    )
    assert weights_of(block) == {"wa", "wb", "wq", "wg"}


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        # a position embedding is no block
        ("h = Conv(x, w0) s = Add(h, e) y = Conv(s, w1)", {"e": (1, 6, 5, 5)}),
        # two branches of different sources: without one the sum is no bypass of it
        ("h = Conv(x, w0) k = Relu(x) b = Conv(k, wk) s = Add(h, b) y = Conv(s, w1)",
         {"wk": (6, 3, 1, 1)}),
        # nothing inside that nobody else has
        ("h = Conv(x, w0) b = Conv(h, wk) s = Add(h, b) y = Conv(s, w1)", {"wk": (6, 6, 1, 1)}),
        # the inside is read elsewhere, too
        ("h = Conv(x, w0) a = Conv(h, wa) b = Conv(a, wb) s = Add(h, b) z = Conv(a, wz) "
         "t = Add(s, z) y = Conv(t, w1)", {"wz": (6, 5, 1, 1), **WIDE}),
        # a second way to the result without channels of its own
        ("h = Conv(x, w0) a = Conv(h, wa) b = Conv(a, wb) m = ReduceMean<axes=[1]>(h) "
         "d = Mul(b, m) s = Add(h, d) y = Conv(s, w1)", WIDE),
    ],
    ids=["embedding", "sources", "empty", "read", "second way"],
)  # fmt: skip
def test_what_is_no_block(text: str, weights: dict[str, Weight]) -> None:
    assert not blocks(text, {"w0": (6, 3, 1, 1), "w1": (4, 6, 1, 1), **weights})


def test_what_a_recurrent_layer_adds_stays() -> None:
    """Over an input without channels it still computes something, step by step."""
    found = blocks(
        """e = MatMul(x, w0)
        h, n = LSTM<hidden_size=5>(e, wa, ra) q = Squeeze(h, one)
        k, m = LSTM<hidden_size=6>(q, wb, rb) z = Squeeze(k, one)
        s = Add(e, z) y = MatMul(s, w1)""",
        {"w0": (3, 6), "wa": (1, 20, 6), "ra": (1, 20, 5), "wb": (1, 24, 5), "rb": (1, 24, 6),
         "w1": (6, 4), "one": np.array([1])},
        "g (float[4,2,3] x) => (float[4,2,4] y)",
    )  # fmt: skip
    assert not found


def test_attention_and_its_feed_forward_are_two_blocks() -> None:
    found = blocks(
        """q = MatMul(x, wq) k = MatMul(x, wk) v = MatMul(x, wv)
        kt = Transpose<perm=[0,2,1]>(k) l = MatMul(q, kt) p = Softmax(l) c = MatMul(p, v)
        o = MatMul(c, wo) h = Add(x, o)
        u = MatMul(h, wu) r = Relu(u) d = MatMul(r, wd) s = Add(h, d) y = MatMul(s, w1)""",
        {"wq": (6, 5), "wk": (6, 5), "wv": (6, 7), "wo": (7, 6), "wu": (6, 9), "wd": (9, 6),
         "w1": (6, 4)},
        "g (float[2,3,6] x) => (float[2,3,4] y)",
    )  # fmt: skip
    assert [weights_of(block) for block in found] == [{"wq", "wk", "wv", "wo"}, {"wu", "wd"}]
