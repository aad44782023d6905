"""Which layer a kernel of a profile belongs to.

ONNX Runtime fuses nodes and calls the result after one of them, or after a value that they make,
with a suffix of its own: ``conv1/Conv_output_0_nchwc``, ``qkv/MatMul/MatMulAddFusion``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from onnxprune.coupling.analysis import Analysis
from onnxprune.coupling.placed import Placed

Kernels = Mapping[tuple[str, str], float]
"""Microseconds of a run, by name and operator of the kernel."""

_BLOCKED_LAYOUT = "_nchwc"
_FUSED = "fused "


def layer_times(
    analysis: Analysis, layers: Mapping[str, str], kernels: Kernels
) -> dict[str, float]:
    """Microseconds of a run by layer; those that no kernel is known of are absent.

    Args:
        analysis: of the model that was profiled.
        layers: operators of the layers by their nodes' names.
        kernels: the profile.
    """
    makers = {name: placed for placed in analysis.placed for name in placed.node.outputs if name}
    known = {placed.node.name: placed for placed in analysis.placed} | makers
    found: dict[str, float] = {}
    for (name, operator), time_us in kernels.items():
        start = next((known[n] for n in _names(name) if n in known), None)
        layer = start and _layer_behind(start, layers, makers)
        if layer and _does(operator, layers[layer]):
            found[layer] = found.get(layer, 0.0) + time_us
    return found


def _names(kernel: str) -> Iterator[str]:
    """What a kernel may be called after, the likeliest first."""
    plain = kernel.removeprefix(_FUSED).removesuffix(_BLOCKED_LAYOUT)
    yield from (kernel, plain, plain.rpartition("/")[0])


def _layer_behind(
    placed: Placed, layers: Mapping[str, str], makers: Mapping[str, Placed]
) -> str | None:
    """The layer that a chain of nodes begins with, which ends here."""
    while placed.node.name not in layers:
        before = {name for name in placed.node.inputs if name in makers}
        if len(before) != 1:
            return None
        placed = makers[before.pop()]
    return placed.node.name


def _does(kernel: str, operator: str) -> bool:
    """Whether a kernel computes what an operator does, and not what follows it."""
    return operator in kernel or kernel in ("Gemm", "FusedGemm")
