"""ONNX Runtime's operators that work index by index, look elements up or move them.

What it writes into graphs beside layers, attention and normalisations: activations with a bias,
sums with a residual, and forms that some standard operators had before they were standard.
"""

from __future__ import annotations

from dataclasses import replace

from onnxprune.ops import broadcasting, elementwise, indexing, layout, pooling, segments
from onnxprune.ops.operator import CONTRIB, Operator, Text, signature
from onnxprune.ops.site import Site

_FAMILIES = (broadcasting, elementwise, indexing, layout, pooling, segments)
_TOKENS = "tokens that are packed or padded at run time"


def _as(standard: str, name: str = "") -> Operator:
    """An operator that does what a standard one does."""
    found: list[Operator] = [
        o for family in _FAMILIES for o in family.OPERATORS if o.name == standard
    ]
    newest = max(found, key=lambda operator: operator.since)
    return replace(newest, name=name or standard, domain=CONTRIB, since=1)


def _dropout(site: Site) -> str:
    """A mask of bits has no axes that could follow the others."""
    bits = site.op_type.startswith("Bitmask")
    asked = bits and len(site.outputs) > 1 and site.outputs[1] is not None
    bias = "" if site.op_type == "BitmaskDropout" else " bias[*a], residual[*a]?,"
    return (
        f"x[{'#' * asked}*a],{bias} ratio[*r]?, training[*t]?"
        f" -> y[*a], mask[{'#*m' if bits else '*a'}]?"
    )


def _branches(site: Site) -> str:
    """Branches ``m`` lie on an axis of their own, or on one with their channels."""
    return "(m c)" if site.attribute("num_branches", 0) else "m, c"


def _gates(site: Site, index: int) -> str:
    """Gates of branches, or of the channels of each, on one axis or two."""
    x, gates = site.x().shape, site.x(index).shape
    branches = site.attribute("num_branches", 0)
    if len(gates) == len(x) + bool(branches):
        return "m, c"
    wide = branches and gates[-1] == x[-1] and branches != x[-1]
    return "(m c)" if wide else "m"


def _pre_mix(site: Site) -> str:
    x = _branches(site)
    return f"x[*o, {x}], gates[*o, {_gates(site, 1)}] -> y[*o, c]"


def _post_mix(site: Site) -> str:
    """Branches are mixed by a square matrix, so that what comes out are as many."""
    x = _branches(site)
    return f"x[*o, {x}], y[*o, c], gates[*o, {_gates(site, 2)}], mix[*o, m!, m]? -> z[*o, {x}]"


def _unfold(site: Site) -> str:
    rank = len(site.x().shape)
    axis = site.axis(site.attribute("dim", -1), rank)
    x = [f"a{i}" if i != axis else "#from" for i in range(rank)]
    y = [f"a{i}" if i != axis else "#to" for i in range(rank)]
    return f"x[{', '.join(x)}] -> y[{', '.join(y)}, #size]"


def _fourier(site: Site) -> str:
    """The signal's axes are places, before and after; parts of a number stand on the last one."""
    count = site.attribute("signal_ndim", 1)
    there, back = (", ".join(f"#{x}{i}" for i in range(count)) for x in "st")
    parts = ("", ", 2") if site.op_type == "Rfft" else (", 2", "")
    return f"x[*a, {there}{parts[0]}] -> y[*a, {back}{parts[1]}]"


def _all_of(site: Site) -> str:
    """Whether something holds for all elements: what is not there does not count."""
    return ", ".join(f"x{i}[*a{i}!]" for i in range(len(site.inputs))) + " -> y[*z]"


_LINES = {
    "BiasGelu": "a[*o, c], bias[c] -> y[*o, c]",
    "BiasSplitGelu": "x[*o, (#h + h)], bias[(h + h)] -> y[*o, h]",
    "CDist": "a[m, k!], b[n, k] -> y[m, n]",
    "ComplexMul": "a[*o, 2], b[*o, 2] -> y[*o, 2]",
    "ComplexMulConj": "a[*o, 2], b[*o, 2] -> y[*o, 2]",
    "CropAndResize": "x[#n, c, #h, #w], boxes[r, 4], of[r], size[2] -> y[r, c, #i, #j]",
    "EngramGate": (
        "k[b, s, m, #c], q[b, s, m, #c], v[b, s, c], scale[m, c], scale[m, c], scale[m, c]?"
        " -> y[b, s, m, c], normed[b, s, m, c]?"
    ),
    "FastGelu": "a[*o, c], bias[c]? -> y[*o, c]",
    "Inverse": "x[*o, #n, #m] -> y[*o, m, n]",
    "LinearAttentionGate": ("a[*o, h], bias[h], scale[h], b[*o, h]? -> decay[*o, h], beta[*o, h]?"),
    "MurmurHash3": "x[*a] -> y[*a]",
    "NGramRepeatBlock": "ids[b, #s], x[b, #v] -> y[b, v]",
    "QuickGelu": "x[*a] -> y[*a]",
    "RemovePadding": "x[#b, #s, c], lengths[b] -> y[#n, c], places[b, s], starts[#k], longest[*l]",
    "RestorePadding": "x[#n, c], places[#b, #s] -> y[b, s, c]",
    "SampleOp": "x[*a] -> y[*a]",
    "ScaledSiLU": "x[*a], factor[*s]? -> y[*a]",
    "Trilu": "x[*a, #n, #m], k[*k]? -> y[*a, n, m]",
}
_SUMS: dict[str, Text] = {
    "BiasAdd": "x[*a, c], bias[c], skip[*a, c] -> y[*a, c]",
    "BiasDropout": _dropout,
    "BitmaskBiasDropout": _dropout,
    "GatedAdd": "x[*a], y[*a], gate[*a] -> z[*a]",
}
_MEANINGS = {
    "2": "parts of a number, or one of two lengths",
    "4": "corners of a box",
    "b": _TOKENS,
    "c": "channels whose number a gate divides by",
    "h": "the operator knows halves of 1280, 2560 and 5120 channels alone",
    "n": "places that are looked at, or the rows and columns of a matrix",
    "s": _TOKENS,
    "v": "words whose number stands in another operand",
}

OPERATORS = (
    *(
        signature(name, line, domain=CONTRIB, masked="CDist" * (name == "CDist"), opaque=_MEANINGS)
        for name, line in _LINES.items()
    ),
    *(
        signature(name, line, domain=CONTRIB, roles={"a": "sum", "c": "sum"})
        for name, line in _SUMS.items()
    ),
    *(
        signature(name, line, domain=CONTRIB, opaque=_MEANINGS)
        for name, line in {
            "BitmaskDropout": _dropout,
            "Irfft": _fourier,
            "IsAllFinite": _all_of,
            "Rfft": _fourier,
            "UnfoldTensor": _unfold,
        }.items()
    ),
    *(
        signature(name, line, domain=CONTRIB, attributes={"num_branches": "m"})
        for name, line in (
            ("HyperConnectionPostMix", _post_mix),
            ("HyperConnectionPreMix", _pre_mix),
        )
    ),
    signature(
        "TorchEmbedding",
        "table[#v, c], at[*i], pad[*p]?, scaled[*q]? -> y[*i, c]",
        domain=CONTRIB,
        roles={"v": "vocabulary"},
        opaque={"v": "an index along this axis is a value at run time"},
    ),
    *map(_as, ("GatherND", "Gelu", "GridSample", "Pad", "Range")),
    _as("Unsqueeze", "ExpandDims"),
)
