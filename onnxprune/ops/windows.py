"""Spatial axes that a window slides over; shared by convolutions and pooling."""

from __future__ import annotations

from collections.abc import Sequence

from onnxprune.ops.site import Site


def spatial_letters(site: Site, kernel: Sequence[int], first: int = 2) -> tuple[str, str, str]:
    """Letters of the spatial axes of input, output and kernel, as a signature continues with them.

    Where the window is one index wide and moves by one without padding, input and output have the
    same indices; elsewhere an index is a place.

    Args:
        site: a convolution or a pooling.
        kernel: size of the window along each spatial axis.
        first: the first spatial axis.
    """
    rank = len(kernel)
    steps = site.ints("strides") or [1] * rank
    pads = [*(site.ints("pads") or []), *(site.ints("output_padding") or [])]
    padded = [any(pads[axis::rank]) for axis in range(rank)]
    sizes = (value.shape[first : first + rank] for value in (site.x(), site.y()))
    same = [a == b for a, b in zip(*sizes, strict=True)]
    inputs, outputs = "", ""
    for axis in range(rank):
        is_pointwise = kernel[axis] == steps[axis] == 1 and same[axis] and not padded[axis]
        inputs += f", {'t' if is_pointwise else '#s'}{axis}"
        outputs += f", {'' if is_pointwise else '#'}t{axis}"
    return inputs, outputs, "".join(f", k{axis}" for axis in range(rank))
