"""Pooling over spatial axes; channels pass through."""

from onnxprune.ops.operator import signature

OPERATORS = (
    *(
        signature(name, "x[n, c, *s] -> y[n, c, #*t], indices[n, c, #*t]?")
        for name in ("AveragePool", "LpPool", "MaxPool")
    ),
    *(
        signature(name, "x[n, c, *s] -> y[n, c, *t]")
        for name in ("GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool")
    ),
)
