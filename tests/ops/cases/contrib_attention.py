"""ONNX Runtime's attention: layouts, biases, masks, caches, shared heads, rotary positions.

Batch, places, heads and dimensions are 2, 3, 4 and 5; values have 6 dimensions where they may have
their own. Heads that share keys are 3 for each of 2, with 8 dimensions.
"""

from typing import Any

import numpy as np

from tests.ops import functions
from tests.ops.case import Case, Operand, contrib, ints, weights, whole


def lengths(*shape: int, high: int = 1) -> Operand:
    """Masks of places, or how many there are."""
    return whole(*shape, low=1, high=high, dtype="int32")


def int32(*values: int) -> Operand:
    """A constant vector."""
    return np.array(values, dtype=np.int32)


def attention(
    *given: Operand | tuple[int, ...],
    blocked: str = "x0.1 y0.1",
    values: int = 20,
    **attributes: Any,
) -> Case:
    """Attention of four heads over 7 channels, with constant weights.

    Args:
        given: the operands behind the bias.
        blocked: as for `case`.
        values: the width of all values.
        attributes: beside the number of heads.
    """
    width = 40 + values
    if values != 20:
        attributes["qkv_hidden_sizes"] = [20, 20, values]
    return contrib(
        "Attention",
        (2, 3, 7),
        weights(7, width),
        weights(width),
        *given,
        blocked=blocked,
        num_heads=4,
        **attributes,
    )


def grouped(
    *given: Operand | tuple[int, ...],
    blocked: str = "x0.1 x1.1 x2.1 y0.1",
    dims: int = 8,
    places: int = 3,
    **attributes: Any,
) -> Case:
    """Attention of six heads of which three share a key; what is there behind the values."""
    return contrib(
        "GroupQueryAttention",
        (2, places, 6 * dims),
        (2, places, 2 * dims),
        (2, places, 2 * dims),
        *(given or (None, None, int32(2, 1), np.array(3, dtype=np.int32))),
        blocked=blocked,
        partly="x0.2 x1.2 x2.2 y0.2",
        num_heads=6,
        kv_num_heads=2,
        **attributes,
    )


_LENGTHS = int32(2, 1), np.array(3, dtype=np.int32)
_LOOSE = (2, 3, 20), (2, 6, 20), (2, 6, 24)
_PLACES = whole(2, 3, high=9)
_TURNS = weights(10, 3), weights(10, 3)

