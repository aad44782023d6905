"""Control flow: bodies are pruned along with what is around them, and the result is proven."""

from __future__ import annotations

import pytest

import onnxprune as op
from onnxprune.cost.macs import count_macs
from tests.ops.bodies import (
    AFTER,
    BEFORE,
    BRANCHES,
    CELL,
    CELL_AFTER,
    CELL_BEFORE,
    LOOP_AFTER,
    LOOP_BEFORE,
    WEIGHTS,
    Shapes,
    assert_proven,
    loop,
    pruned,
    reasons,
    shapes,
)
from tests.texts import model_of


def test_branches_are_pruned_alike() -> None:
    """What they read is theirs together, and so is what they make."""
    result = assert_proven(BRANCHES, BEFORE, AFTER)
    kept = result.plan.initializers
    assert kept["w1"][1] == kept["w2"][1] == kept["v"][0] == kept["w3"][0]
    assert kept["w1"][0] == kept["w2"][0] == kept["w0"][1]
    compared = {d.name for d in result.verify().deviations}
    assert compared == {"h", "a", "p", "a::r.else_branch", "b", "p::r.else_branch", "r", "y"}


def test_a_branch_that_hands_on_ties_what_it_reads() -> None:
    text = """g (float[2,6] x, bool c) => (float[2,5] y) {
        h = MatMul(x, w0)
        r = If<then_branch = t () => (float[2,8] p) { p = MatMul(h, w1) },
               else_branch = e () => (float[2,8] q) { q = Identity(h) }>(c)
        y = MatMul(r, w2)
    }"""
    before: Shapes = {"w0": (6, 8), "w1": (8, 8), "w2": (8, 5)}
    result = assert_proven(text, before, {"w0": (6, 4), "w1": (4, 4), "w2": (4, 5)})
    assert result.plan.initializers["w1"][0] == result.plan.initializers["w1"][1]


def test_nested_branches_are_pruned_alike() -> None:
    text = """g (float[2,6] x, bool c, int64 rate) => (float[2,5] y) {
        d = Equal(rate, three)  h = MatMul(x, w0)
        r = If<
            then_branch = t () => (float[2,12] p) {
                a = MatMul(h, w1)
                p = If<then_branch = t2 () => (float[2,12] u) { u = Relu(a) },
                       else_branch = e2 () => (float[2,12] v) { b = MatMul(h, w2)  v = Sub(a, b) }
                >(d)
            },
            else_branch = e () => (float[2,12] q) { k = MatMul(h, w3)  q = Tanh(k) }
        >(c)
        y = MatMul(r, w4)
    }"""
    before: Shapes = {
        "w0": (6, 8), "w1": (8, 12), "w2": (8, 12), "w3": (8, 12), "w4": (12, 5),
    }  # fmt: skip
    after: Shapes = {"w0": (6, 4), "w1": (4, 6), "w2": (4, 6), "w3": (4, 6), "w4": (6, 5)}
    assert_proven(text, before, after)


def test_masked_forms_attributes_and_constants_inside_bodies() -> None:
    """A mean counts what is left of it, groups are fewer, a target shape is rewritten."""
    text = """g (float[2,6,4,4] x, bool c) => (float[2,5,4,4] y) {
        h = Conv(x, w0)
        r = If<
            then_branch = t () => (float[2,8,4,4] p) {
                m = ReduceMean<axes=[1]>(h)  a = Sub(h, m)
                p = Conv<group=8, pads=[1,1,1,1]>(a, w1)
            },
            else_branch = e () => (float[2,8,4,4] q) {
                k = Constant<value = int64[3] {2, 8, 16}>()
                f = Reshape(h, k)  s = Softmax<axis=1>(f)  z = Shape(h)  q = Reshape(s, z)
            }
        >(c)
        y = Conv(r, w2)
    }"""
    before: Shapes = {"w0": (8, 6, 1, 1), "w1": (8, 1, 3, 3), "w2": (5, 8, 1, 1)}
    after: Shapes = {"w0": (4, 6, 1, 1), "w1": (4, 1, 3, 3), "w2": (5, 4, 1, 1)}
    result = assert_proven(text, before, after)
    assert result.model.constants["k"].numpy().tolist() == [2, 4, 16]


SCAN = f"""g (float[4,2,6] x) => (float[a,b,5] y, float[2,5] z) {{
    hn, hs = Scan<num_scan_inputs=1,
        body = cell (float[2,10] h, float[2,6] xt) => (float[2,10] h2, float[2,10] o) {{
            {CELL}  o = Neg(h2)
        }}>(start, x)
    y = MatMul(hs, wo)  z = MatMul(hn, wo2)
}}"""


