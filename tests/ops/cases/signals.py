"""Signals and patches."""

import numpy as np

from tests.ops.case import case, ints

CASES = (
    case("DFT", (2, 8, 5, 1), axis=1, blocked="x0.1 y0.13"),
    case("DFT", (2, 8, 5, 2), None, np.array(-2), inverse=1, opset=20, blocked="x0.23 y0.23"),
    case("STFT", (2, 32), np.array(4), None, np.array(8), onesided=1, blocked="x0.1 y0.123"),
    case(
        "Col2Im", (2, 12, 6), ints(3, 4), ints(2, 2), opset=18, partly="x0.1", blocked="x0.2 y0.23"
    ),
    case("CenterCropPad", (2, 5, 9, 7), ints(6, 8), axes=[2, 3], opset=18, blocked="x0.23 y0.23"),
    case("CenterCropPad", (2, 5), ints(3, 4), opset=18, blocked="x0.01 y0.01"),
)
