"""Pooling over spatial axes; channels pass through."""

from onnxprune.ops.operator import signature
from onnxprune.ops.site import Site


def _max_pool(site: Site) -> str:
    """The indices are places in the whole tensor: whoever asks for them fixes its shape."""
    if len(site.outputs) > 1 and site.outputs[1] is not None:
        return "x[#n, #c, *s] -> y[n, c, #*t], indices[n, c, *t]"
    return "x[n, c, *s] -> y[n, c, *t]"


OPERATORS = (
    *(signature(name, "x[n, c, *s] -> y[n, c, *t]") for name in ("AveragePool", "LpPool")),
    signature("MaxPool", _max_pool),
    *(
        signature(name, "x[n, c, *s] -> y[n, c, *t]")
        for name in ("GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool")
    ),
)
