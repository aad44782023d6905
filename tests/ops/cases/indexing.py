"""Operators that look elements up by index."""

import numpy as np

from tests.ops.case import case, ints, scalar, whole

CASES = (
    case("Gather", (5, 3), scalar(2, "int64")),
    case("Gather", (3, 5, 4), scalar(-1, "int64"), axis=1, opset=11),
    case("Gather", (3, 5, 4), ints(4), axis=-2),
    case("Gather", (5, 3), whole(2, 4, high=4), blocked="x0.0"),
    case("Gather", (3, 5, 4), whole(2, high=4), axis=1, blocked="x0.1"),
    case("Gather", (3, 5, 4), whole(high=4), axis=1, blocked="x0.1"),
    case("Gather", (3, 6), ints(0, 2, 3), axis=1, blocked="x0.1"),
    case("GatherElements", (3, 5, 4), whole(3, 2, 4, high=4), axis=1, blocked="x0.1"),
    case("GatherElements", (3, 5), whole(2, 5, high=4), axis=1, blocked="x0.01 x1.0 y0.0"),
    case("GatherND", (3, 5, 4), whole(2, 2, high=2), blocked="x0.01 x1.1"),
    case("GatherND", (3, 5, 4), whole(3, 2, 1, high=4), batch_dims=1, blocked="x0.1"),
    case("GatherND", (3, 5), whole(4, 2, high=2), blocked="x0.01 x1.1"),
    case(
        "ScatterElements",
        (3, 5, 4),
        whole(3, 1, 4, low=2, high=2),
        (3, 1, 4),
        axis=1,
        blocked="x0.1 y0.1",
    ),
    case(
        "ScatterElements",
        (3, 5),
        np.array([[0, 1], [2, 0], [1, 2]]),
        (3, 2),
        axis=-1,
        blocked="x0.1 x2.1 y0.1",
    ),
    case("ScatterND", (3, 5, 4), ints(2, 0).reshape(2, 1), (2, 5, 4), blocked="x0.0 x2.0 y0.0"),
    case(
        "ScatterND",
        (3, 5, 4),
        np.array([[0, 1], [2, 3]]),
        (2, 4),
        blocked="x0.01 x2.0 y0.01",
        opset=11,
    ),
    *(case(name, (3, 5, 4), axis=1, blocked="x0.1") for name in ("ArgMax", "ArgMin")),
    case("ArgMax", (3, 5, 4), axis=-1, keepdims=0, blocked="x0.2"),
    case("ArgMax", (3, 5, 4), blocked="x0.0", opset=11),
)