@pytest.mark.parametrize("opset", [9, 11, 17])
def test_a_cell_scanned_over_time(opset: int) -> None:
    """The hidden state is one dim through all iterations; its start is a constant."""
    before: Shapes = {**CELL_BEFORE, "wo2": (10, 5)}
    after: Shapes = {**CELL_AFTER, "wo2": (5, 5)}
    result = assert_proven(SCAN, before, after, opset)
    kept = result.plan.initializers
    assert kept["wh"][0] == kept["wh"][1] == kept["wx"][1] == kept["start"][1] == kept["wo"][0]


def test_a_scan_along_other_axes() -> None:
    text = f"""g (float[2,4,6] x) => (float[2,4,5] y) {{
        e = MatMul(x, we)
        hn, hs = Scan<num_scan_inputs=1, scan_input_axes=[-2], scan_output_axes=[-1],
            scan_output_directions=[1],
            body = cell (float[2,10] h, float[2,8] xt) => (float[2,10] h2, float[2,10] o) {{
                {CELL}  o = Neg(h2)
            }}>(start, e)
        t = Transpose<perm=[0,2,1]>(hs)  y = MatMul(t, wo)
    }}"""
    before: Shapes = {"we": (6, 8), "wx": (8, 10), "wh": (10, 10), "wo": (10, 5)}
    after: Shapes = {"we": (6, 4), "wx": (4, 5), "wh": (5, 5), "wo": (5, 5)}
    assert_proven(text, before, after)


def test_the_first_scan_is_left_alone() -> None:
    """It has a batch axis of its own, and a first input for lengths."""
    text = f"""g (float[1,4,2,6] x) => (float[1,2,5] z) {{
        e = MatMul(x, we)
        hn, hs = Scan<num_scan_inputs=1,
            body = cell (float[2,10] h, float[2,8] xt) => (float[2,10] h2, float[2,10] o) {{
                {CELL}  o = Neg(h2)
            }}>(, h0, e)
        z = MatMul(hn, wo)
    }}"""
    before: Shapes = {
        "we": (6, 8), "wx": (8, 10), "wh": (10, 10), "wo": (10, 5), "h0": (1, 2, 10),
    }  # fmt: skip
    result = pruned(text, before, opset=8)
    assert not result.is_pruned
    assert "Scan: operator without a signature" in reasons(result)


@pytest.mark.parametrize("inputs", ["three, ", "three, on", "n, ", "three, c", "n, on"])
def test_a_cell_in_a_loop(inputs: str) -> None:
    """State and stacked results, whether the number of iterations is known or not."""
    result = assert_proven(loop(inputs), LOOP_BEFORE, LOOP_AFTER)
    kept = result.plan.initializers
    assert kept["wh"][0] == kept["wh"][1] == kept["we"][1] == kept["wo"][0]
    assert kept["w1"][1] == kept["w2"][0]


def test_macs_of_a_loop_count_all_iterations() -> None:
    analysis = pruned(loop("three, "), LOOP_BEFORE).removals[0].analysis
    cell = 2 * 6 * 10 + 2 * 10 * 10 + 2 * 10 * 12
    outside = 2 * 7 * 10 + 2 * 10 * 5 + 3 * 2 * 12 * 5
    assert count_macs(analysis) == 3 * cell + outside


def test_branches_in_loops_and_loops_in_branches() -> None:
    text = """g (float[2,6] x, int64 n, bool c) => (float[2,5] y) {
        h0 = MatMul(x, w0)
        hn = Loop<body = b (int64 i, bool k, float[2,10] h) => (bool k2, float[2,10] h2) {
            k2 = Identity(k)  first = Less(i, one)
            a = If<then_branch = t () => (float[2,10] u) { u = MatMul(h, w1) },
                   else_branch = f () => (float[2,10] v) { v = MatMul(h, w2) }>(first)
            h2 = Tanh(a)
        }>(n, , h0)
        r = If<then_branch = t () => (float[2,10] p) {
                   p, ps = Loop<body = b (int64 i, bool k, float[2,10] h)
                       => (bool k2, float[2,10] h2, float[2,10] o) {
                           k2 = Identity(k)  m = MatMul(h, w3)  h2 = Tanh(m)  o = Neg(m)
                       }>(three, , hn)
               },
               else_branch = f () => (float[2,10] q) { q = Neg(hn) }>(c)
        y = MatMul(r, w4)
    }"""
    before: Shapes = {
        "w0": (6, 10), "w1": (10, 10), "w2": (10, 10), "w3": (10, 10), "w4": (10, 5),
    }  # fmt: skip
    after: Shapes = {"w0": (6, 5), "w1": (5, 5), "w2": (5, 5), "w3": (5, 5), "w4": (5, 5)}
    assert_proven(text, before, after)


