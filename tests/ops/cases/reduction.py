"""Reductions and running sums: axes as attribute and as input, kept and dropped, all and none."""

import numpy as np

from tests.ops.case import Draw, case, ints, positive, scalar, whole

_SINCE_INPUT = {
    "ReduceL1": 18,
    "ReduceL2": 18,
    "ReduceLogSum": 18,
    "ReduceLogSumExp": 18,
    "ReduceMax": 18,
    "ReduceMean": 18,
    "ReduceMin": 18,
    "ReduceProd": 18,
    "ReduceSum": 13,
    "ReduceSumSquare": 18,
}
"""First opset in which the axes are an input."""

CASES = (
    *(
        case(name, positive(2, 3, 4), axes=axes, keepdims=keepdims, opset=11)
        for name in _SINCE_INPUT
        for axes, keepdims in (([1], 1), ([-1, 0], 0))
    ),
    *(case(name, positive(2, 3, 4), opset=11) for name in _SINCE_INPUT),
    *(
        case(name, (2, 3, 4), ints(*axes), keepdims=keepdims, opset=opset)
        for name, opset in _SINCE_INPUT.items()
        if name != "ReduceLogSum"
        for axes, keepdims in (((-2,), 1), ((2, 0), 0))
    ),
    case("ReduceMean", (2, 3, 4), keepdims=0, opset=18),
    case("ReduceLogSum", positive(2, 3, 4), ints(-1), opset=18),
    case("ReduceMean", (2, 3, 4), whole(1, high=0), blocked="x0.012 y0.12", opset=18),
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
    case("CumProd", (2, 3, 4), np.array(1, np.int64), opset=26),
)
