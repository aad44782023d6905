"""Mixtures of experts: tokens in rows and in sequences, gates, and integers in blocks.

There are 4 experts, of which 2 are chosen.
"""

from typing import Any

import numpy as np

from tests.ops.case import AnyArray, Case, Operand, byte_weights, contrib, positive, weights


def scales(*shape: int) -> AnyArray:
    """A constant of small positive floats."""
    return np.abs(weights(*shape)) / np.float32(16)


def quantized(
    channels: tuple[str, ...],
    bits: int,
    *operands: Operand,
    weights_prepacked: int = 0,
    blocked: str = "",
    **attributes: Any,
) -> Case:
    """Experts of integers.

    Args:
        channels: axes that hold channels of the input and of experts, of which blocks go whole.
        bits: of an integer.
        operands: behind the router.
        weights_prepacked: as the attribute.
        blocked: as for `case`.
        attributes: beside these.
    """
    return contrib(
        "QMoE",
        (6, 16),
        (6, 4),
        *operands,
        k=2,
        expert_weight_bits=bits,
        weights_prepacked=weights_prepacked,
        blocked=blocked,
        partly=" ".join(channels),
        **attributes,
    )


_EXPERTS = ((4, 7, 5), (4, 7), (4, 5, 7), (4, 5))
_GATED = ((4, 14, 5), (4, 14), (4, 5, 7), (4, 5))

CASES = (
    contrib("MoE", (2, 3, 5), (6, 4), *_EXPERTS, k=2),
    contrib(
        "MoE", (6, 5), (6, 4), *_EXPERTS, k=3, activation_type="silu", normalize_routing_weights=1
    ),
    contrib("MoE", (6, 5), (6, 4), (4, 7, 5), None, (4, 5, 7), activation_type="gelu"),
    contrib(
        "MoE",
        (2, 3, 5),
        (6, 4),
        *[weights(*shape) for shape in _GATED],
        k=2,
        activation_type="swiglu",
        swiglu_fusion=1,
        activation_alpha=1.7,
        activation_beta=1.0,
        partly="x2.1 x3.1",
    ),
    quantized(
        (), 8, byte_weights(4, 8, 16), scales(4, 8), None, byte_weights(4, 16, 8), scales(4, 16)
    ),
    quantized(
        ("x0.1", "x2.1", "x3.1", "x4.1", "x5.1", "x6.1", "x7.1", "y0.1"),
        4,
        byte_weights(4, 6, 8),
        scales(4, 6),
        weights(4, 6),
        byte_weights(4, 16, 3),
        scales(4, 16),
        weights(4, 16),
        activation_type="silu",
        normalize_routing_weights=1,
    ),
    quantized(
        ("x2.1", "x3.1", "x4.1"),
        8,
        byte_weights(4, 12, 16),
        scales(4, 12),
        weights(4, 12),
        byte_weights(4, 16, 6),
        scales(4, 16),
        activation_type="swiglu",
        swiglu_fusion=1,
    ),
    quantized(
        (),
        8,
        byte_weights(4, 8, 16),
        scales(4, 8),
        None,
        byte_weights(4, 16, 8),
        scales(4, 16),
        weights_prepacked=-1,
        blocked="x0.1 x2.12 x3.1 x5.12 x6.1 y0.1",
    ),
    contrib(
        "QMoE",
        (6, 64),
        (6, 4),
        byte_weights(4, 32, 32),
        scales(4, 32, 4),
        weights(4, 32),
        byte_weights(4, 64, 16),
        scales(4, 64, 2),
        k=2,
        expert_weight_bits=4,
        block_size=16,
        weights_prepacked=0,
        partly="x0.1 x2.12 x3.1 x4.1 x5.12 x6.1 y0.1",
    ),
    contrib(
        "QMoE",
        (6, 16),
        (6, 4),
        byte_weights(4, 8, 16),
        scales(4, 8),
        None,
        byte_weights(4, 16, 8),
        scales(4, 16),
        *[None] * 7,
        positive(6, 4),
        k=2,
        expert_weight_bits=8,
        weights_prepacked=0,
    ),
)
