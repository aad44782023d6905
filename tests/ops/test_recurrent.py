"""Recurrent networks: pruned, proven, and blocked where somebody outside sees the units.

Steps, batch and inputs are 5, 3 and 6; layers have 8 units, of which 5 stay.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import pytest

import onnxprune as op
from onnxprune.cost.macs import count_macs
from onnxprune.coupling.axis_plan import Blocks
from onnxprune.ir.load import load
from onnxprune.ir.tensors import ArrayTensor
from tests.coupling.models import couple, members
from tests.texts import Weight, proto_of

X = "float[5,3,6] x"
ONE, ZERO, NEXT = np.array([1]), np.array([0]), np.array([0, 0, -1])


def prune(
    body: str, weights: Mapping[str, Weight], inputs: str = X, ratio: float = 0.4
) -> op.Result:
    """Prune a network, prove it; a result called ``_`` is not asked for."""
    proto = proto_of(f"g ({inputs}) => (float[?,?,?] y) {{ {body} }}", weights)
    for node in proto.graph.node:
        node.output[:] = [name.lstrip("_") for name in node.output]
    result = op.prune(load(proto), ratio, round_to=1)
    verdict = result.verify()
    assert verdict.passed, verdict.why
    assert verdict.reacting == verdict.compared > 0
    for node in result.model.proto.graph.node:
        if node.op_type in GATES:
            (units,) = (a.i for a in node.attribute if a.name == "hidden_size")
            assert units == result.model.constants[node.input[2]].shape[2]
    return result


def shape(result: op.Result, name: str) -> tuple[int, ...]:
    return result.model.constants[name].shape


def kept(result: op.Result, name: str, axis: int) -> tuple[int, ...]:
    indices = result.plan.initializers[name][axis]
    assert isinstance(indices, tuple)
    return indices


GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def layer(op_type: str, directions: int = 1, inputs: int = 6, tag: str = "") -> dict[str, Weight]:
    """Weights of a layer with 8 units, and of what reads it: 7 outputs."""
    gates = GATES[op_type] * 8
    return {
        f"w{tag}": (directions, gates, inputs),
        f"r{tag}": (directions, gates, 8),
        f"b{tag}": (directions, 2 * gates),
        f"v{tag}": (8 * directions, 7),
    }


@pytest.mark.parametrize(
    ("op_type", "attributes"),
    [
        ("LSTM", ""),
        ("LSTM", ', direction = "reverse"'),
        ("LSTM", ", clip = 0.5, input_forget = 1"),
        ("GRU", ""),
        ("GRU", ", linear_before_reset = 1"),
        ("RNN", ""),
        ("RNN", ', activations = ["Relu"]'),
    ],
)
def test_units_go_from_all_gates_of_one_direction(op_type: str, attributes: str) -> None:
    result = prune(
        f"""s = {op_type} <hidden_size = 8{attributes}> (x, w, r, b)
        q = Squeeze(s, one)  y = MatMul(q, v)""",
        {**layer(op_type), "one": ONE},
    )
    gates = GATES[op_type] * 5
    assert shape(result, "w") == (1, gates, 6)
    assert shape(result, "r") == (1, gates, 5)
    assert shape(result, "b") == (1, 2 * gates)
    assert shape(result, "v") == (5, 7)


@pytest.mark.parametrize("op_type", GATES)
def test_both_directions_stacked(op_type: str) -> None:
    """Each direction keeps units of its own."""
    both = '<hidden_size = 8, direction = "bidirectional">'
    result = prune(
        f"""s1 = {op_type} {both} (x, w1, r1, b1)
        t1 = Transpose <perm = [0, 2, 1, 3]> (s1)  q1 = Reshape(t1, next)
        s2 = {op_type} {both} (q1, w2, r2, b2)
        t2 = Transpose <perm = [0, 2, 1, 3]> (s2)  q2 = Reshape(t2, next)
        y = MatMul(q2, v2)""",
        {**layer(op_type, 2, 6, "1"), **layer(op_type, 2, 16, "2"), "next": NEXT},
    )
    gates = GATES[op_type] * 5
    assert shape(result, "r1") == shape(result, "r2") == (2, gates, 5)
    assert shape(result, "w2") == (2, gates, 10)
    assert shape(result, "v2") == (10, 7)
    for weight, reader, axis in (("r1", "w2", 2), ("r2", "v2", 0)):
        units = result.plan.initializers[weight][2]
        assert isinstance(units, Blocks)
        there, back = units.kept
        assert there != back
        assert kept(result, reader, axis) == (*there, *(8 + i for i in back))


def test_a_residual_ties_two_layers() -> None:
    result = prune(
        """s1 = LSTM <hidden_size = 8> (x, w1, r1, b1)  q1 = Squeeze(s1, one)
        s2 = LSTM <hidden_size = 8> (q1, w2, r2, b2)  q2 = Squeeze(s2, one)
        q = Add(q1, q2)  y = MatMul(q, v2)""",
        {**layer("LSTM", 1, 6, "1"), **layer("LSTM", 1, 8, "2"), "one": ONE},
    )
    (group,) = result.removals[0].groups
    assert group.kind == "residual"
    assert kept(result, "r1", 2) == kept(result, "r2", 2)


def test_a_projection_between_layers() -> None:
    result = prune(
        """s1 = GRU <hidden_size = 8> (x, w1, r1, b1)  q1 = Squeeze(s1, one)
        p = MatMul(q1, v1)  n = LayerNormalization(p, scale, shift)
        s2 = RNN <hidden_size = 8> (n, w2, r2, b2)  q2 = Squeeze(s2, one)
        y = MatMul(q2, v2)""",
        {
            **layer("GRU", 1, 6, "1"),
            **layer("RNN", 1, 7, "2"),
            **{"one": ONE, "scale": (7,), "shift": (7,)},
        },
    )
    assert len(result.removals[0].chosen) == 3
    assert shape(result, "v1") == (5, 4)
    assert shape(result, "w2") == (1, 5, 4)


STATES: dict[str, tuple[str, dict[str, Weight]]] = {
    "constant": ("", {"h0": (1, 3, 8), "c0": (1, 3, 8)}),
    "zero": ("", {name: np.zeros((1, 3, 8), np.float32) for name in ("h0", "c0")}),
    "expanded": (
        "h0 = Expand(cell, to)  c0 = Expand(cell, to)",
        {"cell": (1, 1, 8), "to": np.array([1, 3, 8])},
    ),
    "filled": (
        "h0 = ConstantOfShape(to)  c0 = ConstantOfShape(to)",
        {"to": np.array([1, 3, 8])},
    ),
    "computed": (
        """one_x = Gather <axis = 0> (x, first)  m = MatMul(one_x, wm)
        h0 = Unsqueeze(m, zero)  c0 = Tanh(h0)""",
        {"first": np.array(2), "wm": (6, 8), "zero": ZERO},
    ),
}


@pytest.mark.parametrize("how", STATES)
def test_initial_states_lose_the_units_too(how: str) -> None:
    nodes, constants = STATES[how]
    result = prune(
        f"""{nodes}
        s, h, c = LSTM <hidden_size = 8> (x, w, r, b, , h0, c0)
        hc = Mul(h, c)  q = Add(s, hc)  k = Squeeze(q, one)  y = MatMul(k, v)""",
        {**layer("LSTM"), **constants, "one": ONE},
    )
    assert shape(result, "r") == (1, 20, 5)
    if "wm" in constants:
        assert shape(result, "wm") == (6, 5)


def test_lengths_and_peepholes() -> None:
    result = prune(
        """s = LSTM <hidden_size = 8> (x, w, r, b, lengths, , , peephole)
        k = Squeeze(s, one)  y = MatMul(k, v)""",
        {
            **layer("LSTM"),
            **{"peephole": (1, 24), "one": ONE, "lengths": np.array([5, 2, 4], np.int32)},
        },
    )
    assert shape(result, "peephole") == (1, 15)
    units = kept(result, "r", 2)
    assert kept(result, "peephole", 1) == tuple(8 * gate + i for gate in range(3) for i in units)


@pytest.mark.parametrize("asked", ["s", "_, h", "_, _, c", "s, h", "s, _, c", "_, h, c"])
def test_any_of_the_results(asked: str) -> None:
    read = [name for name in asked.split(", ") if name != "_"]
    result = prune(
        f"""{asked} = LSTM <hidden_size = 8> (x, w, r, b)
        q = Sum({", ".join(read)})  k = MatMul(q, v)  y = ReduceSum<keepdims = 0>(k, one)""",
        {**layer("LSTM"), "one": ONE if "s" in read else ZERO},
    )
    assert shape(result, "r") == (1, 20, 5)


def test_the_last_states_of_both_directions_side_by_side() -> None:
    """Read one by one, both directions keep the same units."""
    result = prune(
        """_, h = GRU <hidden_size = 8, direction = "bidirectional"> (x, w, r, b)
        f = Gather <axis = 0> (h, first)  k = Gather <axis = 0> (h, last)
        q = Concat <axis = 1> (f, k)  m = MatMul(q, v)  y = Unsqueeze(m, zero)""",
        {**layer("GRU", 2), "first": np.array(0), "last": np.array(1), "zero": ZERO},
    )
    units = kept(result, "r", 2)
    assert kept(result, "v", 0) == (*units, *(8 + i for i in units))


@pytest.mark.parametrize("dims", ["5,batch,6", "steps,3,6", "steps,batch,6"])
def test_dynamic_steps_and_batch(dims: str) -> None:
    result = prune(
        """s1 = LSTM <hidden_size = 8, direction = "bidirectional"> (x, w1, r1, b1)
        t1 = Transpose <perm = [0, 2, 1, 3]> (s1)  q1 = Reshape(t1, next)
        y = MatMul(q1, v1)""",
        {**layer("LSTM", 2, 6, "1"), "next": NEXT},
        inputs=f"float[{dims}] x",
    )
    assert shape(result, "r1") == (2, 20, 5)


LAST = "s, h = GRU <hidden_size = 8> (x, w, r, b, , h0)\nk = Squeeze(s, one)\ny = MatMul(k, v)"
GRU = {"w": (1, 24, 6), "r": (1, 24, 8), "b": (1, 48), "v": (8, 7)}


@pytest.mark.parametrize(
    ("x", "y", "weights", "reason"),
    [
        (f"{X}, float[1,3,8] h0", "float[5,3,7] y", {}, "graph input h0, axis 2"),
        (X, "float[5,3,7] y, float[1,3,8] h", {"h0": (1, 3, 8)}, "graph output h, axis 2"),
    ],
)
def test_states_that_come_from_outside_or_go_there(
    x: str, y: str, weights: dict[str, tuple[int, ...]], reason: str
) -> None:
    model = couple(f"one = Constant <value_ints = [1]> ()\n{LAST}", {**GRU, **weights}, x, y)
    assert model.reasons("r")[2] == [reason]
    assert model.reasons("w")[1] == ["gates of a recurrent operator", reason]
    assert model.groups == []


def test_directions_and_steps_are_places() -> None:
    model = couple(
        's = RNN <hidden_size = 8, direction = "bidirectional"> (x, w, r)\ny = Relu(s)',
        {"w": (2, 8, 6), "r": (2, 8, 8)},
        X,
        "float[5,2,3,8] y",
    )
    assert model.reasons("w")[0] == ["directions of a recurrent operator"]
    assert model.reasons("s")[0] == ["steps of a recurrent operator"]


def test_batch_first_layout() -> None:
    """ONNX Runtime does not run it, so only the couplings are looked at."""
    model = couple(
        """
        e = MatMul(x, we)
        s, h, c = LSTM <hidden_size = 8, layout = 1> (e, w, r, b, , h0, c0)
        y = MatMul(s, v)
        """,
        {
            **{"we": (6, 10), "w": (1, 32, 10), "r": (1, 32, 8), "b": (1, 64)},
            **{"h0": (3, 1, 8), "c0": (3, 1, 8), "v": (8, 7)},
        },
        "float[3,5,6] x",
        "float[3,5,1,7] y",
    )
    assert members(model.group("w", 2)) == {("we", 1), ("w", 2)}
    assert members(model.group("r", 2)) == {
        *(("w", 1), ("r", 1), ("r", 2), ("b", 1), ("h0", 2), ("c0", 2), ("v", 0))
    }


def test_multiply_accumulates_shrink_with_inputs_and_units() -> None:
    both = '<hidden_size = 8, direction = "bidirectional">'
    result = prune(
        f"""e = MatMul(x, we)
        s = LSTM {both} (e, w, r, b)  t = Transpose <perm = [0, 2, 1, 3]> (s)
        q = Reshape(t, next)  y = MatMul(q, v)""",
        {**layer("LSTM", 2, 10), "we": (6, 10), "next": NEXT},
    )
    (removal,) = result.removals
    steps = 5 * 3
    whole = steps * (6 * 10 + 2 * 4 * 8 * (10 + 8) + 16 * 7)
    assert count_macs(removal.analysis) == whole
    left = steps * (6 * 6 + 2 * 4 * 5 * (6 + 5) + 10 * 7)
    assert count_macs(removal.analysis, removal.keeps) == left


def test_the_proof_sees_a_unit_that_still_reaches_the_others() -> None:
    result = prune(
        "s = RNN <hidden_size = 8> (x, w, r, b)  q = Squeeze(s, one)  y = MatMul(q, v)",
        {**layer("RNN"), "one": ONE},
    )
    constants = result.model.constants
    wrong = constants["r"].numpy().copy()
    units = list(kept(result, "r", 2))
    original = result.original.constants["r"].numpy()
    gone = next(index for index in range(8) if index not in units)
    wrong[0, :, 0] = original[0, units, gone]
    result.model.set_constants({"r": ArrayTensor.of(wrong)})
    assert result.verify(check=False).verdict == "failed"


def test_the_node_keeps_its_other_attributes() -> None:
    result = prune(
        """s = GRU <hidden_size = 8, linear_before_reset = 1, clip = 0.5> (x, w, r, b)
        q = Squeeze(s, one)  y = MatMul(q, v)""",
        {**layer("GRU"), "one": ONE},
    )
    node = next(node for node in result.model.proto.graph.node if node.op_type == "GRU")
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    assert attributes == {"hidden_size": 5, "linear_before_reset": 1, "clip": 0.5}