def test_branches_of_other_shapes_are_blocked() -> None:
    text = """g (float[2,6] x, bool c) => (float[2,n] y) {
        h = MatMul(x, w0)
        y = If<then_branch = t () => (float[2,12] p) { p = MatMul(h, w1) },
               else_branch = e () => (float[2,10] q) { q = MatMul(h, w2) }>(c)
    }"""
    before: Shapes = {"w0": (6, 8), "w1": (8, 12), "w2": (8, 10)}
    result = assert_proven(text, before, {"w0": (6, 4), "w1": (4, 12), "w2": (4, 10)})
    assert result.plan.initializers.keys() == {"w0", "w1", "w2"}
    values = result.removals[0].analysis.values
    block = next(values["w1"].dims[1].leaves()).block
    assert block is not None
    assert block.reason == "If joins values of shapes [2, 10] and [2, 12]"


def test_states_that_grow_are_blocked() -> None:
    text = """g (float[2,6] x) => (float[n,5] y) {
        h = MatMul(x, w0)
        r = Loop<body = b (int64 i, bool k, float[n,10] s) => (bool k2, float[m,10] s2) {
            k2 = Identity(k)  s2 = Concat<axis=0>(s, h)
        }>(three, , h)
        y = MatMul(r, w1)
    }"""
    result = pruned(text, {"w0": (6, 10), "w1": (10, 5)})
    assert not result.is_pruned
    assert "Loop joins values of shapes [2, 10] and [8, 10]" in reasons(result)


def test_opaque_operators_block_what_their_bodies_see() -> None:
    text = """g (float[2,6] x) => (float[2,5] y, seq(float) z) {
        h = MatMul(x, w0)  g = MatMul(x, w2)  s = SequenceConstruct(x, x)
        z = SequenceMap<body = b (float[2,6] e) => (float[2,8] f) {
            k = MatMul(e, w3)  f = Add(k, h)
        }>(s)
        y = MatMul(g, w4)
    }"""
    before: Shapes = {"w0": (6, 8), "w3": (6, 8), "w2": (6, 10), "w4": (10, 5)}
    result = pruned(text, before)
    assert {**before, "w2": (6, 5), "w4": (5, 5)}.items() <= shapes(result).items()
    analysis = result.removals[0].analysis
    assert not analysis.unknown
    for leaf in analysis.values["h"].dims[1].leaves():
        assert not leaf.is_free


INSIDE = """g (float[2,6] x, bool c, bool d) => (float[2,5] y) {
    y = If<
        then_branch = t () => (float[2,5] p) { a = MatMul(x, w0)  b = Relu(a)  p = MatMul(b, w1) },
        else_branch = e () => (float[2,5] q) {
            q = If<
                then_branch = t2 () => (float[2,5] r) { k = MatMul(x, w2)  r = MatMul(k, w3) },
                else_branch = e2 () => (float[2,5] s) { s = MatMul(x, w4) }
            >(d)
        }
    >(c)
}"""
INSIDE_BEFORE: Shapes = {"w0": (6, 8), "w1": (8, 5), "w2": (6, 8), "w3": (8, 5), "w4": (6, 5)}


@pytest.mark.parametrize(
    ("pattern", "touched"),
    [
        ("y.then_branch", {"w2", "w3"}),
        ("y.else_branch", {"w0", "w1"}),
        ("q.*", {"w0", "w1"}),
        ("If", set[str]()),
        ("none", {"w0", "w1", "w2", "w3"}),
    ],
)
def test_ignored_bodies_are_left_alone(pattern: str, touched: set[str]) -> None:
    model = model_of(INSIDE, {**INSIDE_BEFORE, **WEIGHTS})
    result = op.prune(model, 0.5, round_to=1, ignore=(pattern,))
    assert result.plan.initializers.keys() == touched
    if touched:
        assert result.verify().passed


def test_a_branch_for_other_sizes_does_not_stop_the_analysis() -> None:
    """Its operands contradict each other at the sizes that the other branch takes."""
    text = """g (float[n,t] x, float[1,4] z, bool c) => (float[n,5] y) {
        y = If<
            then_branch = t () => (float[n,5] p) { a = MatMul(x, w0)  p = MatMul(a, w1) },
            else_branch = e () => (float[n,5] q) {
                b = MatMul(x, w2)  d = Add(b, z)  q = MatMul(d, w3)
            }
        >(c)
    }"""
    before: Shapes = {"w0": (6, 8), "w1": (8, 5), "w2": (3, 4), "w3": (4, 5)}
    model = model_of(text, {**before, **WEIGHTS})
    steps = "fold-constants,remove-channels{ratio=0.5,round_to=1}"
    result = op.Pipeline(steps).run(model, input_shapes={"x": (2, 6)})
    assert result.plan.initializers.keys() == {"w0", "w1"}
    assert result.verify().passed
