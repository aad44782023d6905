"""Recurrent operators: gates, directions, optional operands, states, activations, which results.

Steps, batch, inputs and units are 4, 3, 5 and 7.
"""

from typing import Any

from tests.ops.case import Case, Draw, Operand, case, weights, whole

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_PLACES = {"x": 0, "w": 1, "r": 2, "bias": 3, "lengths": 4, "h0": 5, "c0": 6, "peephole": 7}


def recurrent(
    op_type: str,
    given: str,
    outputs: str = "y0",
    *,
    directions: int = 1,
    fed: str = "",
    dtype: str = "float32",
    opset: int = 17,
    **attributes: Any,
) -> Case:
    """A case of one operator.

    Args:
        op_type: ONNX operator.
        given: the operands behind the recurrent weights that are there.
        outputs: as for `case`.
        directions: 1, or 2 for both.
        fed: the operands that are fed; the others are constants.
        dtype: type of all floats.
        opset: version of the operator set.
        attributes: beside the number of units.
    """
    gates = _GATES[op_type]
    shapes = {
        "x": (4, 3, 5),
        "w": (directions, gates * 7, 5),
        "r": (directions, gates * 7, 7),
        "bias": (directions, gates * 14),
        "h0": (directions, 3, 7),
        "c0": (directions, 3, 7),
        "peephole": (directions, 21),
    }
    there = ["x", "w", "r", *given.split()]
    operands: list[Operand] = [None] * (_PLACES[there[-1]] + 1)
    for name in there:
        if name == "lengths":
            operands[4] = whole(3, low=1, high=4, dtype="int32")
        elif name in ("x", *fed.split()):
            operands[_PLACES[name]] = Draw(shapes[name], dtype)
        else:
            operands[_PLACES[name]] = weights(*shapes[name]).astype(dtype)
    floats = {name: f"x{_PLACES[name]}" for name in there if name != "lengths"}
    results = [name for name in outputs.split() if name != "-"]
    blocked = ["x0.0", *(f"{name}.0" for name in results if name == "y0")]
    if directions == 2:
        blocked += [f"{place}.0" for name, place in floats.items() if name != "x"]
        blocked += ["y0.1" if name == "y0" else f"{name}.0" for name in results]
        attributes["direction"] = "bidirectional"
    gated = ("bias", "peephole", *(("w", "r") if gates > 1 else ()))
    return case(
        op_type,
        *operands,
        opset=opset,
        outputs=outputs,
        blocked=" ".join(blocked),
        partly=" ".join(f"{place}.1" for name, place in floats.items() if name in gated),
        hidden_size=7,
        **attributes,
    )


_ALL = {"LSTM": "bias lengths h0 c0 peephole", "GRU": "bias lengths h0", "RNN": "bias lengths h0"}
_RESULTS = {"LSTM": "y0 y1 y2", "GRU": "y0 y1", "RNN": "y0 y1"}
_TYPES = tuple(_GATES)

CASES = (
    *(recurrent(name, "", opset=opset) for name in _TYPES for opset in (7, 14, 22)),
    *(recurrent(name, _ALL[name], _RESULTS[name]) for name in _TYPES),
    *(recurrent(name, _ALL[name], _RESULTS[name], fed="w r " + _ALL[name]) for name in _TYPES),
    *(recurrent(name, _ALL[name], _RESULTS[name], directions=2) for name in _TYPES),
    *(recurrent(name, "bias", fed="w r", directions=2) for name in _TYPES),
    *(recurrent(name, "h0", "- y1", direction="reverse") for name in _TYPES),
    *(recurrent(name, "bias", "y0", dtype="float16") for name in _TYPES),
    *(recurrent(name, "bias", "y0", clip=0.7) for name in _TYPES),
    *(recurrent("GRU", "bias h0", linear_before_reset=1, directions=n) for n in (1, 2)),
    recurrent("LSTM", "c0", "- - y2"),
    recurrent("LSTM", "peephole", "- y1 y2"),
    recurrent("LSTM", "bias", "y0 - y2", input_forget=1),
    recurrent("LSTM", "bias", activations=["HardSigmoid", "Softsign", "Relu"]),
    recurrent("GRU", "bias", activations=["Sigmoid", "Relu"]),
    recurrent("RNN", "bias", activations=["Relu"]),
    recurrent("RNN", "bias", activations=["Relu", "Tanh"], directions=2),
    recurrent("RNN", "bias", activations=["Affine"], activation_alpha=[0.5], activation_beta=[0.3]),
)
