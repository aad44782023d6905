"""Loading splits a model into structure and weights, and refuses what is not sound."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import pytest

from onnxprune.errors import InternalError, ModelError
from onnxprune.ir.load import load
from onnxprune.ir.model import Model
from onnxprune.ir.tensors import ArrayTensor, InlineTensor
from tests.texts import Weight, proto_of

TEXT = """
<ir_version: 8, opset_import: ["" : 17, "my.ops" : 3], producer_name: "test",
 doc_string: "a model", metadata_props: ["names": "cat,dog"]>
agraph (float[n, 64] x) => (float[n, 32] y)
{
    h = MatMul(x, w)
    s = Add(h, b)
    r = Reshape(s, shape)
    y = my.ops.Custom(r)
}
"""


def small_model() -> onnx.ModelProto:
    arrays: dict[str, Weight] = {
        "w": np.arange(64 * 32, dtype=np.float32).reshape(64, 32),
        "b": np.arange(32, dtype=np.float32),
        "shape": np.array([-1, 32]),
    }
    proto = proto_of(TEXT, arrays)
    for tensor in proto.graph.initializer:
        tensor.doc_string = f"about {tensor.name}"
    return proto


def initializer(proto: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(tensor for tensor in proto.graph.initializer if tensor.name == name)


def test_structure_and_weights_are_apart(tmp_path: Path) -> None:
    proto = small_model()
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    model = load(path)
    assert list(model.constants) == ["w", "b", "shape"]
    assert all(isinstance(tensor, InlineTensor) for tensor in model.constants.values())
    stub = initializer(model.proto, "w")
    assert list(stub.dims) == [64, 32]
    assert (stub.data_type, stub.doc_string) == (onnx.TensorProto.FLOAT, "about w")
    assert not stub.HasField("raw_data")
    assert initializer(model.proto, "shape") == initializer(proto, "shape")
    assert model.to_proto() == proto
    assert model.to_bytes() == path.read_bytes()


def test_a_model_knows_its_figures(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(small_model().SerializeToString())
    model = Model.load(str(path))
    assert (model.path, model.external) == (path, False)
    assert model.parameters == 64 * 32 + 32
    assert model.opset == {"": 17, "my.ops": 3}
    assert model.size_bytes == len(path.read_bytes())
    assert model.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_model_in_memory_is_left_as_it_is() -> None:
    proto = small_model()
    before = proto.SerializeToString()
    model = load(proto)
    model.set_constants({"b": ArrayTensor.of(np.zeros(32, np.float32))})
    model.proto.graph.node[0].op_type = "Other"
    assert proto.SerializeToString() == before
    assert model.path is None


def test_a_model_in_memory_does_not_follow_the_caller() -> None:
    proto = small_model()
    model = load(proto)
    expected = model.to_bytes()
    initializer(proto, "w").raw_data = b""
    proto.graph.node[0].op_type = "Other"
    assert model.to_bytes() == expected


def test_size_and_hash_of_a_model_in_memory_are_those_of_its_bytes() -> None:
    model = load(small_model())
    assert model.size_bytes == len(model.to_bytes())
    assert model.sha256 == hashlib.sha256(model.to_bytes()).hexdigest()


def test_a_copy_has_a_structure_of_its_own() -> None:
    model = load(small_model())
    expected = model.to_bytes()
    copy = model.copy()
    assert copy.constants["w"] is model.constants["w"]
    copy.proto.graph.node[0].op_type = "Other"
    copy.drop_constants(["b"])
    assert model.to_bytes() == expected
    assert copy.sha256 != model.sha256


def test_constants_are_replaced_added_and_dropped(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(small_model().SerializeToString())
    model = load(path)
    loaded_hash = model.sha256
    model.set_constants(
        {
            "w": ArrayTensor.of(np.ones((64, 16), np.float16)),
            "new": ArrayTensor.of(np.ones((40, 40), np.float32)),
        }
    )
    model.drop_constants(["shape"])
    assert list(model.constants) == ["w", "b", "new"]
    proto = model.to_proto()
    assert [tensor.name for tensor in proto.graph.initializer] == ["w", "b", "new"]
    written = initializer(proto, "w")
    assert (list(written.dims), written.doc_string) == ([64, 16], "about w")
    assert written.data_type == onnx.TensorProto.FLOAT16
    assert model.to_bytes() == proto.SerializeToString(deterministic=True)
    assert model.sha256 != loaded_hash
    assert model.size_bytes == len(model.to_bytes())


def test_dropping_what_is_not_there_is_a_bug() -> None:
    with pytest.raises(InternalError, match="no such initializers") as caught:
        load(small_model()).drop_constants(["nobody"])
    assert caught.value.where == "nobody"


@pytest.mark.parametrize("part", ["constants", "stub"])
def test_structure_and_weights_that_disagree_are_a_bug(part: str) -> None:
    model = load(small_model())
    if part == "constants":
        del model.constants["b"]
    else:
        del model.proto.graph.initializer[1]
    with pytest.raises(InternalError, match="do not agree") as caught:
        model.to_bytes()
    assert caught.value.why == "b"


def test_the_hash_of_a_file_that_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(small_model().SerializeToString())
    model = load(path)
    path.write_bytes(b"something else")
    with pytest.raises(ModelError, match="changed"):
        _ = model.sha256


# Files that are no model


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty"),
        (small_model().SerializeToString()[:-500], "not an ONNX model"),
        (b"hello, this is text\n", "not an ONNX model"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"\x18\x00\x00\x00ORTM rest of the file", "own format"),
        (b"PK\x03\x04 an archive", "ZIP"),
        (onnx.ModelProto(ir_version=8).SerializeToString(), "no graph"),
    ],
    ids=["empty", "truncated", "text", "lfs", "ort", "zip", "no graph"],
)
def test_a_file_that_is_no_model_is_explained(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=expected) as caught:
        load(path)
    assert str(path) in caught.value.where
    assert caught.value.hint
    assert caught.value.exit_code == 3


def test_no_truncation_escapes_as_another_error(tmp_path: Path) -> None:
    content = small_model().SerializeToString()
    path = tmp_path / "m.onnx"
    for length in range(1, len(content), 97):
        path.write_bytes(content[:length])
        with pytest.raises(ModelError, match="not an ONNX model"):
            load(path)


@pytest.mark.parametrize("text", [b"cat,dog", b"MatMul", b"agraph", b"about b", b"producer"])
def test_text_that_is_not_utf8_is_refused(tmp_path: Path, text: bytes) -> None:
    proto = small_model()
    proto.producer_version = "producer"
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString().replace(text, b"\xff" + text[1:]))
    with pytest.raises(ModelError, match="UTF-8"):
        load(path)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model file"):
        load(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="not a folder"):
        load(tmp_path)
    with pytest.raises(ModelError, match="null"):
        load("a\0b.onnx")


# Models that are not sound


def _no_nodes(proto: onnx.ModelProto) -> None:
    del proto.graph.node[:]


def _no_opset(proto: onnx.ModelProto) -> None:
    del proto.opset_import[:]


def _twice(proto: onnx.ModelProto) -> None:
    proto.graph.initializer.append(initializer(proto, "b"))


def _nameless(proto: onnx.ModelProto) -> None:
    initializer(proto, "b").name = ""


def _two_makers(proto: onnx.ModelProto) -> None:
    proto.graph.node[1].output[0] = "h"


def _unknown_operator(proto: onnx.ModelProto) -> None:
    proto.graph.node[0].op_type = "MatMulTypo"


def _negative(proto: onnx.ModelProto) -> None:
    initializer(proto, "w").dims[:] = [-64, -32]


def _huge(proto: onnx.ModelProto) -> None:
    initializer(proto, "w").dims[:] = [1 << 30, 1 << 30]


def _huge_and_empty(proto: onnx.ModelProto) -> None:
    tensor = initializer(proto, "w")
    tensor.dims[:] = [0, 1 << 30, 1 << 30]
    tensor.raw_data = b""


def _short(proto: onnx.ModelProto) -> None:
    tensor = initializer(proto, "w")
    tensor.raw_data = tensor.raw_data[:-1]


def _dataless(proto: onnx.ModelProto) -> None:
    initializer(proto, "w").ClearField("raw_data")


def _no_type(proto: onnx.ModelProto) -> None:
    initializer(proto, "w").data_type = 77


def _segment(proto: onnx.ModelProto) -> None:
    initializer(proto, "w").segment.begin = 0


def _external(proto: onnx.ModelProto) -> None:
    tensor = initializer(proto, "w")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="w.bin")


def _too_few_strings(proto: onnx.ModelProto) -> None:
    proto.graph.initializer.append(
        onnx.TensorProto(name="s", dims=[2], data_type=onnx.TensorProto.STRING, string_data=[b"a"])
    )


def _huge_sparse(proto: onnx.ModelProto) -> None:
    sparse = proto.graph.sparse_initializer.add(dims=[1 << 50])
    sparse.values.CopyFrom(onnx.numpy_helper.from_array(np.ones(1, np.float32), "s"))
    sparse.indices.CopyFrom(onnx.numpy_helper.from_array(np.zeros(1, np.int64), "i"))


UNSOUND: dict[Callable[[onnx.ModelProto], None], str] = {
    _no_nodes: "no nodes",
    _no_opset: "operator set",
    _twice: "two initializers",
    _nameless: "no name",
    _two_makers: "single static assignment",
    _unknown_operator: "MatMulTypo",
    _negative: "negative",
    _huge: "impossibly large",
    _huge_and_empty: "impossibly large",
    _short: "length of its shape",
    _too_few_strings: "length of its shape",
    _dataless: "length of its shape",
    _no_type: "element type 77",
    _segment: "segments",
    _external: "in memory",
    _huge_sparse: "impossibly large",
}


@pytest.mark.parametrize("spoil", UNSOUND, ids=lambda spoil: spoil.__name__)
def test_an_unsound_model_is_refused(spoil: Callable[[onnx.ModelProto], None]) -> None:
    proto = small_model()
    spoil(proto)
    with pytest.raises(ModelError, match=UNSOUND[spoil]) as caught:
        load(proto)
    assert caught.value.where


def test_complex_and_metadata_survive() -> None:
    proto = small_model()
    values = [1 + 2j, 3 - 4j]
    proto.graph.initializer.append(
        onnx.TensorProto(
            name="c", dims=[2], data_type=onnx.TensorProto.COMPLEX64, float_data=[1, 2, 3, -4]
        )
    )
    initializer(proto, "w").metadata_props.add(key="layer", value="fc")
    model = load(proto)
    assert model.constants["c"].numpy().tolist() == values
    model.set_constants({"w": ArrayTensor.of(np.ones((64, 32), np.float32))})
    assert initializer(model.to_proto(), "w").metadata_props[0].value == "fc"


def test_functions_that_call_each_other_in_a_ring_are_refused() -> None:
    text = """
        <ir_version: 8, opset_import: ["" : 17, "f" : 1]>
        agraph (float[n] x) => (float[n] y) { y = f.a(x) }
        <domain: "f", opset_import: ["" : 17, "f" : 1]> a (x) => (y) { y = f.b(x) }
        <domain: "f", opset_import: ["" : 17, "f" : 1]> b (x) => (y) { y = f.c(x) }
        <domain: "f", opset_import: ["" : 17, "f" : 1]> c (x) => (y) { y = f.b(x) }
    """
    with pytest.raises(ModelError, match="calls itself") as caught:
        load(proto_of(text, {}))
    assert "f.b" in caught.value.why
    assert "f.a" not in caught.value.why


def test_functions_that_end_are_kept() -> None:
    text = """
        <ir_version: 8, opset_import: ["" : 17, "f" : 1]>
        agraph (float[n] x) => (float[n] y) { y = f.a(x) }
        <domain: "f", opset_import: ["" : 17, "f" : 1]> a (x) => (y) { y = f.b(x) }
        <domain: "f", opset_import: ["" : 17]> b (x) => (y) { y = Relu(x) }
    """
    proto = proto_of(text, {})
    assert load(proto).to_proto() == proto


def test_an_output_without_shape_is_accepted() -> None:
    proto = small_model()
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    assert load(proto).to_proto() == proto


def test_unsorted_nodes_are_sorted() -> None:
    proto = proto_of(
        "g (float[2,6] x) => (float[2,4] y) { h = MatMul(x, w1)  r = Relu(h)  y = MatMul(r, w2) }",
        {"w1": (6, 8), "w2": (8, 4)},
    )
    nodes = list(proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend(nodes[::-1])
    assert [node.op_type for node in load(proto).proto.graph.node] == ["MatMul", "Relu", "MatMul"]
    assert proto.graph.node[0].output[0] == "y", "the caller's model stays as it is"


def test_a_cycle_is_invalid() -> None:
    proto = proto_of(
        "g (float[2,4] x) => (float[2,4] y) { h = Add(x, r)  r = Relu(h)  y = Neg(r) }", {}
    )
    with pytest.raises(ModelError, match="not valid ONNX"):
        load(proto)


@pytest.mark.parametrize("op_type", ["LayerNormalization", "SimplifiedLayerNormalization"])
def test_what_onnx_runtime_writes_into_the_standard_domain_is_valid(op_type: str) -> None:
    """Its optimizer fuses a normalization in models of opsets that have none."""
    text = f"g (float[2,6] x) => (float[2,6] y) {{ y = {op_type}<axis=-1>(x, scale) }}"
    assert load(proto_of(text, {"scale": (6,)}, opset=14)).node_count == 1


def test_any_other_operator_of_a_later_opset_is_invalid() -> None:
    with pytest.raises(ModelError, match="not valid ONNX"):
        load(proto_of("g (float[2,6] x) => (float[2,6] y) { y = Gelu(x) }", {}, opset=14))
