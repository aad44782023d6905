"""A network with one of each place where a removal could go wrong."""

from __future__ import annotations

import numpy as np

import onnxprune as op
from tests.texts import Weight, model_of


def branching(*, split: bool = False) -> op.Model:
    """Two branches, joined, grouped, and joined again; or split in front of that."""
    parts = "p, q = Split<axis=1>(z, parts)" if split else "p = Relu(z)  q = Sigmoid(z)"
    weights: dict[str, Weight] = {
        "w1": (8, 3, 3, 3),
        "b1": (8,),
        "w2": (8, 3, 3, 3),
        "w3": (12, 16, 1, 1),
        "w4": (4, 12 if split else 24, 1, 1),
        "dw": (16, 1, 3, 3),
    }
    if split:
        weights["parts"] = np.array([5, 7])
    return model_of(
        f"""g (float[2,3,6,6] x) => (float[2,4,6,6] y) {{
            a = Conv<pads=[1,1,1,1]>(x, w1, b1)
            b = Conv<pads=[1,1,1,1]>(x, w2)
            c = Concat<axis=1>(a, b)
            d = Conv<group=16, pads=[1,1,1,1]>(c, dw)
            z = Conv(d, w3)
            {parts}
            j = Concat<axis=1>(p, q)
            y = Conv(j, w4)
        }}""",
        weights,
    )
