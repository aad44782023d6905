"""Attention as the standard has it, and rotations of positions.

``k`` are the heads of keys and values, ``(k g)`` those of the queries; ``d`` are the dimensions
that queries and keys are compared by, ``e`` those of the values.
"""

from __future__ import annotations

from math import sqrt

from onnxprune.axes import Keeps, is_touched
from onnxprune.ops.operator import Rewrite, signature
from onnxprune.ops.site import Site

HEAD_ROLES = {
    "h": "head",
    "k": "head",
    "g": "head",
    "d": "head_dim",
    "e": "head_dim",
    "r": "head_dim",
    "f": "head_dim",
}
PLACES = {
    **dict.fromkeys("stupmn", "places that attention weighs against each other"),
    "b": "sequences whose lengths stand in one list",
    "d": "dimensions that the operator turns in pairs",
    "r": "dimensions that the operator turns in pairs",
    **dict.fromkeys(("2", "3"), "what the operator tells apart by its place"),
}


def original_scale(site: Site, keeps: Keeps) -> Rewrite:
    """The scale that the operator had, where it would follow the number of dimensions."""
    dim = site.letters["d"]
    implicit = is_touched(dim, keeps) and not site.attribute("scale", 0.0)
    return Rewrite({"scale": 1 / sqrt(dim.size)} if implicit else {})


def _asked(site: Site, index: int, line: str) -> str:
    """An output, where somebody asks for it."""
    there = index < len(site.outputs) and site.outputs[index] is not None
    return f", {line}" if there else ", none[]?"


def _attention(site: Site) -> str:
    """Heads lie on an axis of their own, or on one with their dimensions."""
    flat = len(site.x().shape) == 3
    heads = [("s", "k g", "d!"), ("t", "k", "d"), ("t", "k", "e"), ("s", "k g", "e")]
    q, key, v, y = (
        f"b, #{place}, ({many} {dims})" if flat else f"b, ({many}), #{place}, {dims}"
        for place, many, dims in heads
    )
    rank = len(site.x(3).shape) if site.has(3) else 0
    mask = ", ".join(("b", "(k g)", "#s", "#u")[4 - rank :])
    return (
        f"q[{q}], key[{key}], v[{v}], mask[{mask}]?, past_key[b, k, #p, d]?,"
        f" past_value[b, k, #p, e]?, lengths[b]? -> y[{y}]"
        + _asked(site, 1, "present_key[b, k, #w, d]")
        + _asked(site, 2, "present_value[b, k, #w, e]")
        + _asked(site, 3, "scores[b, (k g), #s, #w]")
    )


def _rotary(site: Site) -> str:
    """Pairs of dimensions turn together: halves, or neighbours; the rest of a head stays."""
    pairs = "r 2" if site.attribute("interleaved", 0) else "2 r"
    rest = " + f" if site.attribute("rotary_embedding_dim", 0) else ""
    head = f"({pairs}{rest})"
    x = f"b, s, (h {head})" if len(site.x().shape) == 3 else f"b, h, s, {head}"
    angles = "#m, r" if site.has(3) else "b, s, r"
    return f"x[{x}], cos[{angles}], sin[{angles}], places[b, s]? -> y[{x}]"


OPERATORS = (
    signature(
        "Attention",
        _attention,
        since=23,
        attributes={"q_num_heads": "k g", "kv_num_heads": "k"},
        macs="b k g s t d + b k g s t e",
        rewrite=original_scale,
        roles=HEAD_ROLES,
        opaque=PLACES,
    ),
    signature(
        "RotaryEmbedding",
        _rotary,
        since=23,
        attributes={"num_heads": "h", "rotary_embedding_dim": "2 r"},
        roles=HEAD_ROLES,
        opaque=PLACES,
    ),
)
