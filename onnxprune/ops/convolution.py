"""Convolutions of any rank and group count."""

from onnxprune.ops.operator import signature

OPERATORS = (
    signature(
        "Conv",
        "x[n, (g i), *s], w[(g o), i, *k], b[(g o)]? -> y[n, (g o), *t]",
        attributes={"group": "g"},
        macs="n g o i k t",
    ),
    signature(
        "ConvTranspose",
        "x[n, (g i), *s], w[(g i), o, *k], b[(g o)]? -> y[n, (g o), *t]",
        attributes={"group": "g"},
        macs="n g o i k s",
    ),
)
