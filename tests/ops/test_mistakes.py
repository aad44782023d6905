"""The laws catch wrong signatures: each of these is one mistake away from the right one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onnxprune.ops.operator import Operator, signature
from onnxprune.ops.registry import lookup
from tests.ops.bench import BrokenLawError, build
from tests.ops.case import Case, case, ints
from tests.ops.cases.recurrent import recurrent
from tests.ops.laws import check, draw_keeps

CONV = case("Conv", (2, 12, 7, 9), (15, 4, 3, 2), (15,), group=3)
GROUPS = {"group": "g"}
GRU = recurrent("GRU", "bias h0")


def registered(op_type: str, opset: int = 17) -> Operator:
    operator = lookup("", op_type, opset)
    assert operator is not None
    return operator


def normalised(name: str, x: str = "a, b, c!", masked: str = "") -> Operator:
    return signature(name, f"x[{x}] -> y[a, b, c]", masked=masked)


def gated(r: str = "(3 h), h!", gates: str = "3 h", units: str = "hidden_size") -> Operator:
    return signature(
        "GRU",
        f"x[#t, b, i], w[#d, ({gates}), i], r[d, {r}], bias[d, (6 h)], lengths[b]?, h0[d, b, h]"
        " -> y[t, d, b, h]",
        attributes={units: "h"},
    )


MISTAKES: dict[str, tuple[Case, Operator, str]] = {
    "groups inside the input channels": (
        CONV,
        signature(
            "Conv",
            "x[n, (i g), *s], w[(g o), i, *k], b[(g o)] -> y[n, (g o), *t]",
            attributes=GROUPS,
        ),
        "contracted law",
    ),
    "groups inside the output channels": (
        CONV,
        signature(
            "Conv",
            "x[n, (g i), *s], w[(o g), i, *k], b[(o g)] -> y[n, (o g), *t]",
            attributes=GROUPS,
        ),
        "kept law",
    ),
    "group count that does not follow": (
        CONV,
        replace(registered("Conv"), attributes={}),
        "does not run it",
    ),
    "a transposed product": (
        case("Gemm", (4, 4), (4, 4)),
        signature("Gemm", "a[m, k], b[n, k] -> y[m, n]"),
        "does not run it",
    ),
    "a product that keeps what it sums over": (
        case("MatMul", (4, 4), (4, 4)),
        signature("MatMul", "a[m, k], b[k, n] -> y[m, k]"),
        "kept law",
    ),
    "broadcasting aligned from the left": (
        case("Add", (3, 3), (3,)),
        signature("Add", "a[x, y], b[x] -> z[x, y]"),
        "does not run it",
    ),
    "a softmax that is elementwise": (
        case("Softmax", (2, 3, 8)),
        normalised("Softmax", "a, b, c"),
        "kept law",
    ),
    "a softmax without its masked form": (
        case("Softmax", (2, 3, 8)),
        normalised("Softmax"),
        "masked law",
    ),
    "a softmax over another axis": (
        case("Softmax", (2, 3, 8)),
        normalised("Softmax", "a, b!, c", "Softmax"),
        "kept law",
    ),
    "a maximum that takes the masked form of a mean": (
        case("ReduceMax", (2, 3, 8), ints(-1), keepdims=0, opset=18),
        signature("ReduceMax", "x[a, b, c!], axes[#j] -> y[a, b]", masked="ReduceMean"),
        "masked law",
    ),
    "groups inside the channels of a normalisation": (
        case("GroupNormalization", (2, 12, 5), (12,), (12,), num_groups=3, opset=21),
        signature(
            "GroupNormalization",
            "x[n, (c! g), *s!], scale[(c g)], bias[(c g)] -> y[n, (c g), *s]",
            attributes={"num_groups": "g"},
            masked="GroupNormalization",
        ),
        "masked law",
    ),
    "a transposition of the wrong axes": (
        case("Transpose", (4, 4, 4), perm=[1, 2, 0]),
        signature("Transpose", "x[a, b, c] -> y[c, a, b]"),
        "kept law",
    ),
    "depth that lies the other way round": (
        case("DepthToSpace", (2, 12, 3, 5), blocksize=2),
        signature(
            "DepthToSpace",
            "x[n, (c #r #s), h, w] -> y[n, c, (h r), (w s)]",
            sizes={"r": "blocksize", "s": "blocksize"},
        ),
        "kept law",
    ),
    "a target shape that does not follow": (
        case("Reshape", (2, 12, 5), ints(2, 3, 4, 5)),
        replace(registered("Reshape"), rewrite=None),
        "does not run it",
    ),
    "bounds that do not follow": (
        case("Slice", (4, 12), ints(3), ints(9), ints(1)),
        replace(registered("Slice"), rewrite=None),
        "contracted law",
    ),
    "an index that does not follow": (
        case("Gather", (5, 3), ints(2)),
        replace(registered("Gather"), rewrite=None),
        "contracted law",
    ),
    "pieces that do not follow": (
        case("Split", (2, 12), ints(3, 4, 5), axis=1, outputs="y0 y1 y2"),
        replace(registered("Split"), rewrite=None),
        "does not run it",
    ),
    "units that are not told to reach each other": (GRU, gated("(3 h), h"), "kept law"),
    "gates inside of the units": (GRU, gated("(h 3), h!", "h 3"), "masked law"),
    "a number of units that does not follow": (GRU, gated(units="units"), "does not run it"),
    "an index that is taken for a channel": (
        case("ArgMax", (3, 5, 4), axis=1),
        signature("ArgMax", "x[a, ~b, c] -> y[a, one, c]"),
        "contracted law",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_breaks_a_law(name: str) -> None:
    tried, wrong, how = MISTAKES[name]
    with pytest.raises(BrokenLawError, match=how):
        check_all(tried, wrong)


def check_all(tried: Case, operator: Operator) -> int:
    bench = build(tried, operator)
    return sum(check(bench, keeps) for keeps in draw_keeps(bench))


@pytest.mark.parametrize(
    "tried", dict.fromkeys(c for c, *_ in MISTAKES.values()), ids=lambda c: c.title
)
def test_the_right_signature_breaks_none(tried: Case) -> None:
    assert check_all(tried, registered(tried.op_type, tried.opset))
