"""BERT in integers: one scale or one for each column, masks, a cache, tables present and absent."""

from typing import Any

from tests.ops.case import AnyArray, Case, Operand, byte_weights, contrib, scalar, weights, whole
from tests.ops.cases.quantized import SCALE, ZERO, byte, zero


def attention(
    *given: Operand, blocked: str = "x0.1 y0.1", scale: AnyArray = SCALE, **attributes: Any
) -> Case:
    """Four heads of five dimensions; behind the scales the mask, zero points and the past."""
    return contrib(
        "QAttention",
        byte(2, 3, 7),
        byte_weights(7, 60),
        weights(60),
        SCALE,
        scale,
        *given,
        num_heads=4,
        blocked=blocked,
        **attributes,
    )


def embedding(segments: Operand, kinds: Operand, *parameters: Operand, blocked: str) -> Case:
    """Tables of eight channels."""
    ids = whole(2, 3, high=4, dtype="int32")
    tables = byte_weights(7, 8), byte_weights(5, 8), kinds, byte_weights(8), byte_weights(1, 8)[0]
    return contrib(
        "QEmbedLayerNormalization",
        ids,
        segments,
        *tables,
        None,
        *parameters,
        outputs="y0 ~y1",
        blocked=blocked,
    )


NUMBER = scalar(0.02)
CASES = (
    attention(None, ZERO, zero(128)),
    attention(whole(2, low=1, high=3, dtype="int32"), ZERO, zero(128), unidirectional=1),
    attention(
        None,
        ZERO,
        zero(128),
        weights(2, 2, 4, 6, 5),
        outputs="y0 y1",
        blocked="x0.1 x8.03 y0.1 y1.03",
    ),
    embedding(
        whole(2, 3, high=1, dtype="int32"),
        byte_weights(2, 8),
        *[NUMBER] * 5,
        *[zero(128)] * 5,
        blocked="x0.1 x1.1 x2.0 x3.0 x4.0 y0.1",
    ),
    embedding(
        None,
        None,
        NUMBER,
        NUMBER,
        None,
        NUMBER,
        NUMBER,
        ZERO,
        ZERO,
        None,
        ZERO,
        ZERO,
        blocked="x0.1 x2.0 x3.0 y0.1",
    ),
)
