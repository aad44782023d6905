"""Operators that work index by index: alone, on equal shapes, and broadcasting every way."""

from tests.ops.case import Draw, case, flags, floats, positive, scalar, whole

_UNARY = (
    *((name, 17) for name in "Abs Atan Ceil Celu Cos Elu Erf Exp Floor HardSigmoid Identity".split()),
    *((name, 17) for name in "HardSwish LeakyRelu Neg Reciprocal Relu Round Selu Shrink".split()),
    *((name, 17) for name in "Sigmoid Sign Sin Softplus Softsign Tan Tanh ThresholdedRelu".split()),
    *((name, 22) for name in "Cosh Sinh Asinh Mish".split()),
    *((name, 13) for name in "IsNaN Erf".split()),
    ("IsInf", 20),
    ("Gelu", 20),
    ("Swish", 24),
)
_SHAPES = (
    ((2, 3, 4), (2, 3, 4)),
    ((2, 3, 4), (3, 1)),
    ((4,), (2, 3, 4)),
    ((2, 1, 4), (3, 1)),
    ((2, 3, 4), ()),
    ((1, 3, 1), (2, 1, 4)),
)

CASES = (
    *(case(name, (2, 3, 4), opset=opset) for name, opset in _UNARY),
    *(case(name, Draw((2, 3), low=-0.9, high=0.9)) for name in ("Acos", "Asin", "Atanh")),
    case("Acosh", Draw((2, 3), low=1.1)),
    case("Log", positive(2, 3)),
    case("Sqrt", positive(2, 3)),
    case("Not", flags(2, 3)),
    case("BitwiseNot", whole(2, 3, dtype="int32"), opset=18),
    case("Cast", (2, 3), to=6),
    case("Cast", (2, 3, 4), to=10),
    case("CastLike", (2, 3), whole(5, 4), opset=19),
    *(case(name, a, b) for name in ("Add", "Mul", "Sub") for a, b in _SHAPES),
    *(case("Div", a, positive(*b)) for a, b in _SHAPES),
    *(case("Pow", positive(*a), b) for a, b in _SHAPES),
    *(case("Mod", positive(*a), positive(*b), fmod=1) for a, b in _SHAPES[:3]),
    case("Mod", whole(2, 3, 4), scalar(4, "int64")),
    case("Add", (2, 3), (3,), opset=7),
    *(case("PRelu", (2, 3, 4, 5), slope) for slope in ((3, 1, 1), (5,), (2, 3, 4, 5), (1,))),
    case("PRelu", (2, 3, 4), (3, 1), opset=9),
    *(
        case(name, whole(2, 3, 4, dtype="int32"), whole(3, 1, dtype="int32"))
        for name in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
    ),
    *(case(name, flags(2, 3, 4), flags(3, 1)) for name in ("And", "Or", "Xor")),
    *(
        case(name, whole(2, 3, 4, dtype="int32"), whole(3, 1, dtype="int32"), opset=18)
        for name in ("BitwiseAnd", "BitwiseOr", "BitwiseXor")
    ),
    case(
        "BitShift",
        whole(2, 3, dtype="uint32"),
        whole(3, high=4, dtype="uint32"),
        direction="LEFT",
    ),
    *(case(name, (2, 3, 4), (3, 1), (4,)) for name in ("Max", "Mean", "Min", "Sum")),
    *(case(name, (2, 3, 4)) for name in ("Max", "Mean", "Min", "Sum")),
    case("Max", (3, 4), (3, 4), opset=8),
    case("Clip", (2, 3), scalar(-1.0), scalar(1.0)),
    case("Clip", (2, 3), None, scalar(1.0)),
    case("Clip", (2, 3), scalar(-1.0), opset=11),
    case("Clip", (2, 3), (), ()),
    case("Clip", (2, 3), min=-1.0, max=1.0, opset=6),
    case("Dropout", (2, 3), opset=7, ratio=0.3),
    case("Dropout", (2, 3), scalar(0.3), outputs="y0 y1", opset=13),
    case("Dropout", (2, 3), scalar(0.3), scalar(0, "bool")),
    case("Where", flags(2, 3, 4), (2, 3, 4), (2, 3, 4)),
    case("Where", flags(3, 1), (2, 3, 4), (4,)),
    case("Where", flags(2, 3, 4), (3, 1), ()),
    case("Where", flags(2, 1, 1), floats(1.0, 2.0, 3.0, 4.0), (1, 3, 1), opset=9),
)
