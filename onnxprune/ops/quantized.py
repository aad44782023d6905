"""Quantized operators: integers with a scale and a zero point beside each tensor.

Scales and zero points follow the axis that they lie along. A removed index that is summed over is
hidden behind the zero point, which stands for 0 (`Encoding`). Ranges that are found at run time
(`DynamicQuantizeLinear`) contain 0 in any case, so that a hidden 0 does not move them.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from onnxprune.ops.encoding import Encoding
from onnxprune.ops.linear import gemm_axes, matmul, product_axes
from onnxprune.ops.operator import CONTRIB, Operator, signature
from onnxprune.ops.segments import join
from onnxprune.ops.site import Site
from onnxprune.ops.windows import spatial_letters


def along(site: Site, index: int, axes: str) -> str:
    """The axes of a scale or zero point: those named, or of one index, or none."""
    if not site.has(index):
        return ""
    shape = site.x(index).shape
    return axes if prod(shape) > 1 else ", ".join(f"one{index}_{i}" for i in range(len(shape)))


def _scaled_axis(site: Site) -> int:
    """The axis of a vector of scales; its default lies beyond the last axis of a vector."""
    rank = len(site.x().shape)
    return min(site.axis(site.attribute("axis", 1), rank), rank - 1) if rank else 0


def _linear(site: Site) -> str:
    """Both tensors alike; scale and zero point along one axis, or a number for each block of it.

    The indices of a block share a scale, so that blocks go whole.
    """
    shape, scales = site.x().shape, site.x(1).shape
    axes = [f"a{i}" for i in range(len(shape))]
    place = _scaled_axis(site)
    lying = axes[place] if axes else ""
    if len(scales) == len(shape) > 1:
        lying = ", ".join(axes)
        if shape[place] % scales[place]:
            axes[place], lying = "#whole", lying.replace(axes[place], "#blocks")
        elif shape[place] > scales[place]:
            axes[place] = f"(a{place} #block)"
    x = ", ".join(axes)
    return f"x[{x}], xs[{along(site, 1, lying)}], xz[{along(site, 2, lying)}]? -> y[{x}]"


def _conv_integer(site: Site) -> str:
    s, t, k = spatial_letters(site, site.x(1).shape[2:])
    wz = along(site, 3, "(g o)")
    return (
        f"x[n, (g i){s}], w[(g o), i{k}], xz[{along(site, 2, 'u')}]?, wz[{wz}]? -> y[n, (g o){t}]"
    )


def _qlinear_conv(site: Site) -> str:
    s, t, k = spatial_letters(site, site.x(3).shape[2:])
    xs, xz, ys, yz = (along(site, i, "u") for i in (1, 2, 6, 7))
    ws, wz = (along(site, i, "(g o)") for i in (4, 5))
    return (
        f"x[n, (g i){s}], xs[{xs}], xz[{xz}], w[(g o), i{k}], ws[{ws}], wz[{wz}],"
        f" ys[{ys}], yz[{yz}], b[(g o)]? -> y[n, (g o){t}]"
    )


def _matmul_integer(site: Site) -> str:
    a, b, y = product_axes(site, 0, 1)
    az, bz = along(site, 2, "m"), along(site, 3, "n")
    return f"a[{a}], b[{b}], az[{az}]?, bz[{bz}]? -> y[{y}]"


def _qlinear_matmul(site: Site) -> str:
    a, b, y = product_axes(site, 0, 3)
    xs, xz, ys, yz = (along(site, i, "m") for i in (1, 2, 6, 7))
    ws, wz = (along(site, i, "n") for i in (4, 5))
    return f"a[{a}], as[{xs}], az[{xz}], b[{b}], bs[{ws}], bz[{wz}], ys[{ys}], yz[{yz}] -> y[{y}]"


def _matmul_integer_to_float(site: Site) -> str:
    a, b, y = product_axes(site, 0, 1)
    xs, xz = (along(site, i, "m") for i in (2, 4))
    ws, wz = (along(site, i, "n") for i in (3, 5))
    return f"a[{a}], b[{b}], as[{xs}], bs[{ws}], az[{xz}]?, bz[{wz}]?, bias[n]? -> y[{y}]"


def _dynamic_matmul(site: Site) -> str:
    """The range of all of `a` is found at run time; a hidden 0 does not move it."""
    a, b, y = product_axes(site, 0, 1)
    a = a.replace(",", "!,") + "!"
    ws, wz = (along(site, i, "n") for i in (2, 3))
    return f"a[{a}], b[{b}], bs[{ws}], bz[{wz}]?, bias[n]? -> y[{y}]"


def _qgemm(site: Site) -> str:
    a, b, c = gemm_axes(site, 6)
    xs, xz = (along(site, i, "m") for i in (1, 2))
    ws, wz = (along(site, i, "n") for i in (4, 5))
    ys, yz = (along(site, i, "u") for i in (7, 8))
    return (
        f"a[{a}], as[{xs}], az[{xz}], b[{b}], bs[{ws}], bz[{wz}], c[{c}]?, ys[{ys}]?, yz[{yz}]?"
        " -> y[m, n]"
    )


def _weight_columns(site: Site) -> int:
    """The axis of a matrix that has one scale for each output."""
    return 0 if site.attribute("transB", 0) else -1


def _first(site: Site) -> int:
    return 0


def _elementwise(operands: str, *, condition: bool = False) -> Callable[[Site], str]:
    """Each of the operands with its scale and zero point, then those of the result."""
    names = operands.split()

    def line(site: Site) -> str:
        parts = ["c[*a]"] if condition else []
        for name in names:
            first = len(parts)
            parts.append(f"{name}[*a]")
            parts += [f"{name}{p}[{along(site, first + i, 'u')}]?" for i, p in ((1, "s"), (2, "z"))]
        first = len(parts)
        parts += [f"out{p}[{along(site, first + i, 'u')}]?" for i, p in ((0, "s"), (1, "z"))]
        return f"{', '.join(parts)} -> y[*a]"

    return line


def _pool(site: Site) -> str:
    parameters = ", ".join(
        f"p{i}[{along(site, i, 'u')}]{'?' if i > 1 else ''}" for i in (1, 2, 3, 4)
    )
    if site.attribute("channels_last", 0):
        return f"x[n, *s, c], {parameters} -> y[n, *t, c]"
    kernel = site.ints("kernel_shape")
    s, t = spatial_letters(site, kernel)[:2] if kernel else (", *s", ", *t")
    return f"x[n, c{s}], {parameters} -> y[n, c{t}]"


def _concat(site: Site) -> None:
    """Result parameters, then each input with its own."""
    join(site, [value for value in site.inputs[2::3] if value is not None])


def _summed(site: Site) -> str:
    """A sum of integers as they are; a mean of them would have to count anew."""
    rank = len(site.x().shape)
    axes = [site.axis(axis, rank) for axis in site.ints("axes") or range(rank)]
    opaque, mark = ("", "!") if site.op_type == "ReduceSumInteger" else ("#", "")
    x = ", ".join(f"{opaque}a{i}{mark}" if i in axes else f"a{i}" for i in range(rank))
    keep = site.attribute("keepdims", 1)
    y = ", ".join(f"one{i}" if i in axes else f"a{i}" for i in range(rank) if keep or i not in axes)
    parameters = "".join(f", p{i}[{along(site, i, 'u')}]?" for i in range(1, len(site.inputs)))
    return f"x[{x}]{parameters} -> y[{y}]"


def _softmax(site: Site) -> str:
    """All axes from `axis` on before opset 13, which an attribute tells."""
    rank = len(site.x().shape)
    axis = site.axis(site.attribute("axis", -1), rank)
    marked = range(axis, rank) if site.attribute("opset", 13) < 13 else (axis,)
    axes = ", ".join(f"#a{i}" if i in marked else f"a{i}" for i in range(rank))
    parameters = ", ".join(f"p{i}[{along(site, i, 'u')}]?" for i in range(1, 5))
    return f"x[{axes}], {parameters} -> y[{axes}]"


_DYNAMIC_LSTM = (
    "x[#t, #b, i], w[#d, i, (4 h)], r[d, h!, (4 h)], bias[d, (8 h)]?, lengths[b]?, h0[d, b, h]?,"
    " c0[d, b, h]?, peephole[d, (3 h)]?, ws[{0}], wz[{1}], rs[{2}], rz[{3}]"
    " -> y[t, d, b, h]?, yh[d, b, h]?, yc[d, b, h]?"
)


def _dynamic_lstm(site: Site) -> str:
    """Samples share a range that is found at run time, and so do the units of a step.

    A unit that nothing moves stays at 0, which is in every range.
    """
    ranks = [len(site.x(i).shape) if site.has(i) else 1 for i in range(8, 12)]
    return _DYNAMIC_LSTM.format(*("d" if rank == 1 else "d, (4 h)" for rank in ranks))


_LINEAR = Encoding(0, 1, 2, _scaled_axis)
_CONV = (Encoding(0, 1, 2), Encoding(3, 4, 5, _first))
_GEMM = (Encoding(0, 1, 2), Encoding(3, 4, 5, _weight_columns))

OPERATORS: tuple[Operator, ...] = (
    *(
        operator
        for domain, since in (("", 10), (CONTRIB, 1))
        for operator in (
            signature("QuantizeLinear", _linear, since=since, domain=domain),
            signature(
                "DequantizeLinear", _linear, since=since, domain=domain, encodings=(_LINEAR,)
            ),
        )
    ),
    signature("DynamicQuantizeLinear", "x[*a!] -> y[*a], ys[], yz[]", since=11),
    signature(
        "ConvInteger",
        _conv_integer,
        since=10,
        attributes={"group": "g"},
        macs="n g o i k t",
        encodings=(Encoding(0, None, 2), Encoding(1, None, 3, _first)),
    ),
    signature(
        "QLinearConv",
        _qlinear_conv,
        since=10,
        attributes={"group": "g"},
        macs="n g o i k t",
        encodings=_CONV,
    ),
    signature(
        "MatMulInteger",
        _matmul_integer,
        since=10,
        macs="b m n k",
        encodings=(Encoding(0, None, 2), Encoding(1, None, 3)),
    ),
    signature("QLinearMatMul", _qlinear_matmul, since=10, macs="b m n k", encodings=_GEMM),
    signature(
        "MatMulIntegerToFloat",
        _matmul_integer_to_float,
        domain=CONTRIB,
        macs="b m n k",
        encodings=(Encoding(0, 2, 4), Encoding(1, 3, 5)),
    ),
    signature(
        "DynamicQuantizeMatMul",
        _dynamic_matmul,
        domain=CONTRIB,
        macs="b m n k",
        encodings=(Encoding(1, 2, 3),),
        rounds=True,
    ),
    signature("QGemm", _qgemm, domain=CONTRIB, macs="m n k", encodings=_GEMM),
    signature("QLinearAdd", _elementwise("a b"), domain=CONTRIB, role="sum"),
    signature("QLinearMul", _elementwise("a b"), domain=CONTRIB),
    signature("QLinearWhere", _elementwise("a b", condition=True), domain=CONTRIB),
    signature("QLinearLeakyRelu", _elementwise("a"), domain=CONTRIB),
    signature("QLinearSigmoid", _elementwise("a"), domain=CONTRIB),
    signature("QLinearAveragePool", _pool, domain=CONTRIB),
    signature("QLinearGlobalAveragePool", _pool, domain=CONTRIB),
    Operator("QLinearConcat", _concat, domain=CONTRIB),
    signature("ReduceSumInteger", _summed, domain=CONTRIB),
    signature("QLinearReduceMean", _summed, domain=CONTRIB),
    signature("MulInteger", "a[*a], az[*u]?, b[*a], bz[*v]? -> y[*a]", domain=CONTRIB),
    signature("MatMulInteger16", matmul, domain=CONTRIB, macs="b m n k"),
    signature("QLinearSoftmax", _softmax, domain=CONTRIB),
    signature(
        "DynamicQuantizeLSTM",
        _dynamic_lstm,
        domain=CONTRIB,
        attributes={"hidden_size": "h"},
        macs="t b d 4 h i + t b d 4 h h",
        masked="DynamicQuantizeLSTM",
        encodings=(Encoding(1, 8, 9, _first), Encoding(2, 10, 11, _first)),
        rounds=True,
    ),
)