CASES = (
    attention(),
    attention(values=24),
    attention(values=24, scale=0.3),
    contrib(
        "Attention",
        (2, 3, 7),
        (7, 60),
        weights(60),
        num_heads=4,
        unidirectional=1,
        blocked="x0.1 y0.1",
    ),
    attention(lengths(2, high=3)),
    attention(int32(3, 2, 0, 1), blocked="x0.1 y0.1"),
    attention(lengths(2, 3), blocked="x0.1 x3.1 y0.1"),
    attention(lengths(2, 3, 3), blocked="x0.1 x3.12 y0.1"),
    attention(int32(*range(8)), blocked="x0.01 y0.01"),
    attention(None, None, (2, 4, 3, 3), blocked="x0.1 x5.23 y0.1"),
    attention(None, None, (1, 1, 3, 3), blocked="x0.1 x5.23 y0.1", values=24),
    attention(outputs="y0 y1", blocked="x0.1 y0.1 y1.03"),
    attention(None, weights(2, 2, 4, 6, 5), outputs="y0 y1", blocked="x0.1 x4.03 y0.1 y1.03"),
    contrib("MultiHeadAttention", *_LOOSE, num_heads=4, blocked="x1.1 x2.1"),
    contrib("MultiHeadAttention", *_LOOSE, weights(64), num_heads=4, blocked="x1.1 x2.1"),
    contrib(
        "MultiHeadAttention",
        *_LOOSE,
        None,
        lengths(2, 6),
        (1, 4, 3, 6),
        num_heads=4,
        scale=0.2,
        blocked="x1.1 x2.1 x4.1 x5.3",
    ),
    contrib(
        "MultiHeadAttention",
        (2, 3, 20),
        (2, 3, 20),
        (2, 3, 20),
        weights(60),
        None,
        None,
        weights(2, 4, 6, 5),
        weights(2, 4, 6, 5),
        num_heads=4,
        unidirectional=1,
        outputs="y0 y1 y2",
        blocked="x0.1 x1.1 x2.1 x6.2 x7.2 y0.1 y1.2 y2.2",
    ),
    contrib(
        "MultiHeadAttention",
        (2, 3, 20),
        (2, 3, 20),
        (2, 3, 24),
        num_heads=4,
        outputs="y0 y1 y2",
        blocked="x1.1 x2.1 y1.2 y2.2",
    ),
    contrib(
        "MultiHeadAttention",
        (2, 3, 20),
        (2, 4, 6, 5),
        (2, 4, 6, 5),
        num_heads=4,
        blocked="x1.2 x2.2",
    ),
    contrib(
        "DecoderMaskedMultiHeadAttention",
        *[(2, 1, 20)] * 3,
        None,
        None,
        weights(2, 4, 9, 5),
        weights(2, 4, 9, 5),
        int32(6),
        int32(1),
        np.zeros((2, 1, 9), dtype=np.int32),
        weights(60),
        num_heads=4,
        past_present_share_buffer=1,
        outputs="y0 y1 y2",
        blocked="x5.2 x6.2 y1.2 y2.2",
    ),
    contrib(
        "DecoderMaskedMultiHeadAttention",
        (2, 1, 20),
        (2, 4, 6, 5),
        (2, 4, 6, 5),
        num_heads=4,
        blocked="x1.2 x2.2",
    ),
    grouped(),
    grouped(None, None, *_LENGTHS, outputs="y0 y1 y2", blocked="x0.1 x1.1 x2.1 y0.1 y1.23 y2.23"),
    grouped(
        weights(2, 2, 5, 16),
        weights(2, 2, 5, 16),
        int32(5, 5),
        np.array(6, dtype=np.int32),
        weights(10, 8),
        weights(10, 8),
        dims=16,
        places=1,
        do_rotary=1,
        outputs="y0 y1 y2",
        blocked="x3.23 x4.23 x7.01 x8.01 y1.23 y2.23",
    ),
    grouped(
        None,
        None,
        *_LENGTHS,
        None,
        None,
        None,
        (2, 6, 3, 3),
        (6,),
        blocked="x0.1 x1.1 x2.1 x10.23 y0.1",
    ),
    contrib(
        "GroupQueryAttention",
        (2, 3, 80),
        None,
        None,
        None,
        None,
        *_LENGTHS,
        num_heads=6,
        kv_num_heads=2,
        blocked="x0.1 y0.1",
        partly="x0.2 y0.2",
    ),
    contrib(
        "RotaryEmbedding", (2, 3, 24), _PLACES, *_TURNS, blocked="x2.0 x3.0", partly="x0.2 y0.2"
    ),
    contrib(
        "RotaryEmbedding",
        (2, 3, 24),
        ints(4),
        *_TURNS,
        interleaved=1,
        blocked="x0.1 x2.0 x3.0 y0.1",
        partly="x0.2 y0.2",
    ),
    contrib(
        "RotaryEmbedding",
        (2, 4, 3, 6),
        _PLACES,
        *_TURNS,
        num_heads=4,
        blocked="x2.0 x3.0",
        partly="x0.3 y0.3",
    ),
    *(
        contrib(
            "RotaryEmbedding",
            shape,
            _PLACES,
            *_TURNS,
            num_heads=4,
            rotary_embedding_dim=6,
            interleaved=kind,
            blocked="x2.0 x3.0",
            partly=f"x0.{axis} y0.{axis}",
        )
        for shape, axis in (((2, 3, 40), 2), ((2, 4, 3, 10), 3))
        for kind in (0, 1)
    ),
    contrib(
        "MRotaryEmbedding",
        (2, 3, 24),
        whole(3, 2, 3, high=9),
        *_TURNS,
        num_heads=4,
        mrope_section=[1, 1, 1],
        blocked="x1.0 x2.01 x3.01",
        partly="x0.2 y0.2",
    ),
    *(
        contrib(
            "LinearAttention",
            (2, 3, q * 5),
            (2, 3, kv * 5),
            (2, 3, kv * 6),
            *rest,
            q_num_heads=q,
            kv_num_heads=kv,
            update_rule=rule,
            outputs="y0 y1",
            blocked="x0.1 x1.1 x2.1 y0.1 " + " ".join(f"x{i}.1" for i in range(4, 3 + len(rest))),
        )
        for q, kv, rule, rest in (
            (6, 2, "linear", ()),
            (2, 6, "linear", ()),
            (6, 2, "gated_delta", (weights(2, 2, 5, 6), (2, 3, 2), (2, 3, 2))),
            (6, 2, "gated_delta", (weights(2, 2, 5, 6), (2, 3, 10), (2, 3, 1))),
            (2, 6, "gated", (None, (2, 3, 6))),
        )
    ),
    # No kernel on the CPU.
    contrib(
        "MultiHeadAttention",
        (2, 3, 4, 3, 5),
        num_heads=4,
        blocked="x0.13 y0.1",
        means=functions.PACKED_QKV,
    ),
    contrib(
        "MultiHeadAttention",
        (2, 3, 20),
        (2, 6, 4, 2, 5),
        num_heads=4,
        scale=0.3,
        blocked="x1.13",
        means=functions.PACKED_KV,
    ),
    contrib(
        "DecoderMaskedSelfAttention",
        (2, 1, 7),
        weights(7, 60),
        weights(60),
        None,
        weights(2, 2, 4, 6, 5),
        None,
        int32(6),
        num_heads=4,
        outputs="y0 y1",
        blocked="x4.03 y1.03",
        means=functions.DECODER_SELF_ATTENTION,
    ),
    contrib(
        "PackedAttention",
        (6, 7),
        weights(7, 64),
        weights(64),
        np.arange(6, dtype=np.int32).reshape(1, 6),
        int32(0, 6),
        num_heads=4,
        qkv_hidden_sizes=[20, 20, 24],
        blocked="x0.0 y0.0",
        means=functions.PACKED_ATTENTION,
    ),
    contrib(
        "PackedMultiHeadAttention",
        (6, 20),
        (6, 20),
        (6, 24),
        weights(64),
        np.arange(6, dtype=np.int32).reshape(1, 6),
        int32(0, 6),
        num_heads=4,
        blocked="x0.0 x1.0 x2.0 y0.0",
        means=functions.PACKED_MULTI_HEAD,
    ),
    contrib(
        "PagedAttention",
        (5, 48),
        (5, 16),
        (5, 16),
        weights(4, 9, 2, 8),
        weights(4, 9, 2, 8),
        int32(0, 5),
        int32(0),
        np.array([[0, 1]], dtype=np.int32),
        num_heads=6,
        kv_num_heads=2,
        blocked="x0.0 x1.0 x2.0 x3.013 x4.013 y0.0",
        partly="x0.1 x1.1 x2.1 y0.1",
        means=functions.PAGED_ATTENTION,
    ),
    *(
        contrib(
            "SparseAttention",
            (1, 3, 48),
            (1, 3, 16),
            (1, 3, 16),
            (1, 2, 32, 8),
            (1, 2, 32, 8),
            np.array([[0, 1, 3]] * layouts, dtype=np.int32),
            np.array([[0, 0, 1]] * layouts, dtype=np.int32),
            np.array(3, dtype=np.int32),
            int32(3),
            num_heads=6,
            kv_num_heads=2,
            sparse_block_size=16,
            outputs="y0 y1 y2",
            blocked=blocked,
            partly=partly,
            means=functions.SPARSE_ATTENTION,
        )
        for layouts, blocked, partly in (
            (1, "x0.1 x1.1 x2.1 x3.23 x4.23 y0.1 y1.23 y2.23", "x0.2 x1.2 x2.2 y0.2"),
            (2, "x0.12 x1.12 x2.12 x3.123 x4.123 y0.12 y1.123 y2.123", ""),
        )
    ),
    contrib(
        "GemmaRotaryEmbedding",
        (2, 3, 6),
        *[(2, 4, 3, 6)] * 4,
        outputs="y0 y1",
        means=functions.GEMMA_ROTARY,
    ),
    contrib(
        "GatedRelativePositionBias",
        (2, 3, 20),
        (20,),
        (1, 4, 3, 3),
        weights(5, 8),
        weights(8),
        (1, 4, 1, 1),
        num_heads=4,
        partly="x3.1 x4.0",
        means=functions.GATED_POSITION_BIAS,
    ),
)
