"""What may become sparse, and what may not, with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import pytest

from onnxprune.coupling.analysis import analyse
from onnxprune.ir.canonical import canonicalise
from onnxprune.passes.sparsify.layers import Layer, find_layers
from onnxprune.passes.work import Refusal
from tests.texts import Weight, f32, model_of

ROWS = np.ones((16, 8), np.int8)


def found(
    text: str, weights: Mapping[str, Weight], *ignore: str, **options: Any
) -> tuple[list[Layer], list[Refusal]]:
    model = model_of(text, weights, **options)
    return find_layers(analyse(canonicalise(model)), ignore)


@pytest.mark.parametrize(
    ("text", "shape", "channels"),
    [
        ("g (float[n,8] x) => (float[n,16] y) { y = MatMul(x, w) }", (8, 16), 8),
        ("g (float[3,8] x) => (float[3,5,16] y) { y = MatMul(x, w) }", (5, 8, 16), 8),
        ("g (float[n,8] x) => (float[n,16] y) { y = Gemm(x, w) }", (8, 16), 8),
        (
            'g (float[n,8] x) => (float[n,16] y) { y = Einsum<equation="nk,km->nm">(x, w) }',
            (8, 16),
            8,
        ),
        ("g (float[n,8] x) => (float[n,16] y) { y = Gemm<transB=1>(x, w) }", (16, 8), 8),
        ("g (float[n,8,9,9] x) => (float[n,6,7,7] y) { y = Conv(x, w) }", (6, 8, 3, 3), 8),
        ("g (float[n,1,9,9] x) => (float[n,6,7,7] y) { y = Conv(x, w) }", (6, 1, 3, 3), 1),
        ("g (float[n,8,9] x) => (float[n,6,7] y) { y = Conv<group=2>(x, w) }", (6, 4, 3), 4),
        ("g (float[n,8,9] x) => (float[n,8,7] y) { y = Conv<group=8>(x, w) }", (8, 1, 3), 1),
        ("g (float[n,8,9] x) => (float[n,6,11] y) { y = ConvTranspose(x, w) }", (8, 6, 3), 8),
        (
            "g (float[n,8,9] x) => (float[n,6,11] y) { y = ConvTranspose<group=2>(x, w) }",
            (8, 3, 3),
            4,
        ),
    ],
)
def test_what_products_sum_over(text: str, shape: tuple[int, ...], channels: int) -> None:
    layers, refused = found(text, {"w": shape})
    (layer,) = layers
    assert (layer.weight, layer.size) == ("w", prod(shape))
    assert layer.channels == (channels,)
    assert not refused


def test_what_adds_scales_and_looks_up_stays() -> None:
    layers, refused = found(
        """g (int64[n,3] ids) => (float[n,3,16] y) {
            e = Gather(table, ids)  p = Add(e, positions)
            h = LayerNormalization<axis=1>(p, scale, shift)
            m = MatMul(h, w)  g = Mul(m, gate)  y = Add(g, bias)
        }""",
        {
            "table": (20, 8),
            "positions": (3, 8),
            "scale": (3, 8),
            "shift": (3, 8),
            "w": (8, 16),
            "gate": (3, 16),
            "bias": (16,),
        },
    )
    assert [layer.weight for layer in layers] == ["w"]
    reasons = {refusal.reason: refusal.parameters for refusal in refused}
    assert {reason.removesuffix(" does not multiply by it") for reason in reasons} == {
        "Gather",
        "Add",
        "LayerNormalization",
        "Mul",
    }
    assert reasons["Gather does not multiply by it"] == 160


@pytest.mark.parametrize("head", ["y = Gemm<transB=1>(e, w)", "t = Transpose(w) y = MatMul(e, t)"])
def test_a_table_that_a_head_reads_as_well_stays(head: str) -> None:
    text = f"g (int64[n] i) => (float[n,16] y) {{ e = Gather(w, i)  {head} }}"
    layers, refused = found(text, {"w": (16, 8)})
    assert not layers
    assert [r.reason for r in refused] == ["Gather does not multiply by it"]


def test_a_head_that_decodes_the_integers_of_a_table_anew_has_its_own() -> None:
    """The canonical form gives each of them a view, so that the table stays."""
    layers, refused = found(
        """g (int64[n] i) => (float[n,16] y) {
            a = DequantizeLinear(w, s)  e = Gather(a, i)
            b = DequantizeLinear(w, s)  y = Gemm<transB=1>(e, b)
        }""",
        {"w": ROWS, "s": f32(0.5)},
    )
    assert [layer.weight for layer in layers] == ["b"]
    assert [r.reason for r in refused] == ["Gather does not multiply by it"]


def test_integers_are_told_of_by_what_they_are_decoded_to() -> None:
    layers, refused = found(
        """g (float[n,8] x) => (float[n,16] y) {
            d = DequantizeLinear<axis=0>(w, s, z)  y = Gemm<transB=1>(x, d)
        }""",
        {"w": ROWS, "s": f32(np.full(16, 0.5)), "z": np.ones(16, np.int8)},
    )
    assert [(layer.weight, layer.size) for layer in layers] == [("d", 128)]
    assert not refused


def test_integers_that_operators_read_stay() -> None:
    layers, refused = found(
        "g (int8[3,16] x) => (int32[3,8] y) { y = MatMulInteger(x, w) }", {"w": ROWS}
    )
    assert not layers
    assert refused[0].reason == "integers that operators read as such stay as they are"


def test_recurrent_weights_but_not_their_biases_and_states() -> None:
    layers, refused = found(
        """g (float[5,2,6] x) => (float[5,2,2,4] y) {
            y = LSTM<hidden_size=4, direction="bidirectional">(x, w, r, b, , h, c, p)
        }""",
        {
            "w": (2, 16, 6),
            "r": (2, 16, 4),
            "b": (2, 32),
            "h": (2, 2, 4),
            "c": (2, 2, 4),
            "p": (2, 12),
        },
    )
    assert [layer.weight for layer in layers] == ["w", "r"]
    assert all(form is None for layer in layers for form in layer.forms)
    assert sorted(refusal.parameters for refusal in refused) == [16, 16, 24, 64]


def test_what_matches_is_left_alone() -> None:
    text = "g (float[n,8] x) => (float[n,8] z) { y = MatMul(x, w)  z = Gemm(y, v) }"
    weights: dict[str, Weight] = {"w": (8, 8), "v": (8, 8)}
    for pattern, left in (("Gemm", "w"), ("z", "w"), ("MatMul", "v")):
        layers, refused = found(text, weights, pattern)
        assert [layer.weight for layer in layers] == [left]
        assert [r.reason for r in refused] == ["ignored as asked"]
    assert len(found(text, weights, "nothing")[0]) == 2


def test_one_reader_that_is_ignored_is_enough() -> None:
    text = "g (float[n,8] x) => (float[n,8] z) { y = MatMul(x, w)  z = Gemm(y, w) }"
    layers, refused = found(text, {"w": (8, 8)}, "Gemm")
    assert not layers
    assert [r.reason for r in refused] == ["ignored as asked"]
    (layer,), _ = found(text, {"w": (8, 8)})
    assert len(layer.forms) == 2


def test_what_the_model_gives_is_no_layer() -> None:
    layers, refused = found(
        "g (float[n,8] x) => (float[n,8] y, float[8,8] w) { y = MatMul(x, w) }", {"w": (8, 8)}
    )
    assert not layers
    assert [r.reason for r in refused] == ["the model gives it as an output"]


def test_weights_in_bodies() -> None:
    layers, _ = found(
        """g (bool c, float[2,8] x) => (float[2,8] y) {
            y = If(c) <then_branch = t () => (float[2,8] p) { p = MatMul(x, w) },
                       else_branch = e () => (float[2,8] q) { n = Neg(x)  q = Gemm(n, v) }>
        }""",
        {"w": (8, 8), "v": (8, 8)},
    )
    assert [layer.weight for layer in layers] == ["w", "v"]
