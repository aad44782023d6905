"""Sparse initializers: pruned like others, and sparse again in the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest

import onnxprune as op
from onnxprune.errors import ModelError
from onnxprune.ir import sparse
from onnxprune.ir.difference import difference
from onnxprune.ir.load import load
from onnxprune.ir.model import Model
from onnxprune.ir.sparse import (
    dense,
    made_dense,
    sparse_savings,
    sparse_tensors,
    stored_sparsely,
    written_out,
)
from tests.texts import proto_of

TEXT = "g (float[2,6] x) => (float[2,5] y) { h = MatMul(x, w1) r = Relu(h) y = MatMul(r, w2) }"


def weight() -> npt.NDArray[np.float32]:
    drawn = np.random.default_rng(1).standard_normal((6, 16)).astype(np.float32)
    return np.where(np.abs(drawn) > 0.7, drawn, np.float32(0))


def compressed(array: npt.NDArray[np.float32], listed: bool) -> onnx.SparseTensorProto:
    places = np.flatnonzero(array) if listed else np.argwhere(array)
    tensor = onnx.SparseTensorProto(dims=array.shape)
    tensor.values.CopyFrom(onnx.numpy_helper.from_array(array[array != 0], "w1"))
    tensor.values.doc_string = "thinned out"
    tensor.indices.CopyFrom(onnx.numpy_helper.from_array(places, "places"))
    return tensor


def thinned(where: str) -> Model:
    """A model with a sparse weight: listed, by coordinates, or in a Constant."""
    proto = proto_of(TEXT, {"w2": (16, 5)})
    tensor = compressed(weight(), where == "listed")
    if where == "constant":
        node = onnx.helper.make_node("Constant", [], ["w1"])
        node.attribute.append(onnx.helper.make_attribute("sparse_value", tensor))
        proto.graph.node.insert(0, node)
    else:
        proto.graph.sparse_initializer.append(tensor)
    return load(proto)


@pytest.mark.parametrize("where", ["listed", "coordinates", "constant"])
def test_a_sparse_weight_is_pruned_and_stays_sparse(where: str, tmp_path: Path) -> None:
    model = thinned(where)
    assert model.parameters == 6 * 16 + 16 * 5
    result = op.prune(model, 0.5, round_to=1)
    assert result.verify().passed
    assert result.model.parameters == 6 * 8 + 8 * 5
    result.model.save(tmp_path / "out.onnx")
    written = load(tmp_path / "out.onnx")
    assert list(written.constants) == ["w2"]
    (found,) = written.proto.graph.sparse_initializer
    assert found.values.doc_string == "thinned out"
    assert len(found.indices.dims) == (1 if where == "listed" else 2)
    kept = result.plan.initializers["w1"][1]
    tensor = dense(found)
    assert tensor is not None
    assert np.array_equal(tensor.numpy(), np.take(weight(), np.asarray(kept), 1))
    assert difference(model, written).weights == {"resized": 2}
    again = op.apply_plan(result.plan, model).model
    assert again.to_bytes() == result.model.to_bytes()


def test_what_is_not_pruned_stays_sparse() -> None:
    model = thinned("coordinates")
    folded = op.Pipeline("fold-constants").run(model).model
    assert folded.proto.graph.sparse_initializer == model.proto.graph.sparse_initializer
    assert np.array_equal(written_out(folded)["w1"].numpy(), weight())


def test_a_faulty_sparse_table_is_found() -> None:
    """Inputs look up some rows only; the proof compares the others as they are."""
    text = "g (int64[2] i) => (float[2,5] y) { h = Gather(w1, i) r = Relu(h) y = MatMul(r, w2) }"
    proto = proto_of(text, {"w2": (16, 5)})
    proto.graph.sparse_initializer.append(compressed(weight(), True))
    result = op.prune(load(proto), 0.5, round_to=1)
    assert result.verify().passed
    values = result.model.proto.graph.sparse_initializer[0].values
    wrong = onnx.numpy_helper.to_array(values).copy()
    wrong[-1] += 3
    values.raw_data = wrong.tobytes()
    assert result.verify(check=False).verdict == "failed"


def test_what_is_too_large_to_be_dense_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse, "LARGEST", 95)
    for where in ("listed", "constant"):
        model = thinned(where)
        assert dense(sparse_tensors(model)["w1"]) is None
        result = op.prune(model, 0.5, round_to=1)
        assert not result.is_pruned
        assert sparse_tensors(result.model).keys() == {"w1"}
        assert result.verify().passed


WIDE = TEXT.replace("2,6", "2,60")


def wide() -> npt.NDArray[np.float32]:
    return np.where(np.arange(60)[:, None] % 6 == 0, np.tile(weight(), (10, 1)), np.float32(0))


def test_only_what_is_smaller_is_stored_sparsely() -> None:
    """A number that stays takes twelve bytes, not four; names and sizes take some as well."""
    weights: dict[str, npt.NDArray[np.float32]] = {}
    for name, kept in (("third", 128), ("quarter", 96), ("none", 0)):
        weights[name] = np.zeros((16, 24), np.float32)
        weights[name].reshape(-1)[:kept] = 1
    weights["few"] = np.zeros((5, 10), np.float32)
    nodes = " ".join(f"{name}y = Identity({name})" for name in weights)
    model = load(proto_of(f"g (float[1] x) => (float[1] y) {{ y = Relu(x) {nodes} }}", weights))
    stored = stored_sparsely(model)
    assert stored.saved == sparse_savings(model)
    assert stored.saved.keys() == sparse_tensors(stored.model).keys() == {"quarter", "none"}
    less = len(model.to_bytes()) - len(stored.model.to_bytes())
    assert 0 <= less - sum(stored.saved.values()) < 8  # smaller lengths are shorter to write, too
    (empty,) = (t for t in stored.model.proto.graph.sparse_initializer if not t.values.dims[0])
    restored = dense(empty)
    assert restored is not None
    assert np.array_equal(restored.numpy(), weights["none"])
    assert made_dense(stored.model).constants.keys() == model.constants.keys()
    assert not sparse_tensors(made_dense(stored.model))


def test_names_and_notes_of_weights_stay() -> None:
    proto = proto_of(WIDE, {"w1": wide(), "w2": (16, 5)})
    proto.graph.initializer[0].doc_string = "the first"
    proto.graph.initializer[0].metadata_props.add(key="layer", value="1")
    (found,) = stored_sparsely(load(proto)).model.proto.graph.sparse_initializer
    assert (found.values.name, found.values.doc_string) == ("w1", "the first")
    assert found.values.metadata_props[0].key == "layer"


def test_sparse_weights_that_no_file_holds_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse, "ROOM_BYTES", 100)
    model = load(proto_of(WIDE, {"w1": wide(), "w2": (16, 5)}))
    with pytest.raises(ModelError, match="too large for one file") as caught:
        stored_sparsely(model)
    assert "--sparse-storage" in caught.value.hint


def test_what_is_too_large_to_be_written_out_is_not_stored_sparsely(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sparse, "LARGEST", 959)
    model = load(proto_of(WIDE, {"w1": wide(), "w2": (16, 5)}))
    assert stored_sparsely(model).model is model


def test_weights_are_imported_into_a_sparse_model() -> None:
    model = thinned("listed")
    given = {"w1": np.ones((6, 16), np.float32), "w2": np.ones((16, 5), np.float32)}
    imported = op.import_weights(model, given)
    assert set(imported.written) == {"w1", "w2"}
    assert not sparse_tensors(imported.model)
    assert sparse_tensors(model)
