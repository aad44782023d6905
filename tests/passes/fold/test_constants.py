"""fold-constants: golden models in ONNX text."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import pytest

import onnxprune as op
from onnxprune.ir.canonical import canonicalise
from onnxprune.verify.sessions import session_of
from tests.texts import Weight, assert_valid, model_of, node_of, op_types, proto_of


def folded(text: str, weights: dict[str, Weight], opset: int = 17) -> op.Model:
    model = model_of(text, weights, opset=opset)
    result = op.Pipeline("fold-constants").run(model)
    verdict = result.verify(check=False)
    assert verdict.passed, verdict
    assert_valid(result.model)
    return result.model


def test_static_shape_arithmetic_becomes_a_constant() -> None:
    model = folded(
        """g (float[2,6,5] x) => (float[2,30] y) {
            s = Shape(x)
            zero = Constant<value = int64 {0}>()
            one = Constant<value = int64[1] {-1}>()
            axes = Constant<value_ints = [0]>()
            n = Gather(s, zero)
            m = Unsqueeze(n, axes)
            t = Concat<axis=0>(m, one)
            r = Reshape(x, t)
            y = Relu(r)
        }""",
        {},
    )
    assert op_types(model) == ["Reshape", "Relu"]
    assert model.constants["t"].numpy().tolist() == [2, -1]


def test_dynamic_shape_arithmetic_keeps_the_batch_free() -> None:
    model = folded(
        """g (float[n,6,5] x) => (float[n,p,3,2] y) {
            s = Shape(x)
            i0 = Constant<value_ints = [0]>()
            i1 = Constant<value_ints = [1]>()
            i2 = Constant<value_ints = [2]>()
            half = Constant<value_ints = [2]>()
            n = Gather(s, i0)
            c = Gather(s, i1)
            w = Gather(s, i2)
            d = Div(c, half)
            t = Concat<axis=0>(n, w, d, half)
            y = Reshape(x, t)
        }""",
        {},
    )
    assert op_types(model) == ["Reshape"]
    target = model.constants[node_of(model, "y").input[1]].numpy().tolist()
    assert target[1:] == [5, 3, 2]
    with session_of(model) as session:
        for batch in (1, 4, 9):
            x = np.zeros((batch, 6, 5), np.float32)
            assert session.run({"x": x})["y"].shape == (batch, 5, 3, 2)


def test_bombs_are_not_evaluated() -> None:
    proto = proto_of(
        """g (float[2,3] x) => (float[2,3] y) {
            ones = ConstantOfShape<value = int64[1] {1}>(big)
            s = Shape(ones)
            p = ReduceProd<keepdims=0>(s)
            q = ReduceSum<keepdims=0>(ones)
            r = Add(p, q)
            f = Cast<to=1>(r)
            y = Mul(x, f)
        }""",
        {"big": np.array([2**20, 2**20])},
    )
    kept = canonicalise(op.load(proto)).model
    assert op_types(kept) == ["ConstantOfShape", "ReduceSum", "Add", "Cast", "Mul"]
    assert kept.constants["p"].numpy() == 2**40


def test_squeeze_and_split_say_what_sizes_would_tell() -> None:
    text = """g (float[2,1,6] x) => (float[2,3] y) {{
        q = Squeeze(x)
        a, b = Split<axis=1{extra}>(q)
        y = Add(a, b)
    }}"""
    new = folded(text.format(extra=""), {})
    squeeze, split = node_of(new, "q"), node_of(new, "a")
    assert new.constants[squeeze.input[1]].numpy().tolist() == [1]
    assert new.constants[split.input[1]].numpy().tolist() == [3, 3]
    newest = folded(text.format(extra=", num_outputs=2"), {}, opset=18)
    assert [a.name for a in node_of(newest, "a").attribute] == ["axis"]
    old = folded(text.format(extra=""), {}, opset=11)
    attributes = {a.name: list(a.ints) for a in node_of(old, "a").attribute if a.ints}
    assert attributes == {"split": [3, 3]}
    assert list(node_of(old, "q").attribute[0].ints) == [1]


def test_local_functions_are_inlined() -> None:
    proto = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["": 17, "mine": 1]>
        g (float[2,3] x) => (float[2,3] y) { y = mine.twice(x) }
        <domain: "mine", opset_import: ["": 17]>
        twice (a) => (b) { c = Relu(a)  b = Add(c, c) }"""
    )
    result = op.Pipeline("fold-constants").run(op.load(proto))
    assert op_types(result.model) == ["Relu", "Add"]
    assert not result.model.proto.functions
    assert result.verify().passed


