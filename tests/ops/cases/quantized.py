"""Quantized operators: each parameter as a scalar, as a vector, per channel, per block, absent."""

from dataclasses import replace
from functools import partial

import numpy as np

from tests.ops import functions
from tests.ops.case import (
    AnyArray,
    byte_weights,
    case,
    contrib,
    flags,
    floats,
    positive,
    scalar,
    whole,
)

byte = partial(whole, low=0, high=255, dtype="uint8")
signed = partial(whole, low=-128, high=127, dtype="int8")
wide = partial(whole, low=-900, high=900, dtype="int32")


def zero(*values: int, dtype: str = "uint8") -> AnyArray:
    """A constant vector of zero points; without values a scalar of 3."""
    return np.array(values or 3, dtype=dtype)


def signed_weights(*shape: int) -> AnyArray:
    """A constant of random signed bytes."""
    return signed(*shape).sample(np.random.default_rng(shape))


SCALE, ZERO = scalar(0.04), zero()
SIGNED_ZERO = zero(dtype="int8")
X = (SCALE, ZERO)

CASES = (
    case("QuantizeLinear", (2, 5, 3), SCALE, ZERO, opset=10),
    case("QuantizeLinear", (2, 5, 3), SCALE),
    case("QuantizeLinear", (2, 5, 3), positive(5), zero(1, 2, 3, 4, 5), axis=1),
    case("QuantizeLinear", (2, 5, 3), positive(3), zero(1, 2, 3, dtype="int8"), axis=-1),
    case(
        "QuantizeLinear",
        (2, 12, 3),
        positive(2, 4, 3),
        opset=21,
        axis=1,
        block_size=3,
        partly="x0.1 y0.1",
    ),
    case("DequantizeLinear", byte(2, 5, 3), SCALE, ZERO, opset=10),
    case("DequantizeLinear", signed(2, 5, 3), positive(5), zero(1, 2, 3, 4, 5, dtype="int8")),
    case("DequantizeLinear", signed(5, 7), positive(7), axis=1),
    case("DequantizeLinear", wide(5, 7), positive(5), axis=0),
    case("DequantizeLinear", wide(5), SCALE),
    case(
        "DequantizeLinear",
        signed(12, 5),
        positive(4, 5),
        signed(4, 5),
        opset=21,
        axis=0,
        block_size=3,
        partly="x0.0 y0.0",
    ),
    case(
        "DequantizeLinear",
        signed(11, 5),
        positive(4, 5),
        opset=21,
        axis=0,
        block_size=3,
        blocked="x0.0 x1.0 y0.0",
    ),
    contrib("QuantizeLinear", (2, 5, 3), positive(5), zero(1, 2, 3, 4, 5), axis=1),
    contrib("DequantizeLinear", byte(2, 5, 3), positive(5), zero(1, 2, 3, 4, 5), axis=1),
    case("DynamicQuantizeLinear", (4, 7), outputs="y0 y1 y2", opset=11),
    case(
        "ConvInteger",
        byte(2, 6, 7, 9),
        byte(8, 3, 3, 2),
        zero(7),
        zero(9),
        group=2,
        pads=[1, 0, 1, 0],
        blocked="x0.23 x1.23 y0.23",
    ),
    case("ConvInteger", byte(2, 4, 3, 5), signed(6, 4, 1, 1), ZERO),
    case("ConvInteger", byte(2, 4, 3, 5), signed(6, 4, 1, 1)),
    case(
        "QLinearConv",
        byte(2, 6, 7, 9),
        *X,
        signed(8, 3, 3, 2),
        floats(*np.linspace(0.01, 0.02, 8)),
        np.zeros(8, np.int8),
        scalar(4.0),
        zero(),
        wide(8),
        group=2,
        strides=[2, 1],
        blocked="x0.23 x3.23 y0.23",
    ),
    case(
        "QLinearConv", byte(2, 4, 3, 5), *X, byte(6, 4, 1, 1), *X, scalar(3.0), zero(128), opset=10
    ),
    case(
        "MatMulInteger",
        byte(3, 4),
        signed(4, 5),
        zero(7),
        zero(1, 2, 3, 4, 5, dtype="int8"),
        opset=10,
    ),
    case("MatMulInteger", byte(2, 3, 4), byte(4, 5), zero(7), zero(9)),
    case("MatMulInteger", byte(2, 6, 3, 4), byte(6, 4, 5), zero(7)),
    case("QLinearMatMul", byte(3, 4), *X, byte(4, 5), *X, scalar(1.5), zero(128), opset=10),
    case(
        "QLinearMatMul",
        byte(2, 3, 4),
        *X,
        signed(4, 5),
        positive(5),
        zero(*[0] * 5, dtype="int8"),
        scalar(1.5),
        zero(128),
        opset=21,
    ),
    contrib(
        "MatMulIntegerToFloat",
        byte(2, 3, 4),
        signed(4, 5),
        SCALE,
        positive(5),
        zero(7),
        zero(1, 2, 3, 4, 5, dtype="int8"),
        (5,),
    ),
    contrib("MatMulIntegerToFloat", byte(3, 4), byte(4, 5), SCALE, SCALE),
    contrib(
        "DynamicQuantizeMatMul",
        (3, 4),
        signed(4, 5),
        positive(5),
        zero(1, 2, 3, 4, 5, dtype="int8"),
        (5,),
    ),
    contrib("DynamicQuantizeMatMul", (2, 3, 4), byte(4, 5), SCALE, ZERO),
    contrib(
        "QGemm",
        byte(3, 4),
        *X,
        signed(5, 4),
        positive(5),
        np.zeros(5, np.int8),
        wide(5),
        scalar(2.0),
        ZERO,
        transB=1,
    ),
    contrib("QGemm", byte(3, 4), *X, byte(4, 5), *X),
    contrib("QLinearAdd", byte(2, 5, 3), *X, byte(5, 1), *X, scalar(0.1), ZERO),
    contrib(
        "QLinearMul",
        signed(2, 5),
        SCALE,
        SIGNED_ZERO,
        signed(2, 5),
        SCALE,
        SIGNED_ZERO,
        scalar(0.2),
        SIGNED_ZERO,
    ),
    contrib("QLinearLeakyRelu", byte(2, 5), *X, *X, alpha=0.2),
    contrib("QLinearSigmoid", byte(2, 5), *X, scalar(0.004), ZERO),
    contrib(
        "QLinearAveragePool", byte(2, 5, 7, 9), *X, *X, kernel_shape=[2, 3], blocked="x0.23 y0.23"
    ),
    contrib("QLinearGlobalAveragePool", byte(2, 5, 7, 9), *X, *X, channels_last=0, blocked="x0.23"),
    contrib("QLinearGlobalAveragePool", byte(2, 7, 9, 5), *X, *X, channels_last=1, blocked="x0.12"),
    contrib("QLinearConcat", *X, byte(2, 5), *X, byte(2, 3), *X, axis=1),
    replace(
        contrib("QLinearSoftmax", byte(2, 5, 3), *X, scalar(0.004), ZERO, blocked="x0.2 y0.2"),
        attributes={"axis": -1, "opset": 13},
    ),
    replace(
        contrib("QLinearSoftmax", byte(2, 5, 3), *X, scalar(0.004), ZERO, blocked="x0.12 y0.12"),
        attributes={"axis": 1, "opset": 12},
    ),
    contrib("QLinearWhere", flags(2, 5), byte(2, 5), *X, byte(5), *X, *X),
    contrib(
        "DynamicQuantizeLSTM",
        (3, 2, 5),
        signed_weights(1, 5, 16),
        signed_weights(1, 4, 16),
        (1, 32),
        None,
        None,
        None,
        None,
        floats(0.01),
        zero(0, dtype="int8"),
        floats(0.01),
        zero(0, dtype="int8"),
        hidden_size=4,
        blocked="x0.01 y0.02",
        partly="x1.2 x2.2 x3.1",
    ),
    contrib(
        "DynamicQuantizeLSTM",
        (3, 2, 5),
        byte_weights(2, 5, 16),
        byte_weights(2, 4, 16),
        (2, 32),
        None,
        (2, 2, 4),
        (2, 2, 4),
        None,
        floats(0.01, 0.02),
        zero(120, 130),
        floats(0.01, 0.03),
        zero(128, 131),
        direction="bidirectional",
        hidden_size=4,
        outputs="y0 y1 y2",
        blocked="x0.01 x5.01 x6.01 y0.012 y1.01 y2.01 x1.0 x2.0 x3.0 x8.0 x9.0 x10.0 x11.0",
        partly="x1.2 x2.2 x3.1",
    ),
    contrib(
        "ReduceSumInteger",
        signed(2, 5, 3),
        axes=[1],
        keepdims=0,
        means=functions.REDUCE_SUM_INTEGER,
    ),
    contrib(
        "QLinearReduceMean",
        byte(2, 5, 3),
        *X,
        *X,
        axes=[1],
        keepdims=1,
        blocked="x0.1",
        means=functions.QLINEAR_REDUCE_MEAN,
    ),
    contrib(
        "MulInteger", signed(2, 5), SIGNED_ZERO, signed(5), SIGNED_ZERO, means=functions.MUL_INTEGER
    ),
    contrib(
        "MatMulInteger16",
        whole(3, 4, dtype="int16"),
        whole(4, 5, dtype="int16"),
        means=functions.MATMUL_INTEGER_16,
    ),
)
