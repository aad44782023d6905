"""Operators that repeat elements or make tensors from sizes."""

from tests.ops.case import case, floats, ints, scalar

CASES = (
    case("Expand", (3, 1), ints(2, 3, 4)),
    case("Expand", (2, 3, 4), ints(2, 3, 4)),
    case("Expand", (2, 3, 4), ints(1, 1, 1)),
    case("Expand", (2, 3, 4), ints(4), opset=8),
    case("Expand", (1, 3, 1), ints(5, 1, 4)),
    case("Tile", (2, 3), ints(1, 1)),
    case("Tile", (2, 3), ints(2, 3), partly="y0.01"),
    case("Tile", (1, 3), ints(4, 1), opset=6),
    case("Tile", (1, 3, 1), ints(4, 2, 5), partly="y0.1"),
    case("Resize", (2, 3, 4, 5), floats(1, 1, 2, 2), opset=10, blocked="x1.0 x0.23 y0.23"),
    case(
        "Resize", (2, 3, 4, 5), floats(), floats(1, 1, 2, 2), opset=11, blocked="x2.0 x0.23 y0.23"
    ),
    case("Resize", (2, 3, 4, 5), None, floats(1, 1, 2, 1), opset=13, blocked="x2.0 x0.2 y0.2"),
    case("Resize", (2, 3, 4, 5), None, None, ints(2, 3, 8, 9), opset=13, blocked="x0.23 y0.23"),
    case(
        "Resize",
        (2, 3, 4, 5),
        floats(),
        floats(),
        ints(2, 3, 8, 9),
        opset=11,
        mode="linear",
        coordinate_transformation_mode="align_corners",
        blocked="x0.23 y0.23",
    ),
    case(
        "Resize", (2, 3, 4, 5), None, None, ints(8, 9), axes=[2, 3], opset=18, blocked="x0.23 y0.23"
    ),
    case(
        "Resize",
        (2, 3, 4, 5),
        None,
        floats(2, 2),
        axes=[2, 3],
        opset=19,
        blocked="x2.0 x0.23 y0.23",
    ),
    case(
        "Resize", (2, 3, 4, 5), None, None, ints(3, 9), axes=[1, 3], opset=18, blocked="x0.3 y0.3"
    ),
    case(
        "Resize",
        (2, 4, 3, 5),
        None,
        None,
        ints(7, 3),
        axes=[3, 2],
        keep_aspect_ratio_policy="not_larger",
        opset=18,
        blocked="x0.23 y0.23",
    ),
    case(
        "Resize",
        (2, 3, 4, 5),
        floats(0, 0, 0, 0.2, 1, 1, 1, 0.8),
        None,
        ints(2, 3, 4, 5),
        coordinate_transformation_mode="tf_crop_and_resize",
        mode="linear",
        opset=18,
        blocked="x1.0 x0.3 y0.3",
    ),
    case(
        "Resize",
        (2, 3, 4, 5),
        None,
        floats(1, 1, 1.2, 1),
        mode="linear",
        opset=13,
        blocked="x2.0 x0.2 y0.2",
    ),
    case("Upsample", (2, 3, 4, 5), scales=[1.0, 1.0, 2.0, 2.0], opset=7, blocked="x0.23 y0.23"),
    case("Upsample", (2, 3, 4, 5), floats(1, 1, 2, 2), opset=9, blocked="x1.0 x0.23 y0.23"),
    case("ConstantOfShape", ints(2, 3, 4)),
    case("ConstantOfShape", ints(5), opset=9),
    case("Shape", (2, 3, 4), blocked="y0.0"),
    case("Shape", (2, 3, 4), opset=15, start=1, blocked="y0.0"),
    case("Size", (2, 3), blocked="x0.01"),
    case("Range", *[scalar(v, "int64") for v in (0, 6, 1)], blocked="y0.0"),
    case("Range", *[scalar(v) for v in (0.5, 4.0, 0.5)], opset=11, blocked="y0.0"),
)
