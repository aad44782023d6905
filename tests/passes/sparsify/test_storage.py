"""store-sparsely: weights without their zeros, which ONNX Runtime loads with equal outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest

import onnxprune as op
from onnxprune.data.batches import Batch
from onnxprune.data.random import Feeds
from onnxprune.ir.sparse import sparse_tensors, written_out
from onnxprune.pipelines.comparison import Comparison
from onnxprune.pipelines.presets import lossless, pruning
from onnxprune.verify.sessions import session_of
from tests.texts import f32, model_of, proto_of

NET = """g (int64[3] ids, float[2,3,6,6] x) => (float[2,30] y, float[3,16] rows) {
    a = Conv<pads=[1,1,1,1]>(x, k, bias)
    b = Relu(a)
    c = GlobalAveragePool(b)
    d = Flatten(c)
    e = MatMul(d, m)
    f = Relu(e)
    h = MatMul(f, m2)
    y = Gemm<transB=1>(h, t)
    rows = Gather(table, ids)
}"""


def thin(*shape: int, seed: int = 0, share: float = 0.05) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return f32(rng.standard_normal(shape) * (rng.random(shape) < share))


WEIGHTS = {
    "k": thin(32, 3, 3, 3, seed=1),
    "bias": thin(32, seed=2),
    "m": thin(32, 40, seed=3),
    "m2": thin(40, 20, seed=4, share=0.8),
    "t": thin(30, 20, seed=5),
    "table": thin(50, 16, seed=6),
}
THIN = {"k", "m", "t", "table"}


def outputs(model: op.Model, feed: Feeds) -> list[npt.NDArray[np.generic]]:
    """As ONNX Runtime's optimizer leaves them; proofs run without it."""
    with session_of(model, optimization="all") as session:
        found = session.run(feed)
    return [found[name] for name in sorted(found)]


FEED: Feeds = {
    "ids": np.array([3, 1, 49]),
    "x": f32(np.random.default_rng(9).standard_normal((2, 3, 6, 6))),
}


@pytest.mark.parametrize("external", [False, True])
def test_thin_weights_are_smaller_and_outputs_equal(external: bool, tmp_path: Path) -> None:
    model_of(NET, WEIGHTS).save(tmp_path / "in.onnx", external=external)
    model = op.load(tmp_path / "in.onnx")
    result = op.Pipeline("store-sparsely").run(model)
    assert result.verify().passed
    (report,) = result.reports
    saved = len(model.to_bytes()) - len(result.model.to_bytes())
    (said,) = report.did
    assert said.startswith("stored 4 weights sparsely: ")
    assert abs(int(said.split()[4].replace(",", "")) - saved) < 16
    result.model.save(tmp_path / "out.onnx")
    written = op.load(tmp_path / "out.onnx")
    assert sparse_tensors(written).keys() == THIN
    for name, array in WEIGHTS.items():
        assert np.array_equal(written_out(written)[name].numpy(), array)
    for one, other in zip(outputs(model, FEED), outputs(written, FEED), strict=True):
        assert np.array_equal(one, other)
    onnx.checker.check_model(str(tmp_path / "out.onnx"))


@pytest.mark.parametrize(
    "dtype", ["float16", "float64", "bfloat16", "int8", "uint8", "float8_e4m3fn"]
)
def test_other_types_are_stored_sparsely_with_equal_outputs(dtype: str) -> None:
    kind = onnx.TensorProto.DataType.Value(
        {"float64": "DOUBLE", "float8_e4m3fn": "FLOAT8E4M3FN"}.get(dtype, dtype.upper())
    )
    array = thin(40, 30).astype(onnx.helper.tensor_dtype_to_np_dtype(kind))
    if array.dtype.kind in "iu":
        array = (thin(40, 30) != 0).astype(array.dtype)
    model = op.load(
        proto_of(
            "g (float[2,40] x) => (float[2,30] y) { c = Cast<to=1>(w)  y = MatMul(x, c) }",
            {"w": array},
            opset=21,
        )
    )
    result = op.Pipeline("store-sparsely").run(model)
    assert sparse_tensors(result.model).keys() == {"w"}
    feed = {"x": f32(np.random.default_rng(1).standard_normal((2, 40)))}
    assert np.array_equal(outputs(model, feed)[0], outputs(result.model, feed)[0])


def test_half_a_byte_is_left_alone() -> None:
    proto = proto_of(
        """g (float[2,40] x) => (float[2,30] y) {
            d = DequantizeLinear(w, s)  y = MatMul(x, d)
        }""",
        {"s": f32(0.5)},
        opset=21,
    )
    four = onnx.helper.make_tensor("w", onnx.TensorProto.INT4, [40, 30], [0] * 1199 + [1])
    proto.graph.initializer.append(four)
    result = op.Pipeline("store-sparsely").run(op.load(proto))
    assert result.reports[0].did == ["left all weights dense: none is smaller without its zeros"]
    assert not result.reports[0].modified


