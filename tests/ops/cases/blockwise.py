"""Weights in blocks: whole and broken blocks, zero points packed, plain and absent, flat or not."""

from functools import partial

import numpy as np

from tests.ops.case import AnyArray, Draw, case, ints, weights, whole

contrib = partial(case, domain="com.microsoft", opset=1)


def packed(*shape: int, high: int = 255) -> AnyArray:
    """Constant bytes."""
    rng = np.random.default_rng(shape)
    return whole(*shape, high=high, dtype="uint8").sample(rng)


def scales(*shape: int) -> AnyArray:
    """Constant positive floats."""
    return Draw(shape, low=0.2).sample(np.random.default_rng(shape))


CASES = (
    contrib(
        "MatMulNBits",
        (2, 3, 96),
        packed(5, 3, 16),
        scales(5, 3),
        K=96,
        N=5,
        bits=4,
        block_size=32,
        blocked="x1.2",
        partly="x0.2",
    ),
    contrib(
        "MatMulNBits",
        (3, 128),
        packed(5, 4, 16),
        scales(20),
        packed(10),
        None,
        weights(5),
        K=128,
        N=5,
        bits=4,
        block_size=32,
        blocked="x1.2",
        partly="x0.1 x1.1 x2.0",
    ),
    contrib(
        "MatMulNBits",
        (3, 128),
        packed(5, 4, 16),
        scales(5, 4),
        packed(5, 2),
        K=128,
        N=5,
        bits=4,
        block_size=32,
        blocked="x1.2",
        partly="x0.1 x1.1 x2.1",
    ),
    contrib(
        "MatMulNBits",
        (3, 96),
        packed(5, 3, 16),
        scales(5, 3),
        packed(5, 2),
        K=96,
        N=5,
        bits=4,
        block_size=32,
        blocked="x0.1 x1.12 x2.1 x3.1",
    ),
    contrib(
        "MatMulNBits",
        (3, 96),
        packed(5, 3, 16),
        scales(5, 3),
        scales(5, 3),
        K=96,
        N=5,
        bits=4,
        block_size=32,
        blocked="x1.2",
        partly="x0.1",
    ),
    contrib(
        "MatMulNBits",
        (3, 80),
        packed(5, 3, 16),
        scales(5, 3),
        K=80,
        N=5,
        bits=4,
        block_size=32,
        blocked="x0.1 x1.12 x2.1",
    ),
    contrib(
        "MatMulNBits",
        (3, 96),
        packed(5, 3, 32),
        scales(5, 3),
        packed(5, 3),
        K=96,
        N=5,
        bits=8,
        block_size=32,
        blocked="x1.2",
        partly="x0.1",
    ),
    contrib(
        "GatherBlockQuantized",
        packed(7, 48),
        ints(3, 0, 5),
        scales(7, 3),
        bits=8,
        block_size=16,
        gather_axis=0,
        quantize_axis=1,
        blocked="x0.0 x2.0",
        partly="x0.1 y0.1",
    ),
    contrib(
        "GatherBlockQuantized",
        packed(7, 24),
        ints(3, 0, 5),
        scales(7, 3),
        bits=4,
        block_size=16,
        gather_axis=0,
        quantize_axis=1,
        blocked="x0.0 x2.0",
        partly="x0.1 y0.1",
    ),
    contrib(
        "GatherBlockQuantized",
        packed(7, 24),
        ints(3, 0, 5),
        scales(7, 3),
        packed(7, 2),
        bits=4,
        block_size=16,
        gather_axis=0,
        quantize_axis=1,
        blocked="x0.01 x2.01 x3.01 y0.1",
    ),
    contrib(
        "GatherBlockQuantized",
        packed(7, 48),
        ints(3, 0, 5),
        scales(7, 3),
        packed(7, 3),
        bits=8,
        block_size=16,
        gather_axis=0,
        quantize_axis=1,
        blocked="x0.0 x2.0 x3.0",
        partly="x0.1 y0.1",
    ),
)
