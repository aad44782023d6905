"""Pooling in one, two and three dimensions."""

import numpy as np

from tests.ops.case import case, floats, whole

BOXES = floats(1, 1, 5, 5, 0, 2, 6, 7, 2, 0, 8, 4).reshape(3, 4)
"""Regions as corners."""
NUMBERED = np.concatenate([floats(1, 0, 1)[:, None], BOXES], axis=1)
"""Regions behind the number of their sample."""

CASES = (
    *(
        case(name, (2, 3, 7, 8), kernel_shape=[2, 3], blocked="x0.23 y0.23")
        for name in ("AveragePool", "LpPool", "MaxPool")
    ),
    case("AveragePool", (2, 3, 8), kernel_shape=[3], strides=[2], blocked="x0.2 y0.2", opset=11),
    case(
        "AveragePool",
        (2, 3, 7, 8),
        kernel_shape=[3, 3],
        pads=[1, 1, 1, 1],
        count_include_pad=1,
        blocked="x0.23 y0.23",
        opset=19,
    ),
    *(
        case(name, (2, 3, 7, 8), kernel_shape=[1, 2], strides=[1, 2], blocked="x0.3 y0.3")
        for name in ("AveragePool", "LpPool", "MaxPool")
    ),
    case("AveragePool", (2, 3, 7), kernel_shape=[1], strides=[3], blocked="x0.2 y0.2"),
    case("MaxPool", (2, 3, 6, 5, 4), kernel_shape=[2, 2, 2], blocked="x0.234 y0.234"),
    *(
        case(name, (2, 3, 7, 8), blocked="x0.23")
        for name in ("GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool")
    ),
    case("GlobalAveragePool", (2, 3, 8), blocked="x0.2"),
    case("GridSample", (2, 3, 5, 4), (2, 6, 7, 2), blocked="x0.23 x1.3"),
    case(
        "MaxPool",
        (2, 3, 7, 8),
        kernel_shape=[2, 2],
        outputs="y0 y1",
        blocked="x0.0123 y0.0123 y1.0123",
    ),
    case(
        "RoiAlign",
        (2, 5, 9, 7),
        BOXES,
        np.array([1, 0, 1]),
        output_height=2,
        output_width=3,
        blocked="x0.023 x1.1 y0.23",
    ),
    case(
        "RoiAlign",
        (2, 5, 9, 7),
        BOXES,
        whole(3, high=1),
        opset=10,
        mode="max",
        blocked="x0.023 x1.1",
    ),
    case("MaxRoiPool", (2, 5, 9, 7), NUMBERED, pooled_shape=[2, 3], blocked="x0.023 x1.1 y0.23"),
)
