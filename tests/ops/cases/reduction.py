"""Reductions and running sums: axes as attribute and as input, kept and dropped, all and none."""

from tests.ops.case import Draw, case, ints, positive, scalar, whole

_AXES = {name: 18 for name in "L1 L2 LogSum LogSumExp Max Mean Min Prod SumSquare".split()}
_ALL = {**_AXES, "Sum": 13}

CASES = (
    *(
        case(f"Reduce{name}", positive(2, 3, 4), axes=axes, keepdims=keepdims, opset=11)
        for name in _ALL
        for axes, keepdims in (([1], 1), ([-1, 0], 0))
    ),
    *(case(f"Reduce{name}", positive(2, 3, 4), opset=11) for name in _ALL),
    *(
        case(f"Reduce{name}", (2, 3, 4), ints(*axes), keepdims=keepdims, opset=opset)
        for name, opset in _ALL.items()
        if name != "LogSum"
        for axes, keepdims in (((-2,), 1), ((2, 0), 0))
    ),
    case("ReduceMean", (2, 3, 4), keepdims=0, opset=18),
    case("ReduceMean", (2, 3, 4), opset=13, axes=[-1]),
    case("ReduceMean", (2, 3, 4), noop_with_empty_axes=1, opset=18),
    case("ReduceSum", (2, 3, 4), noop_with_empty_axes=1),
    case("ReduceSum", (2, 3, 4), ints(), noop_with_empty_axes=1),
    case("ReduceMax", (2, 3, 4), ints(), opset=18),
    case("ReduceMax", whole(2, 3, 4, low=-9), ints(1), opset=18),
    case("ReduceMin", whole(2, 3, 4, dtype="int32"), ints(1), opset=18),
    case("ReduceMean", Draw((2, 3, 8), "float16"), ints(-1), opset=18),
    case("ReduceMean", whole(2, 3, 8, high=90, dtype="int32"), ints(-1), opset=18),
    case("ReduceMax", Draw((2, 3, 8), "float16"), ints(1), opset=18),
    *(
        case("CumSum", (2, 3, 4), scalar(axis, "int64"), exclusive=e, reverse=r)
        for axis, e, r in ((1, 0, 0), (-1, 1, 0), (0, 0, 1), (2, 1, 1))
    ),
    case("CumSum", (2, 6), ints(1), opset=11),
    case("CumSum", (2, 6), whole(low=1, high=1), opset=14),
)
