"""Matrix products: Gemm, MatMul, Einsum; what is made of whole matrices."""

from __future__ import annotations

import re

from onnxprune.ops.operator import signature
from onnxprune.ops.site import Site


def gemm_axes(site: Site, added: int) -> tuple[str, str, str]:
    """The axes of both factors, which attributes may turn, and of what is added.

    Args:
        site: the operator.
        added: input index of what is added; it may be absent.
    """
    a = "k, m" if site.attribute("transA", 0) else "m, k"
    b = "n, k" if site.attribute("transB", 0) else "k, n"
    rank = len(site.x(added).shape) if site.has(added) else 0
    return a, b, ", ".join("mn"[2 - rank :])


def _gemm(site: Site) -> str:
    a, b, c = gemm_axes(site, 2)
    return f"a[{a}], b[{b}], c[{c}]? -> y[m, n]"


def product_axes(site: Site, left: int, right: int) -> tuple[str, str, str]:
    """The axes of both operands of a matrix product, and of its result; vectors lack one.

    Args:
        site: the operator.
        left: input index of the first operand.
        right: of the second one.
    """
    ranks = [len(site.x(i).shape) for i in (left, right)]
    a = ["*b"] * (ranks[0] > 2) + ["m"] * (ranks[0] > 1) + ["k"]
    b = ["*b"] * (ranks[1] > 2) + ["k"] + ["n"] * (ranks[1] > 1)
    y = ["*b"] * (max(ranks) > 2) + ["m"] * (ranks[0] > 1) + ["n"] * (ranks[1] > 1)
    return ", ".join(a), ", ".join(b), ", ".join(y)


def matmul(site: Site) -> str:
    """The line of a matrix product of inputs 0 and 1."""
    a, b, y = product_axes(site, 0, 1)
    return f"a[{a}], b[{b}] -> y[{y}]"


def _einsum(site: Site) -> str:
    """An equation's own letters; an ellipsis is a star, an upper-case letter gets a prefix."""
    equation = site.attribute("equation", "").replace(" ", "")
    left, arrow, right = equation.partition("->")
    if not arrow:
        letters = re.sub(r"[^A-Za-z]", "", left)
        right = "..." * ("..." in left) + "".join(
            sorted(x for x in set(letters) if letters.count(x) == 1)
        )
    terms = [_einsum_term(term, f"x{i}") for i, term in enumerate(left.split(","))]
    return f"{', '.join(terms)} -> {_einsum_term(right, 'y')}"


def _einsum_term(term: str, name: str) -> str:
    axes = re.findall(r"\.\.\.|[A-Za-z]", term)
    words = ["*rest" if x == "..." else x if x.islower() else f"upper_{x.lower()}" for x in axes]
    return f"{name}[{', '.join(words)}]"


def _einsum_sums(site: Site) -> str:
    """Letters summed within one operand count as reduced: their sum has a neutral element, 0."""
    line = _einsum(site)
    left, _, right = line.partition(" -> ")
    produced = set(re.findall(r"\w+", right))
    operands = re.findall(r"\w+\[[^\]]*\]", left)
    for letter in {x for o in operands for x in re.findall(r"\w+", o.partition("[")[2])}:
        holders = [o for o in operands if re.search(rf"\b{letter}\b", o.partition("[")[2])]
        if len(holders) == 1 and letter not in produced:
            left = re.sub(rf"(?<=[\[ ]){letter}\b", f"{letter}!", left)
    return f"{left} -> {right}"


OPERATORS = (
    signature("Gemm", _gemm, since=7, macs="m n k"),
    signature("MatMul", matmul, macs="b m n k"),
    signature("Einsum", _einsum_sums, since=12),
    signature("Det", "x[*b, #m, #n] -> y[*b]", since=11),
    signature("Trilu", "x[*b, #m, #n], k[*u]? -> y[*b, m, n]", since=14),
)
