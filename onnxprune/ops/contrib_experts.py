"""ONNX Runtime's mixtures of experts: a router chooses, for each token, the ``k`` best of ``e``.

An expert has channels ``i`` between what it reads and what it gives, which are equally wide, ``c``.
Where it gates its channels, ``i`` stands twice in its first matrix. Without an expert the router
must not choose it: it sees minus infinity (the masked form). What is 0 on both sides of a channel
gives nothing, whatever the activation.
"""

from __future__ import annotations

from dataclasses import replace

from onnxprune.axes import Keeps, kept_size
from onnxprune.ops.operator import CONTRIB, Operator, Rewrite, signature
from onnxprune.ops.site import Site

_BYTE = 8


def _tokens(site: Site) -> tuple[str, str]:
    """The axes of tokens on the input, and in the router's rows."""
    return ("b, s", "(b s)") if len(site.x().shape) == 3 else ("n", "n")


def _is_gated(site: Site) -> bool:
    """Whether the first matrix has gates beside the channels that the second one reads."""
    second, bits = 4, _BYTE
    if site.op_type == "QMoE":
        second, bits = 5, _bits(site, 2)
    return site.x(2).shape[1] * bits == 2 * site.x(second).shape[2] * _BYTE


def _bits(site: Site, matrix: int) -> int:
    default = site.attribute("expert_weight_bits", 4)
    return site.attribute(f"fc{matrix}_expert_weight_bits", default)


def _gated(site: Site, channels: str) -> str:
    """The rows of the first matrix: interleaved with gates, behind them, or alone."""
    if not _is_gated(site):
        return f"({channels})"
    return f"({channels} 2)" if site.attribute("swiglu_fusion", 0) == 1 else f"(2 {channels})"


def _moe(site: Site) -> str:
    x, rows = _tokens(site)
    i = _gated(site, "i")
    return (
        f"x[{x}, c!], router[{rows}, e!], w1[e, {i}, c], bias1[e, {i}]?, w2[e, c, i!],"
        f" bias2[e, c]?, w3[e, i, c]?, bias3[e, i]? -> y[{x}, c]"
    )


def _quantized(site: Site) -> str:
    """Channels stay together that share a byte or a scale.

    Of weights in an order of the provider's own, of other formats and of packed zero points nothing
    is known but that experts lie one after another.
    """
    x, rows = _tokens(site)
    raw = not site.attribute("weights_prepacked", -1) and not any(map(site.has, (11, 12, 13)))
    if not raw or site.attribute("quant_type", "int") != "int":
        parts = ", ".join(f"p{n}[e, #*p{n}]?" for n in range(2, 14))
        return f"x[{x}, #c], router[{rows}, e!], {parts}, weights[{rows}, e]? -> y[{x}, c]"
    (c, stored_c), (i, stored_i) = _stored(site, "c", 1), _stored(site, "i", 2)
    up = _gated(site, i)
    shown = up.replace("i", "i!")
    by_c, by_i = (", c", ", i") if site.attribute("block_size", 0) else ("", "")
    return (
        f"x[{x}, ({c.replace('c', 'c!')})], router[{rows}, e!], w1[e, {up}, ({stored_c})],"
        f" scale1[e, {shown}{by_c}], bias1[e, {shown}]?, w2[e, ({c}), ({stored_i})],"
        f" scale2[e, ({c}){by_i}], bias2[e, ({c})]?, w3[e, ({i}), ({stored_c})]?,"
        f" scale3[e, ({i}){by_c}]?, bias3[e, ({i})]?, zero1[]?, zero2[]?, zero3[]?,"
        f" weights[{rows}, e]? -> y[{x}, ({c})]"
    )


def _stored(site: Site, letter: str, matrix: int) -> tuple[str, str]:
    """Channels that a matrix sums over, in blocks that go whole: as numbers, and in bytes."""
    bits = _bits(site, matrix)
    unit = site.attribute("block_size", 0) or _BYTE // bits
    held = unit * bits // _BYTE
    return (
        f"{letter} {unit}" if unit > 1 else letter,
        f"{letter} {held}" if held > 1 else letter,
    )


def _top(site: Site, keeps: Keeps) -> Rewrite:
    """No more experts are chosen for a token than there are."""
    chosen, left = site.attribute("k", 1), kept_size(site.letters["e"], keeps)
    return Rewrite({"k": left} if left < chosen else {})


def _experts(operator: Operator, third: int) -> Operator:
    """Count what experts read with, ``u``: one matrix, or one for gates and one for values."""

    def relate(site: Site) -> None:
        operator.relate(site)
        site.letters["u"] = site.space.dim(2 if site.has(third) or _is_gated(site) else 1)

    return replace(operator, relate=relate)


OPERATORS = tuple(
    _experts(
        signature(
            name,
            line,
            domain=CONTRIB,
            sizes={"k": "k"},
            macs="b s n k u i c + b s n k i c",
            masked="MoE",
            rewrite=_top,
            roles={"e": "expert"},
            opaque={
                "2": "gates and values of an expert",
                "c": "the order of weights in memory is not known",
            },
        ),
        third,
    )
    for name, line, third in (("MoE", _moe, 6), ("QMoE", _quantized, 8))
)
