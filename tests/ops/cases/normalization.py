"""Normalisations: over channels, rows, groups, batches; every form that the definitions had."""

from tests.ops.case import Draw, case

CASES = (
    case("BatchNormalization", (2, 3, 4, 5), (3,), (3,), (3,), Draw((3,), low=0.2), opset=9),
    case("BatchNormalization", (2, 3, 4), (3,), (3,), (3,), Draw((3,), low=0.2), epsilon=1e-3),
    case("BatchNormalization", (2, 3), (3,), (3,), (3,), Draw((3,), low=0.2), opset=15),
    case("BatchNormalization", (6, 3, 4, 5), *[(3,)] * 3, Draw((3,), low=0.2), training_mode=1),
    case(
        "BatchNormalization",
        (6, 3, 4, 5),
        *[(3,)] * 3,
        Draw((3,), low=0.2),
        training_mode=1,
        outputs="y0 y1 y2",
        blocked="x0.023 y0.023",
    ),
    case("InstanceNormalization", (2, 3, 4, 5), (3,), (3,)),
    case("InstanceNormalization", (2, 3, 8), (3,), (3,), opset=22),
    case("GroupNormalization", (2, 12, 4, 5), (3,), (3,), num_groups=3, opset=18),
    case("GroupNormalization", (2, 12, 5), (3,), (3,), num_groups=3, epsilon=1e-2, opset=18),
    case("GroupNormalization", (2, 12, 4, 5), (12,), (12,), num_groups=3, opset=21),
    case("GroupNormalization", (2, 6, 7), (6,), (6,), num_groups=1, opset=21),
    case("LayerNormalization", (2, 3, 8), (8,), (8,)),
    case("LayerNormalization", (2, 3, 8), (8,)),
    case("LayerNormalization", (2, 3, 4, 5), (3, 4, 5), (3, 4, 5), axis=1),
    case("LayerNormalization", (2, 3, 4, 5), (4, 5), (4, 5), axis=-2, epsilon=1e-2),
    case("LayerNormalization", (2, 3, 4, 5), (1, 5), (5,), axis=-2),
    case("LayerNormalization", (2, 3, 8), (1,), axis=-1),
    case(
        "LayerNormalization", (2, 3, 8), (8,), (8,), outputs="y0 y1 y2", blocked="x0.2 x1.0 x2.0 y0.2"
    ),
    case("LayerNormalization", (2, 3, 8), (8,), None, outputs="y0 - y2", blocked="x0.2 x1.0 y0.2"),
    case("RMSNormalization", (2, 3, 8), (8,), opset=23),
    case("RMSNormalization", (2, 3, 4, 5), (4, 5), axis=-2, opset=23),
    *(case("LpNormalization", (2, 3, 8), p=p, axis=axis) for p in (1, 2) for axis in (-1, 1)),
    *(case(name, (2, 3, 8)) for name in ("Softmax", "LogSoftmax")),
    *(case(name, (2, 3, 8), axis=1) for name in ("Softmax", "LogSoftmax")),
    *(case(name, (2, 3, 8), opset=11) for name in ("Softmax", "LogSoftmax")),
    *(case(name, (2, 3, 4), axis=-1, opset=11) for name in ("Softmax", "LogSoftmax")),
    case("Softmax", (2, 3, 4), axis=0, opset=11),
    case("Softmax", Draw((2, 3, 8), "float16")),
    case("Softmax", Draw((2, 8), "float64")),
    case("LayerNormalization", *[Draw(s, "float16") for s in ((2, 3, 8), (8,), (8,))]),
)
