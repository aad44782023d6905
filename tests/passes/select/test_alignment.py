"""Widths after rounding: what an operator sees is a multiple wherever that is possible."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import onnxprune as op
from onnxprune.coupling.analysis import Analysis, analyse
from onnxprune.coupling.groups import Group, choose, find_groups
from onnxprune.ir.canonical import canonicalise
from onnxprune.passes.select.alignment import AUTO_SLACK, kept_counts
from tests.texts import Weight, model_of


def prepared(text: str, weights: dict[str, Weight]) -> tuple[Analysis, dict[str, Group]]:
    """The analysis and the groups by the first weight that makes them."""
    analysis = analyse(canonicalise(model_of(text, weights)))
    groups = choose(find_groups(analysis), ("channel", "residual", "intermediate"))
    return analysis, {group.name.rpartition(" ")[2]: group for group in groups}


def layers(width: int) -> tuple[Analysis, dict[str, Group]]:
    return prepared(
        "g (float[2,3] x) => (float[2,3] y) { h = MatMul(x, w1) y = MatMul(h, w2) }",
        {"w1": (3, width), "w2": (width, 3)},
    )


CONCAT = """g (float[2,3,4,4] x) => (float[2,5,4,4] y) {
    a = Conv(x, w1)  b = Conv(x, w2)  c = Concat<axis=1>(a, b)  y = Conv(c, w3)
}"""


@pytest.mark.parametrize(
    ("width", "ratio", "round_to", "kept"),
    [
        (10, 0.3, 1, 7),
        (10, 0.35, 1, 7),  # 6.5 rounds up
        (10, 0.3, 4, 8),
        (10, 0.3, 8, 8),
        (10, 0.3, 16, 10),  # no multiple fits: nothing goes
        (64, 0.3, 16, 48),
        (64, 0.3, "auto", 48),
        (9, 0.0, 8, 9),
        (9, 0.0, "auto", 9),
        (8, 0.99, 1, 1),
        (8, 0.99, 4, 4),
    ],
)
def test_one_group_keeps_the_nearest_multiple(
    width: int, ratio: float, round_to: int | str, kept: int
) -> None:
    analysis, groups = layers(width)
    assert kept_counts(analysis, {groups["w1"]: ratio}, round_to)[groups["w1"]] == kept


@settings(deadline=None)
@given(st.integers(8, 600), st.sampled_from((0.1, 0.25, 0.3, 0.5, 0.7)))
def test_auto_stays_close_or_takes_four(width: int, ratio: float) -> None:
    analysis, groups = layers(width)
    kept = kept_counts(analysis, {groups["w1"]: ratio}, "auto")[groups["w1"]]
    assert 1 <= kept <= width
    strays = abs(kept - (1 - ratio) * width)
    assert kept == width or kept % 4 == 0
    assert strays <= max(AUTO_SLACK * width, 4) or kept == width


def test_a_minimum_is_kept_and_rounded_up() -> None:
    analysis, groups = layers(20)
    counts = kept_counts(analysis, {groups["w1"]: 0.9}, 1, {groups["w1"]: 5})
    assert counts[groups["w1"]] == 5
    assert kept_counts(analysis, {groups["w1"]: 0.9}, 8, {groups["w1"]: 9})[groups["w1"]] == 16
    assert kept_counts(analysis, {groups["w1"]: 0.9}, 1, {groups["w1"]: 50})[groups["w1"]] == 20


def test_each_branch_of_a_concatenation_is_a_width_of_its_own() -> None:
    analysis, groups = prepared(
        CONCAT, {"w1": (12, 3, 1, 1), "w2": (20, 3, 1, 1), "w3": (5, 32, 1, 1)}
    )
    counts = kept_counts(analysis, dict.fromkeys(groups.values(), 0.3), 4)
    assert (counts[groups["w1"]], counts[groups["w2"]]) == (8, 16)


def test_an_axis_cut_into_parts_is_rounded_as_a_whole() -> None:
    """Split parts that no other layer sees by themselves share one width."""
    model = model_of(
        """g (float[2,3] x) => (float[2,3] y) {
            h = MatMul(x, w1)
            a, b = Split<axis=1>(h, sizes)
            p = Relu(a)  q = Sigmoid(b)
            j = Concat<axis=1>(p, q)
            y = MatMul(j, w2)
        }""",
        {"w1": (3, 20), "w2": (20, 3), "sizes": np.array([7, 13])},
    )
    result = op.prune(model, 0.4, round_to=4)
    assert result.model.constants["w1"].shape == (3, 12)
    parts = result.model.constants["sizes"].numpy()
    assert parts.sum() == 12
    assert abs(parts[0] - 0.6 * 7) < 1
    assert result.verify().passed


def test_heads_count_with_their_size() -> None:
    """Eight heads of 4 in steps of 16: four of them, not 5.6."""
    analysis, groups = prepared(
        """g (float[2,5,8] x) => (float[2,5,8] y) {
            a = MatMul(x, w1)  b = Reshape(a, cut)  c = Softmax<axis=2>(b)
            d = Reshape(c, join)  y = MatMul(d, w2)
        }""",
        {
            "w1": (8, 32),
            "w2": (32, 8),
            "cut": np.array([2, 5, 8, 4]),
            "join": np.array([2, 5, 32]),
        },
    )
    counts = kept_counts(analysis, dict.fromkeys(groups.values(), 0.3), 16)
    assert [(group.size, count) for group, count in counts.items()] == [(8, 4)]


def test_blocks_of_a_quantized_weight_are_no_widths() -> None:
    """Six blocks of 16: any number of them is a multiple."""
    text = """<ir_version: 8, opset_import: ["": 17, "com.microsoft": 1]>
    g (float[2,64] x) => (float[2,5] y) {
        h = com.microsoft.MatMulNBits<K=64, N=96, bits=4, block_size=16>(x, w1, s1)
        r = Relu(h)
        y = com.microsoft.MatMulNBits<K=96, N=5, bits=4, block_size=16>(r, w2, s2)
    }"""
    rng = np.random.default_rng(0)
    analysis, groups = prepared(
        text,
        {
            "w1": rng.integers(0, 256, (96, 4, 8), np.uint8),
            "s1": (96 * 4,),
            "w2": rng.integers(0, 256, (5, 6, 8), np.uint8),
            "s2": (5 * 6,),
        },
    )
    assert groups["w1"].size == 6
    assert groups["w1"].parameters == 96 * 64 + 96 * 4 + 5 * 96 + 5 * 6
    assert kept_counts(analysis, {groups["w1"]: 0.15}, "auto")[groups["w1"]] == 5
    assert kept_counts(analysis, {groups["w1"]: 0.15}, 32)[groups["w1"]] == 6


def test_scales_beside_a_weight_are_no_widths() -> None:
    """Three blocks of 32, of which the scales have three elements."""
    analysis, groups = prepared(
        """<ir_version: 10, opset_import: ["": 21]>
        g (float[2,5] x) => (float[2,7] y) {
            d1 = DequantizeLinear<axis=0, block_size=5>(w1, s1)
            h = MatMul(x, d1)
            d2 = DequantizeLinear<axis=0, block_size=32>(w2, s2)
            y = MatMul(h, d2)
        }""",
        {
            "w1": np.ones((5, 96), np.int8),
            "s1": (1, 96),
            "w2": np.ones((96, 7), np.int8),
            "s2": (3, 7),
        },
    )
    assert kept_counts(analysis, {groups["w1"]: 0.3}, "auto")[groups["w1"]] == 2