def test_what_the_file_carries_stays() -> None:
    header = (
        '<ir_version: 8, opset_import: ["": 17, "other": 3], producer_name: "me", '
        'model_version: 7, doc_string: "about", metadata_props: ["names": "cat,dog"]>'
    )
    proto = proto_of(
        header
        + """g (float[n,6] x) => (float[n,4] y) {
            w2 = Identity(w)
            [first] h = MatMul(x, w2)
            r = Relu(h)
            y = MatMul(r, v)
        }""",
        {"w": (6, 8), "v": (8, 4)},
    )
    proto.graph.doc_string = "a graph"
    proto.graph.node[1].doc_string = "a node"
    proto.graph.initializer[0].doc_string = "a weight"
    proto.graph.input[0].doc_string = "an input"
    result = op.prune(op.load(proto), 0.5, round_to=1)
    assert result.is_pruned
    pruned = result.model.to_proto()
    for field in ("ir_version", "producer_name", "model_version", "doc_string"):
        assert getattr(pruned, field) == getattr(proto, field)
    assert pruned.opset_import == proto.opset_import
    assert pruned.metadata_props == proto.metadata_props
    assert pruned.graph.name == "g"
    assert pruned.graph.doc_string == "a graph"
    assert pruned.graph.input == proto.graph.input
    assert pruned.graph.output == proto.graph.output
    first = pruned.graph.node[0]
    assert (first.name, first.doc_string) == (proto.graph.node[1].name, "a node")
    weights = {tensor.name: tensor for tensor in pruned.graph.initializer}
    assert weights["w"].doc_string == "a weight"


SHARED = """g (float[2,3,4,4] x) => (float[2,5,4,4] y) {
    a = Conv(x, w1, b)  r = Relu(a)  c = Conv(r, w2, b)  s = Relu(c)  y = Conv(s, w3)
}"""


def test_shared_vectors_get_views_and_are_merged_again() -> None:
    weights: dict[str, Weight] = {"w1": (8, 3, 1, 1), "w2": (8, 8, 1, 1), "w3": (5, 8, 1, 1)}
    model = model_of(SHARED, weights | {"b": np.full(8, 0.25, np.float32)})
    canonical = canonicalise(model)
    assert {n for n, source in canonical.provenance.items() if source == "b"} == {"b", "b::2"}
    result = op.prune(model, 0.5, round_to=1)
    assert [name for name in result.model.constants if name.startswith("b")] == ["b"]
    assert result.model.constants["b"].shape == (4,)
    assert {"b", "b::2"} <= result.plan.initializers.keys()
    other = model_of(SHARED, weights | {"b": np.linspace(-1, 1, 8, dtype=np.float32)})
    result = op.prune(other, 0.5, round_to=1)
    kept = [result.plan.initializers[name][0] for name in ("b", "b::2")]
    assert kept[0] != kept[1]
    assert {"b", "b::2"} <= result.model.constants.keys()
    assert result.verify().passed


def test_matrices_used_twice_stay_tied() -> None:
    model = model_of(
        """g (float[2,3,4] x) => (float[2,3,5] y) {
            a = MatMul(x, w1)  b = MatMul(a, w2)  c = Relu(b)  d = MatMul(c, w2)  y = MatMul(d, w3)
        }""",
        {"w1": (4, 9), "w2": (9, 9), "w3": (9, 5)},
    )
    result = op.prune(model, 0.5, round_to=1)
    assert result.plan.initializers["w2"].keys() == {0, 1}
    assert result.plan.initializers["w2"][0] == result.plan.initializers["w2"][1]
    assert result.verify().passed


@pytest.mark.parametrize("kind", ["Dropout<seed=1>", "RandomNormalLike<dtype=1>"])
def test_random_numbers_are_not_folded(kind: str) -> None:
    model = model_of(
        f"""g (float[2,3] x) => (float[2,3] y) {{
            c = Constant<value = float[1] {{1.0}}>()  r = {kind}(c)  y = Add(x, r)
        }}""",
        {},
    )
    assert op_types(op.Pipeline("fold-constants").run(model).model)[0] == kind.partition("<")[0]


def test_channels_of_zeros_stay_the_few_numbers_that_they_are() -> None:
    """Residual networks pad their shortcuts with zeros in front of a wider stage."""
    model = model_of(
        """g (float[2,3,8,8] x) => (float[2,3,8,8] y) {
            a = Conv<pads=[1,1,1,1]>(x, w1)
            z = ConstantOfShape<value = float[1] {0}>(sizes)
            b = Concat<axis=1>(z, a)
            y = Conv(b, w2)
        }""",
        {"w1": (4, 3, 3, 3), "w2": (3, 8, 1, 1), "sizes": np.array([2, 4, 8, 8])},
    )
    result = op.prune(model, 0.5, round_to=1)
    assert result.model.constants[node_of(result.model, "z").input[0]].numpy()[1] == 2
    assert result.model.constants["w2"].shape == (3, 4, 1, 1)
    assert result.verify().passed
