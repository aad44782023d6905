"""What integers of quantized operands stand for, held against what operators make of them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.ops.bench import build, run
from tests.ops.case import AnyArray, Case, byte_weights, case, contrib, whole
from tests.ops.cases.blockwise import scales


def drawn(*shape: int) -> AnyArray:
    """A constant of random signed bytes, none of them at the end of the range."""
    return whole(*shape, low=-100, high=100, dtype="int8").sample(np.random.default_rng(shape))


def eye(size: int) -> AnyArray:
    return np.eye(size, dtype=np.float32)


DECODED = [
    case("DequantizeLinear", drawn(2, 5, 3), scales(1)[0], np.array(7, np.int8)),
    case("DequantizeLinear", drawn(2, 5, 3), scales(5), drawn(5), axis=1),
    case("DequantizeLinear", drawn(2, 5, 3), scales(3), axis=-1),
    case(
        "DequantizeLinear",
        drawn(12, 5),
        scales(4, 5),
        drawn(4, 5),
        axis=0,
        block_size=3,
        opset=21,
    ),
    case("DequantizeLinear", drawn(11, 5), scales(4, 5), axis=0, block_size=3, opset=21),
]
TRANSPOSED = [
    contrib(
        "MatMulNBits",
        eye(128),
        byte_weights(5, 4, 16),
        scales(5, 4),
        *zeros,
        K=128,
        N=5,
        bits=4,
        block_size=32,
    )
    for zeros in ((), (byte_weights(5, 2),), (scales(5, 4),))
]


def decoded(case: Case) -> tuple[AnyArray, AnyArray]:
    """What an encoding says of an operand, and what the operator makes."""
    bench = build(case)
    placed = bench.analysis.placed[0]
    assert placed.operator is not None
    read = placed.reader(bench.model.constants)
    numbers = placed.operator.encodings[-1].decoded(placed.site, read)
    return numbers, run(case, bench.model, bench.feeds, bench.wanted)["y0"]


@pytest.mark.parametrize("case", DECODED, ids=lambda case: case.title)
def test_integers_are_decoded_as_the_operator_does(case: Case) -> None:
    numbers, made = decoded(case)
    np.testing.assert_allclose(numbers, made, rtol=1e-6)


@pytest.mark.parametrize("case", TRANSPOSED, ids=lambda case: case.title)
def test_packed_integers_are_decoded_as_the_operator_does(case: Case) -> None:
    numbers, made = decoded(case)
    np.testing.assert_allclose(numbers.reshape(len(numbers), -1).T, made, rtol=1e-4, atol=1e-4)


def test_columns_have_scales_of_their_own() -> None:
    wide = contrib(
        "MatMulIntegerToFloat",
        eye(4).astype(np.uint8),
        drawn(4, 5),
        np.array(1.0, np.float32),
        scales(5),
        np.array(0, np.uint8),
        drawn(5),
    )
    numbers, made = decoded(wide)
    np.testing.assert_allclose(numbers, made, rtol=1e-5)


@pytest.mark.parametrize("case", DECODED, ids=lambda case: case.title)
def test_numbers_become_the_integers_that_they_came_from(case: Case) -> None:
    placed = build(case).analysis.placed[0]
    assert placed.operator is not None
    constants = build(case).model.constants
    read, (encoding,) = placed.reader(constants), placed.operator.encodings
    numbers = encoding.decoded(placed.site, read)
    stored = read(0)
    assert stored is not None
    assert np.array_equal(encoding.encoded(placed.site, read, numbers), stored)
    beyond = encoding.encoded(placed.site, read, np.full_like(numbers, 1e9))
    assert beyond.dtype == stored.dtype
    assert (beyond == np.iinfo(stored.dtype).max).all()
