"""Seeded faults: what the compiler could get wrong does not pass for equivalent."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest

import onnxprune as op
from onnxprune.errors import EquivalenceError
from onnxprune.ir.graph import sort_nodes
from onnxprune.pipelines.result import Result
from onnxprune.verify.equivalence import check_outputs
from tests.texts import Weight, f32, model_of, node_of, replace
from tests.verify.networks import branching

DEPTH = 24


def deep() -> op.Model:
    """A deep branch that forgets beside a shallow one that does not."""
    layers = "".join(
        f"h{i + 1} = Conv(r{i}, w{i + 1}) r{i + 1} = LeakyRelu(h{i + 1})" for i in range(DEPTH)
    )
    weights: dict[str, Weight] = {f"w{i + 1}": (12, 12, 1, 1) for i in range(DEPTH)}
    rng = np.random.default_rng(1)
    small = {
        name: (rng.standard_normal((12, 12, 1, 1)) * 0.1).astype(np.float32) for name in weights
    }
    return model_of(
        f"""g (float[2,3,5,5] x) => (float[2,12,5,5] y) {{
            r0 = Conv(x, first)
            s = Conv(x, shallow)
            {layers}
            y = Add(r{DEPTH}, s)
        }}""",
        {"first": (12, 3, 1, 1), "shallow": (12, 3, 1, 1), **small},
    )


def fails(result: Result) -> str:
    """Check that verification refuses a result, and say what it found first."""
    verdict = result.verify(check=False)
    assert verdict.verdict == "failed"
    with pytest.raises(EquivalenceError) as raised:
        result.verify()
    assert raised.value.exit_code == 5
    assert "nothing was written" in raised.value.hint
    return verdict.worst


def reverse_concat(model: op.Model) -> None:
    node = node_of(model, "c")
    node.input[:] = list(node.input)[::-1]


def slice_bias_wrongly(model: op.Model) -> None:
    replace(model, "b1", np.roll(model.constants["b1"].numpy(), 1))


def take_the_front_of_a_bias(model: op.Model) -> None:
    whole = branching().constants["b1"].numpy()
    replace(model, "b1", whole[: model.constants["b1"].size])


def rotate_depthwise(model: op.Model) -> None:
    replace(model, "dw", np.roll(model.constants["dw"].numpy(), 1, axis=0))


def set_wrong_group(model: op.Model) -> None:
    node = node_of(model, "d")
    next(a for a in node.attribute if a.name == "group").i = 2


def scale_a_kernel(model: op.Model) -> None:
    replace(model, "w3", model.constants["w3"].numpy() * np.float32(1.01))


@pytest.mark.parametrize(
    ("fault", "first"),
    [
        (reverse_concat, "c"),
        (slice_bias_wrongly, "a"),
        (take_the_front_of_a_bias, "a"),
        (rotate_depthwise, "d"),
        (set_wrong_group, ""),
        (scale_a_kernel, "z"),
    ],
)
def test_faults_fail_where_they_are(fault: Callable[[op.Model], None], first: str) -> None:
    result = op.prune(branching(), 0.3, round_to=1)
    assert result.is_pruned
    assert result.verify().passed
    fault(result.model)
    assert fails(result) == first


def test_wrong_split_sizes_fail() -> None:
    result = op.prune(branching(split=True), 0.3, round_to=1)
    assert result.verify().passed
    sizes = result.model.constants["parts"].numpy()
    replace(result.model, "parts", sizes + np.array([1, -1]))
    assert fails(result) == "p"


def test_model_that_does_not_run_any_more_fails() -> None:
    result = op.prune(branching(), 0.3, round_to=1)
    replace(result.model, "w4", result.model.constants["w4"].numpy()[:, 1:])
    assert fails(result) == ""
    assert result.equivalence is not None
    assert "only the masked reference runs" in result.equivalence.why


@pytest.mark.parametrize("layer", [2, DEPTH // 2, DEPTH - 2])
def test_rotated_channels_deep_inside_fail_though_outputs_agree(layer: int) -> None:
    result = op.prune(deep(), 0.25, round_to=1)
    assert result.verify().passed
    healthy = result.model.copy()
    kernel = result.model.constants[f"w{layer}"].numpy()
    replace(result.model, f"w{layer}", np.roll(kernel, 1, axis=1))
    outputs = check_outputs(healthy, result.model, result.feeds())
    assert outputs.passed
    assert outputs.max_abs < 1e-6
    assert fails(result) == f"h{layer}"


@pytest.mark.parametrize("swap", [(0, 1), (3, 7)])
def test_swapped_channels_of_one_kernel_fail(swap: tuple[int, int]) -> None:
    result = op.prune(branching(), 0.3, round_to=1)
    kernel = result.model.constants["w3"].numpy().copy()
    kernel[:, swap] = kernel[:, swap[::-1]]
    replace(result.model, "w3", kernel)
    assert fails(result) == "z"


def test_a_wrong_row_that_no_input_looks_up_is_found() -> None:
    model = model_of(
        """g (int64[N,4] i) => (float[N,4,5] y) {
        e = Gather(table, i)
        h = MatMul(e, wa)
        r = Relu(h)
        y = MatMul(r, wb)
        }""",
        {"table": (3000, 24), "wa": (24, 16), "wb": (16, 5)},
    )
    result = op.prune(model, 0.25, round_to=1)
    assert result.verify().passed
    table = result.model.constants["table"].numpy().copy()
    assert table.shape == (3000, 18)
    looked_up = {int(row) for feeds in result.feeds(8) for row in feeds["i"].reshape(-1)}
    row = next(row for row in range(3000) if row not in looked_up)
    table[row] = table[row - 1]
    replace(result.model, "table", table)
    assert fails(result) == "table"


@pytest.mark.parametrize(
    "bounded",
    ["Clip(a, low, high)", "Min(high, a)", "Max(a, low)", "Where(never, low, a)"],
)
def test_a_wrong_bound_that_no_input_reaches_is_found(bounded: str) -> None:
    weights: dict[str, Weight] = {
        "wa": (3, 16), "wb": (16, 5), "low": f32(-1e4), "high": f32([1e4]),
    }  # fmt: skip
    model = model_of(
        f"""g (float[N,3] x) => (float[N,5] y) {{
        a = MatMul(x, wa)
        never = Greater(a, high)
        b = {bounded}
        y = MatMul(b, wb)
        }}""",
        weights,
    )
    result = op.prune(model, 0.25, round_to=1)
    assert result.verify().passed
    bound = "low" if "low" in bounded and "Clip" not in bounded else "high"
    replace(result.model, bound, f32(result.model.constants[bound].numpy() * 0.9))
    assert fails(result) == bound


@pytest.mark.parametrize("other", ["max=9000.0", ""])
def test_a_wrong_bound_among_attributes_is_found(other: str) -> None:
    text = """g (float[N,3] x) => (float[N,5] y) {
        a = MatMul(x, wa)
        b = Clip<min=-10000.0, max=10000.0>(a)
        y = MatMul(b, wb)
        }"""
    model = model_of(text, {"wa": (3, 16), "wb": (16, 5)}, opset=10)
    result = op.prune(model, 0.25, round_to=1)
    assert result.verify().passed
    result.model = result.model.copy()
    clip = node_of(result.model, "b")
    del clip.attribute[1]
    if other:
        clip.attribute.append(onnx.helper.make_attribute("max", 9e3))
    assert fails(result) == "max of b"


def test_a_fault_that_amplifies_rounding_does_not_excuse_itself() -> None:
    """A jitter of its last bits moves the model with the detour by as much as the detour does."""
    model = model_of(
        """g (float[N,3,8,8] x) => (float[N,5,8,8] y) {
        a = Conv(x, wa)
        r = Relu(a)
        y = Conv(r, wc)
        }""",
        {"wa": (16, 3, 1, 1), "wc": (5, 16, 1, 1)},
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
    assert fails(result) == "a"


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
    assert fails(result) == "m"