def test_what_is_a_graph_output_too_stays_dense() -> None:
    """ONNX Runtime would give it sparsely."""
    text = (
        "g (float[2,40] x) => (float[2,30] y, float[40,30] w) { y = MatMul(x, w) z = MatMul(x, v) }"
    )
    model = model_of(text, {"w": thin(40, 30), "v": thin(40, 30, seed=3)})
    result = op.Pipeline("store-sparsely").run(model)
    assert sparse_tensors(result.model).keys() == {"v"}
    feed = {"x": f32(np.ones((2, 40)))}
    for one, other in zip(outputs(model, feed), outputs(result.model, feed), strict=True):
        assert np.array_equal(one, other)


def test_shared_weights_inside_and_outside_of_bodies() -> None:
    model = model_of(
        """g (bool c, float[2,30] x) => (float[2,30] y) {
            h = MatMul(x, w)
            y = If(c) <then_branch = t () => (float[2,30] p) { p = MatMul(h, w) },
                       else_branch = e () => (float[2,30] q) { n = Neg(h)  q = MatMul(n, w) }>
        }""",
        {"w": thin(30, 30)},
    )
    result = op.Pipeline("fold-constants,store-sparsely").run(model)
    assert result.verify().passed
    assert sparse_tensors(result.model).keys() == {"w"}


def test_old_models_list_their_weights_among_the_inputs() -> None:
    text = """<ir_version: 3, opset_import: ["": 9]>
    g (float[2,40] x, float[40,30] w) => (float[2,30] y) { y = MatMul(x, w) }"""
    model = model_of(text, {"w": thin(40, 30)})
    result = op.Pipeline("store-sparsely").run(model)
    assert sparse_tensors(result.model).keys() == {"w"}
    assert [spec.name for spec in result.specs()] == ["x"]
    assert result.verify().passed
    again = op.load(result.model.to_proto())
    assert op.Pipeline("fold-constants").run(again).verify().passed


def test_what_follows_gets_the_weights_dense() -> None:
    model = model_of(NET, WEIGHTS)
    last = op.Pipeline(
        "fold-constants,store-sparsely,remove-channels{ratio=0.5,round_to=1},fold-empty"
    )
    result = last.run(model)
    assert result.is_pruned
    assert result.verify().passed
    assert not sparse_tensors(result.model)
    each = op.Pipeline("fold-constants,remove-channels{ratio=0.5,round_to=1},store-sparsely")
    assert sparse_tensors(each.run(model, verify_each=True).model)


def test_a_stored_model_is_pruned_again() -> None:
    model = model_of(NET, WEIGHTS)
    stored = op.load(op.Pipeline("store-sparsely").run(model).model.to_proto())
    once, twice = (
        op.prune(source, 0.5, round_to=1, sparse_storage=True) for source in (model, stored)
    )
    assert twice.verify().passed
    assert once.plan.initializers == twice.plan.initializers
    for name, tensor in written_out(once.model).items():
        assert np.array_equal(written_out(twice.model)[name].numpy(), tensor.numpy())
    again = op.apply_plan(twice.plan, stored, sparse_storage=True)
    assert again.model.to_bytes() == twice.model.to_bytes()


def test_repaired_weights_that_are_sparse_are_known_to_the_plan() -> None:
    """A channel that is nearly alone: its repair leaves most of the weight zero."""
    text = """g (float[8,16] x) => (float[8,60] y) {
        h = MatMul(x, w)  r = Relu(h)  y = MatMul(r, v)
    }"""
    second = np.zeros((12, 60), np.float32)
    second[:, :3] = np.random.default_rng(3).standard_normal((12, 3))
    model = model_of(text, {"w": (16, 12), "v": second})
    rng = np.random.default_rng(4)
    data = [Batch({"x": f32(rng.standard_normal((8, 16)))}, None, 8) for _ in range(8)]
    result = pruning(ratio=0.5, round_to=1, sparse_storage=True).run(model, data=data)
    assert "v" in result.plan.repaired
    assert sparse_tensors(result.model).keys() == {"v"}
    assert result.verify().passed
    assert Comparison(model, result.model, {}, plan=result.plan).equivalence().passed


def test_presets_store_sparsely_at_the_end() -> None:
    wanted = ",store-sparsely"
    assert str(pruning(ratio=0.3, sparse_storage=True)).endswith(wanted)
    assert str(pruning(blocks=1, sparse_storage=True)).endswith(wanted)
    assert str(lossless(sparse_storage=True)).endswith(wanted)
    assert "store-sparsely" not in str(pruning(ratio=0.3)) + str(lossless())
