"""Recurrent operators: LSTM, GRU, RNN.

A step sums over the units of the step before: ``h`` is reduced on the recurrent weights ``r`` and
carried into the results. The masked reference hides the removed columns of ``r``; nothing else
lets one unit reach another. Both directions have equally many units, for ``hidden_size`` is one.
"""

from __future__ import annotations

from onnxprune.ops.operator import Operator, signature
from onnxprune.ops.site import Site

_LINES = {
    "LSTM": (
        "x[#t, b, i], w[#d, (4 h), i], r[d, (4 h), h!], bias[d, (8 h)]?, lengths[b]?,"
        " h0[d, b, h]?, c0[d, b, h]?, peephole[d, (3 h)]?"
        " -> y[t, d, b, h]?, yh[d, b, h]?, yc[d, b, h]?",
        "t b d 4 h i + t b d 4 h h",
    ),
    "GRU": (
        "x[#t, b, i], w[#d, (3 h), i], r[d, (3 h), h!], bias[d, (6 h)]?, lengths[b]?,"
        " h0[d, b, h]? -> y[t, d, b, h]?, yh[d, b, h]?",
        "t b d 3 h i + t b d 3 h h",
    ),
    "RNN": (
        "x[#t, b, i], w[#d, h, i], r[d, h, h!], bias[d, (2 h)]?, lengths[b]?,"
        " h0[d, b, h]? -> y[t, d, b, h]?, yh[d, b, h]?",
        "t b d h i + t b d h h",
    ),
}
_OPAQUE = {
    "t": "steps of a recurrent operator",
    "d": "directions of a recurrent operator",
    **dict.fromkeys("23468", "gates of a recurrent operator"),
}


def _recurrent(name: str, line: str, macs: str) -> Operator:
    def text(site: Site) -> str:
        if not site.attribute("layout", 0):
            return line
        batch_first = line.replace("t, d, b", "b, t, d").replace("d, b", "b, d")
        return batch_first.replace("#t, b", "b, #t")

    return signature(name, text, attributes={"hidden_size": "h"}, macs=macs, opaque=_OPAQUE)


OPERATORS = tuple(_recurrent(name, *line) for name, line in _LINES.items())
