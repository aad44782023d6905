"""ONNX Runtime's normalisations, with residuals, embeddings, gates or activations fused in."""

from __future__ import annotations

from onnxprune.ops.operator import CONTRIB, signature
from onnxprune.ops.site import Site

_SUM = {"c": "sum"}


def _simplified(site: Site) -> str:
    rank = len(site.x().shape)
    first = site.axis(site.attribute("axis", -1), rank)
    axes = [f"o{i}" if i < first else f"c{i}" for i in range(rank)]
    x = ", ".join(axes[:first] + [f"{a}!" for a in axes[first:]])
    ones = ", ".join(axes[:first] + [f"u{i}" for i in range(first, rank)])
    scale = ", ".join(axes[rank - len(site.x(1).shape) :])
    return f"x[{x}], scale[{scale}] -> y[{', '.join(axes)}], deviation[{ones}]?"


def _groups(site: Site) -> str:
    """Channels last or first; what is added may be one row for each sample."""
    last = site.attribute("channels_last", 1)
    axes = "n, {s}, (g c{c})" if last else "n, (g c{c}), {s}"
    x, y = axes.format(s="*s!", c="!"), axes.format(s="*s", c="")
    if site.op_type == "GroupNorm":
        return f"x[{x}], scale[(g c)], bias[(g c)] -> y[{y}]"
    flat = site.has(3) and len(site.x(3).shape) == 2
    skip = "n, (g c)" if flat else y
    return f"x[{x}], scale[(g c)], bias[(g c)], skip[{skip}], bias[(g c)]? -> y[{y}], sum[{y}]?"


def _branches(site: Site) -> str:
    """Branches lie on an axis of their own, or in front of the channels of each on one axis."""
    flat = bool(site.attribute("num_branches", 0))
    x = "(m c{})" if flat else "m, c{}"
    scale = ""
    if site.has(1):
        shape = site.x(1).shape
        width = site.x().shape[-1] // (site.attribute("num_branches", 0) or 1)
        scale = "m, c" if len(shape) == 2 else "c" if shape[0] == width else "(m c)"
    return f"x[*o, {x.format('!')}], scale[{scale}]? -> y[*o, {x.format('')}]"


def _bias_softmax(site: Site) -> str:
    """All axes from one on are normalised together; the bias broadcasts."""
    rank = len(site.x().shape)
    first = site.axis(site.attribute("axis", 1), rank)
    axes = [f"a{i}" for i in range(rank)]
    bias = ", ".join(axes[rank - len(site.x(1).shape) :])
    x = ", ".join(f"{a}!" if i >= first else a for i, a in enumerate(axes))
    return f"x[{x}], bias[{bias}] -> y[{', '.join(axes)}]"


def _embedding(site: Site) -> str:
    """Positions are counted, unless they are given; then each place has its own."""
    s = "s" if site.has(8) else "#s"
    return (
        f"ids[b, {s}], segments[b, s]?, words[#v, c!], positions[#p, c], kinds[#k, c]?, scale[c],"
        " beta[c], mask[b, s]?, places[b, s]? -> y[b, s, c], lengths[b]?, sum[b, s, c]?"
    )


OPERATORS = (
    signature("SimplifiedLayerNormalization", _simplified, masked="RMSNormalization"),
    signature(
        "SkipLayerNormalization",
        "x[*o, c!], skip[*o, c], scale[c], beta[c]?, bias[c]?"
        " -> y[*o, c], mean[*o, u]?, deviation[*o, v]?, sum[*o, c]?",
        domain=CONTRIB,
        masked="SkipLayerNormalization",
        roles=_SUM,
    ),
    signature(
        "SkipSimplifiedLayerNormalization",
        "x[*o, c!], skip[*o, c], scale[c], bias[c]?"
        " -> y[*o, c], mean[*o, u]?, deviation[*o, v]?, sum[*o, c]?",
        domain=CONTRIB,
        masked="SkipSimplifiedLayerNormalization",
        roles=_SUM,
    ),
    signature(
        "EmbedLayerNormalization",
        _embedding,
        domain=CONTRIB,
        masked="EmbedLayerNormalization",
        roles={"v": "vocabulary"},
        opaque={
            **dict.fromkeys("vpk", "rows of a table are looked up at run time"),
            "s": "positions are counted",
        },
    ),
    *(
        signature(
            name,
            _groups,
            domain=CONTRIB,
            attributes={"groups": "g"},
            masked=name,
            roles=_SUM if name == "SkipGroupNorm" else None,
        )
        for name in ("GroupNorm", "SkipGroupNorm")
    ),
    signature(
        "BranchwiseRMSNorm",
        _branches,
        domain=CONTRIB,
        attributes={"num_branches": "m"},
        masked="BranchwiseRMSNorm",
    ),
    signature(
        "GatedRMSNorm",
        "x[*o, (m c!)], scale[c], gate[*o, (m c)] -> y[*o, (m c)]",
        domain=CONTRIB,
        masked="GatedRMSNorm",
    ),
    signature("BiasSoftmax", _bias_softmax, domain=CONTRIB, masked="BiasSoftmax"),
)
