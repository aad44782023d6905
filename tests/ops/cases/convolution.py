"""Convolutions: ranks, groups, depthwise, strides and padding, with and without bias."""

from tests.ops.case import case

CASES = (
    case("Conv", (2, 4, 9), (6, 4, 3), (6,), opset=11, blocked="x0.2 x1.2 y0.2"),
    case("Conv", (2, 6, 9), (8, 3, 3), (8,), group=2, blocked="x0.2 x1.2 y0.2"),
    case("Conv", (2, 5, 7, 9), (4, 5, 3, 2), blocked="x0.23 x1.23 y0.23"),
    case(
        "Conv",
        (2, 12, 7, 9),
        (15, 4, 3, 2),
        (15,),
        group=3,
        pads=[1, 0, 1, 0],
        strides=[2, 1],
        blocked="x0.23 x1.23 y0.23",
    ),
    case("Conv", (1, 6, 7, 8), (6, 1, 3, 3), (6,), group=6, blocked="x0.23 x1.23 y0.23"),
    case("Conv", (1, 5, 7, 8), (10, 1, 3, 3), group=5, blocked="x0.23 x1.23 y0.23"),
    case("Conv", (2, 4, 3, 5), (6, 4, 1, 1), (6,), opset=22),
    case("Conv", (2, 4, 5, 7), (6, 2, 1, 3), (6,), group=2, blocked="x0.3 x1.3 y0.3"),
    case("Conv", (2, 4, 5, 7), (6, 4, 1, 1), strides=[1, 2], blocked="x0.3 y0.3"),
    case("Conv", (2, 4, 5, 7), (6, 4, 1, 1), pads=[0, 1, 0, 1], blocked="x0.3 y0.3"),
    case("Conv", (2, 4, 5), (6, 4, 1), auto_pad="SAME_LOWER"),
    case(
        "Conv",
        (1, 6, 5, 4, 3),
        (4, 3, 2, 2, 2),
        group=2,
        auto_pad="SAME_UPPER",
        blocked="x0.234 x1.234 y0.234",
    ),
    case("ConvTranspose", (2, 4, 9), (4, 6, 3), (6,), opset=11, blocked="x0.2 x1.2 y0.2"),
    case("ConvTranspose", (2, 5, 4, 3), (5, 4, 3, 2), blocked="x0.23 x1.23 y0.23"),
    case(
        "ConvTranspose",
        (2, 12, 4, 3),
        (12, 5, 3, 2),
        (15,),
        group=3,
        strides=[2, 2],
        output_padding=[1, 0],
        blocked="x0.23 x1.23 y0.23",
    ),
    case("ConvTranspose", (2, 4, 5, 3), (4, 6, 1, 2), (6,), blocked="x0.3 x1.3 y0.3"),
    case("ConvTranspose", (2, 4, 5), (4, 6, 1), strides=[2], blocked="x0.2 y0.2"),
    case("ConvTranspose", (1, 6, 4, 5), (6, 1, 3, 3), (6,), group=6, blocked="x0.23 x1.23 y0.23"),
    case(
        "ConvTranspose", (1, 6, 4, 3, 2), (6, 5, 2, 2, 2), group=2, blocked="x0.234 x1.234 y0.234"
    ),
)
