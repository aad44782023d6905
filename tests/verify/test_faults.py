"""Seeded faults: the equivalence check bites where outputs alone would not tell."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import pytest

import onnxprune as op
from onnxprune.errors import EquivalenceError
from onnxprune.ir.edit import with_constants
from onnxprune.ir.graph import sort_nodes
from onnxprune.ir.model import Model
from onnxprune.ir.tensors import ArrayTensor
from tests.texts import model_of

HEADER = '<ir_version: 8, opset_import: ["": 17]>\n'


def network(text: str, **shapes: tuple[int, ...]) -> Model:
    """A model of ONNX text with seeded weights."""
    model = onnx.parser.parse_model(HEADER + text)
    rng = np.random.default_rng(0)
    for name, shape in shapes.items():
        fan_in = max(int(np.prod(shape[1:])), 1)
        array = rng.standard_normal(shape).astype(np.float32) / np.float32(fan_in**0.5)
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return op.load(model)


def spoil(result: op.Result, name: str, array: np.ndarray) -> None:
    """Put other data into a constant of the pruned model."""
    constants = dict(result.model.constants)
    constants[name] = ArrayTensor.of(np.ascontiguousarray(array))
    result.model = with_constants(result.model.copy(), constants)


def must_fail(result: op.Result) -> None:
    assert result.verify(check=False).verdict == "failed"
    with pytest.raises(EquivalenceError) as caught:
        result.verify()
    assert caught.value.exit_code == 5


def test_a_reversed_concat_is_found() -> None:
    model = network(
        """g (float[N,3,8,8] x) => (float[N,5,8,8] y) {
        a = Conv(x, wa)
        b = Conv(x, wb)
        c = Concat<axis=1>(a, b)
        r = Relu(c)
        y = Conv(r, wc)
        }""",
        wa=(16, 3, 1, 1),
        wb=(16, 3, 1, 1),
        wc=(5, 32, 1, 1),
    )
    result = op.prune(model, 0.25, round_to=1)
    assert result.verify().passed
    result.model = result.model.copy()
    concat = next(n for n in result.model.proto.graph.node if n.op_type == "Concat")
    concat.input[0], concat.input[1] = concat.input[1], concat.input[0]
    must_fail(result)


def test_rotated_input_channels_deep_inside_are_found_where_the_output_forgets() -> None:
    """Layers that shrink their signal until the output hardly shows the fault."""
    depth = 9
    lines = [f"h{i} = Relu(c{i})\n c{i + 1} = Conv(h{i}, w{i + 1}, b{i + 1})" for i in range(depth)]
    text = (
        "g (float[N,3,6,6] x) => (float[N,4,6,6] y) {\n c0 = Conv(x, w0, b0)\n"
        + "\n".join(lines)
        + f"\n y = Conv(c{depth}, wy, by)\n}}"
    )
    shapes: dict[str, tuple[int, ...]] = {"w0": (16, 3, 1, 1), "b0": (16,)}
    for i in range(1, depth + 1):
        shapes |= {f"w{i}": (16, 16, 1, 1), f"b{i}": (16,)}
    model = network(text, **shapes, wy=(4, 16, 1, 1), by=(4,))
    damped = {
        name: ArrayTensor.of(tensor.numpy() * np.float32(0.7 if name.startswith("w") else 1.0))
        for name, tensor in model.constants.items()
    }
    model = with_constants(model.copy(), damped)
    result = op.prune(model, 0.25, round_to=1)
    assert result.verify().passed
    feeds = result.feeds()
    before = _output(result.model, feeds[0])
    middle = result.model.constants["w2"].numpy()
    spoil(result, "w2", np.roll(middle, 1, axis=1))
    moved = np.abs(_output(result.model, feeds[0]) - before).max() / np.abs(before).max()

    assert moved < 1e-3  # a comparison of outputs alone, at the usual 1e-3, would let it pass
    must_fail(result)


def test_a_bias_sliced_by_the_wrong_mask_is_found() -> None:
    model = network(
        """g (float[N,3,8,8] x) => (float[N,5,8,8] y) {
        a = Conv(x, wa, ba)
        r = Relu(a)
        y = Conv(r, wc)
        }""",
        wa=(16, 3, 1, 1),
        ba=(16,),
        wc=(5, 16, 1, 1),
    )
    result = op.prune(model, 0.25, round_to=1)
    assert result.verify().passed
    kept = len(result.model.constants["ba"].numpy())
    assert kept == 12
    spoil(result, "ba", model.constants["ba"].numpy()[:kept])
    must_fail(result)


def test_a_wrong_row_that_no_input_looks_up_is_found() -> None:
    model = network(
        """g (int64[N,4] i) => (float[N,4,5] y) {
        e = Gather(table, i)
        h = MatMul(e, wa)
        r = Relu(h)
        y = MatMul(r, wb)
        }""",
        table=(3000, 24),
        wa=(24, 16),
        wb=(16, 5),
    )
    result = op.prune(model, 0.25, round_to=1)
    assert result.verify().passed
    table = result.model.constants["table"].numpy().copy()
    assert table.shape == (3000, 18)
    looked_up = {int(row) for feeds in result.feeds(8) for row in feeds["i"].reshape(-1)}
    row = next(row for row in range(3000) if row not in looked_up)
    table[row] = table[row - 1]
    spoil(result, "table", table)
    must_fail(result)


def test_a_fault_that_amplifies_rounding_does_not_excuse_itself() -> None:
    """A jitter of its last bits moves the model with the detour by as much as the detour does."""
    model = network(
        """g (float[N,3,8,8] x) => (float[N,5,8,8] y) {
        a = Conv(x, wa)
        r = Relu(a)
        y = Conv(r, wc)
        }""",
        wa=(16, 3, 1, 1),
        wc=(5, 16, 1, 1),
    )
    result = op.prune(model, 0.25, round_to=1)
    assert result.verify().passed
    result.model = result.model.copy()
    nodes = result.model.proto.graph.node
    conv = next(node for node in nodes if "a" in node.output)
    conv.output[0] = "exact"
    for source, made, to in (("exact", "n", "BFLOAT16"), ("n", "a", "FLOAT")):
        to_type = getattr(onnx.TensorProto, to)
        nodes.append(onnx.helper.make_node("Cast", [source], [made], to=to_type))
    sort_nodes(result.model.proto.graph)
    must_fail(result)


def test_outputs_that_do_not_react_prove_nothing() -> None:
    model = network(
        """g (float[N,3,8,8] x) => (float[N,5,8,8] y) {
        a = Conv(x, wa)
        r = Relu(a)
        zero = Constant<value=float {0.0}>()
        m = Mul(r, zero)
        y = Conv(m, wc)
        }""",
        wa=(16, 3, 1, 1),
        wc=(5, 16, 1, 1),
    )
    verdict = op.prune(model, 0.25, round_to=1).verify(check=False)
    assert verdict.verdict == "cannot tell"
    assert "no output reacts" in verdict.why


def _output(model: Model, feed: dict[str, np.ndarray]) -> np.ndarray:
    from onnxprune.runtime import Session

    return Session(model.to_bytes()).run(feed)["y"]


def test_infinities_of_a_mask_excuse_no_others() -> None:
    """They lie where they do whatever the rounding: no overflow."""
    model = model_of(
        """g (float[N,6,8] x) => (float[N,6,5] y) {
        h = MatMul(x, wa)
        t = Transpose<perm=[0,2,1]>(h)
        s = MatMul(h, t)
        m = Where(mask, s, low)
        p = Softmax(m)
        o = MatMul(p, h)
        y = MatMul(o, wc)
        }""",
        {
            "wa": (8, 16),
            "wc": (16, 5),
            "mask": np.tril(np.ones((6, 6), dtype=bool)),
            "low": np.array(-np.inf, dtype=np.float32),
        },
    )
    result = op.prune(model, 0.25, round_to=1)
    assert result.verify().passed
    result.model = result.model.copy()
    node = next(n for n in result.model.proto.graph.node if n.op_type == "Where")
    node.input[1], node.input[2] = node.input[2], node.input[1]
    must_fail(result)
