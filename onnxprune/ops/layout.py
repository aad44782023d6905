"""Operators that move axes about without touching elements."""

from __future__ import annotations

import numpy as np

from onnxprune.axes import Keeps, kept_size
from onnxprune.ir.targets import COMPUTED
from onnxprune.ops.operator import Operator, Rewrite, signature
from onnxprune.ops.site import Site


def _reorder(site: Site) -> None:
    """Row-major order is kept: the products of all axes are the same dim."""
    x, y = site.x(), site.y()
    if site.is_empty:
        site.block_all("a tensor without elements")
        return
    site.same(site.space.product(x.dims), site.space.product(y.dims))


def _reshape(site: Site) -> None:
    _reorder(site)
    block_computed(site, 1)


def block_computed(site: Site, index: int) -> None:
    """Block the axes of the result whose sizes an input computes at run time.

    Nothing can patch them, so they would keep their old sizes; but those that are read of another
    axis follow it.
    """
    sizes = site.int_list(index)
    dims = site.y().dims
    if sizes is None:
        computed = list(dims)
    elif site.x(index).constant:
        return
    else:
        listed, sized = site.x(index).listed, dims[len(dims) - len(sizes) :]
        for place, dim in listed.items():
            site.same(sized[place], dim)
        computed = [
            dim
            for place, dim in enumerate(sized)
            if sizes[place] == COMPUTED and place not in listed
        ]
    for dim in computed:
        site.block(dim, "a size that is computed at run time")


def target_sizes(site: Site, keeps: Keeps, index: int = 1) -> Rewrite:
    """New elements of an input that lists the output's sizes, where the old ones are known.

    What is inferred or computed stays; so does a 0 (copy the input's size) as long as it still
    copies the right one.
    """
    old = site.int_list(index)
    if old is None:
        return Rewrite()
    x, y = site.x(), site.y()
    copies = site.op_type == "Reshape"
    lead = len(y.dims) - len(old)
    new: list[int] = []
    for place, value in enumerate(old):
        size = kept_size(y.dims[lead + place], keeps)
        mine = place if copies else lead + place - (len(y.dims) - len(x.dims))
        taken = value == (0 if copies else 1) and mine >= 0
        copied = taken and kept_size(x.dims[mine], keeps) == size
        unchanged = value < 0 or copied or size == y.shape[lead + place]
        new.append(value if unchanged else size)
    return Rewrite(inputs={index: np.array(new, dtype=np.int64)} if new != old else {})


def _permutation(site: Site) -> list[int]:
    return site.ints("perm") or list(range(len(site.x().shape)))[::-1]


def _transpose(site: Site) -> str:
    axes = [f"a{i}" for i in range(len(site.x().shape))]
    return f"x[{', '.join(axes)}] -> y[{', '.join(axes[i] for i in _permutation(site))}]"


def _depth_to_space(site: Site) -> str:
    depth = "(#r #s c)" if site.attribute("mode", "DCR") == "DCR" else "(c #r #s)"
    return f"x[n, {depth}, h, w] -> y[n, c, (h r), (w s)]"


_BLOCK = {"r": "blocksize", "s": "blocksize"}

OPERATORS = (
    *(Operator(name, _reorder) for name in ("Flatten", "Squeeze", "Unsqueeze")),
    Operator("Reshape", _reshape, since=5, rewrite=target_sizes),
    signature("Transpose", _transpose),
    signature("DepthToSpace", _depth_to_space, sizes=_BLOCK),
    signature("SpaceToDepth", "x[n, c, (h #r), (w #s)] -> y[n, (r s c), h, w]", sizes=_BLOCK),
)
