"""Models with control flow, pruned and proven."""

from __future__ import annotations

import numpy as np

import onnxprune as op
from onnxprune.pipelines.result import Result
from tests.texts import Weight, model_of

Shapes = dict[str, tuple[int, ...]]
WEIGHTS: dict[str, Weight] = {
    "three": np.array(3),
    "one": np.array(1),
    "on": np.array(True),
    "start": np.full((2, 10), 0.5, np.float32),
}


def pruned(text: str, weights: Shapes, opset: int = 17) -> Result:
    """Prune every group by half."""
    return op.prune(model_of(text, {**weights, **WEIGHTS}, opset=opset), 0.5, round_to=1)


def shapes(result: Result) -> Shapes:
    """Those of all constants that are left."""
    return {name: tensor.shape for name, tensor in result.model.constants.items()}


def assert_proven(text: str, before: Shapes, after: Shapes, opset: int = 17) -> Result:
    """Prune every group by half; all other constants stay whole."""
    result = pruned(text, before, opset)
    found = shapes(result)
    assert {name: found[name] for name in before} == {**before, **after}
    assert result.verify().passed
    return result


def reasons(result: Result) -> set[str]:
    """Why something could not be pruned."""
    return {refusal.reason for refusal in result.refused}


BRANCHES = """g (float[2,6] x, bool c) => (float[2,5] y) {
    h = MatMul(x, w0)
    r = If<then_branch = t () => (float[2,12] p) { a = MatMul(h, w1)  p = Relu(a) },
           else_branch = e () => (float[2,12] p) { a = MatMul(h, w2)  b = Tanh(a)  p = Add(b, v) }
    >(c)
    y = MatMul(r, w3)
}"""
BEFORE: Shapes = {"w0": (6, 8), "w1": (8, 12), "w2": (8, 12), "v": (12,), "w3": (12, 5)}
AFTER: Shapes = {"w0": (6, 4), "w1": (4, 6), "w2": (4, 6), "v": (6,), "w3": (6, 5)}

CELL = """a = MatMul(xt, wx)  b = MatMul(h, wh)  s = Add(a, b)  h2 = Tanh(s)"""
CELL_BEFORE: Shapes = {"wx": (6, 10), "wh": (10, 10), "wo": (10, 5)}
CELL_AFTER: Shapes = {"wx": (6, 5), "wh": (5, 5), "wo": (5, 5)}


def loop(inputs: str) -> str:
    """A cell that runs over a state; what it makes on the way is stacked."""
    return f"""g (float[2,6] xt, float[2,7] e, bool c, int64 n) => (float[2,5] y, float[t,2,5] z) {{
        h0 = MatMul(e, we)
        hn, hs = Loop<
            body = b (int64 i, bool k, float[2,10] h) => (bool k2, float[2,10] h2, float[2,12] o) {{
                k2 = Identity(k)  {CELL}  o = MatMul(h2, w1)
            }}>({inputs}, h0)
        y = MatMul(hn, wo)  z = MatMul(hs, w2)
    }}"""


LOOP_BEFORE: Shapes = {**CELL_BEFORE, "we": (7, 10), "w1": (10, 12), "w2": (12, 5)}
LOOP_AFTER: Shapes = {**CELL_AFTER, "we": (7, 5), "w1": (5, 6), "w2": (6, 5)}
