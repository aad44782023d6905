"""Saving gives back what was loaded, and never harms what stood there before."""

import errno
import os
import resource
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import pytest

from onnxprune.errors import ModelError, WriteError
from onnxprune.ir import encode, save
from onnxprune.ir.model import Model
from onnxprune.ir.tensors import ArrayTensor, InlineTensor
from tests.texts import Weight, proto_of

TEXT = """
<ir_version: 8, opset_import: ["" : 17, "f" : 1], producer_name: "test", model_version: 5,
 domain: "org.test", doc_string: "a model", metadata_props: ["names": "cat,dog"]>
agraph (float[n, 64] x) => (float[n, 32] y)
<float[n, 32] h>
{
    h = MatMul(x, w)
    s = f.twice(h)
    t = Gather(text, shape)
    y = Reshape(s, shape)
}
<domain: "f", opset_import: ["" : 17], doc_string: "adds">
twice (a) => (b) { b = Add(a, a) }
"""


def full_model() -> onnx.ModelProto:
    arrays: dict[str, Weight] = {
        "w": np.arange(64 * 32, dtype=np.float32).reshape(64, 32),
        "half": np.arange(5000).astype(np.float16),
        "shape": np.array([-1, 32]),
        "text": np.array(["a", "b"], dtype=object),
        "empty": np.zeros((0, 7), np.float32),
    }
    proto = proto_of(TEXT, arrays)
    four = onnx.helper.make_tensor("four", onnx.TensorProto.INT4, [4001], [1] * 4001)
    proto.graph.initializer.append(four)
    for tensor in proto.graph.initializer:
        tensor.doc_string = f"about {tensor.name}"
        tensor.metadata_props.add(key="layer", value=tensor.name)
    proto.graph.doc_string = "a graph"
    proto.graph.node[0].doc_string = "a node"
    proto.graph.node[0].metadata_props.add(key="k", value="v")
    annotation = proto.graph.quantization_annotation.add(tensor_name="h")
    annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="w")
    sparse = proto.graph.sparse_initializer.add(dims=[9])
    sparse.values.CopyFrom(onnx.numpy_helper.from_array(np.ones(4, np.float32), "sparse"))
    sparse.indices.CopyFrom(onnx.numpy_helper.from_array(np.arange(4), "indices"))
    return proto


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_an_untouched_model_is_saved_as_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "in.onnx"
    path.write_bytes(full_model().SerializeToString(deterministic=True))
    Model.load(path).save(tmp_path / "out.onnx")
    assert (tmp_path / "out.onnx").read_bytes() == path.read_bytes()
    assert names(tmp_path) == {"in.onnx", "out.onnx"}


@pytest.mark.parametrize("length", [127, 128, 128 * 128])
def test_the_fields_in_front_of_a_graph_may_have_any_length(length: int, tmp_path: Path) -> None:
    """Their lengths are read seven bits at a time."""
    proto = full_model()
    proto.doc_string = "d" * length
    Model.load(proto).save(tmp_path / "m.onnx")
    assert onnx.ModelProto.FromString((tmp_path / "m.onnx").read_bytes()) == proto


def test_external_weights_come_back_the_same(tmp_path: Path) -> None:
    proto = full_model()
    Model.load(proto).save(tmp_path / "m.onnx", external=True)
    assert names(tmp_path) == {"m.onnx", "m.onnx.data"}
    onnx.checker.check_model(tmp_path / "m.onnx")
    again = Model.load(tmp_path / "m.onnx")
    assert again.external
    assert [tensor.is_external for tensor in again.constants.values()] == [
        name in {"w", "half", "four"} for name in again.constants
    ]
    written = again.to_proto()
    for tensor, original in zip(written.graph.initializer, proto.graph.initializer, strict=True):
        np.testing.assert_array_equal(
            onnx.numpy_helper.to_array(tensor), onnx.numpy_helper.to_array(original)
        )
        # Only the field that holds the data may differ.
        for field in ("raw_data", "int32_data", "float_data"):
            tensor.ClearField(field)
            original.ClearField(field)
    assert written == proto


def test_other_readers_understand_it(tmp_path: Path) -> None:
    Model.load(full_model()).save(tmp_path / "m.onnx", external=True)
    loaded = onnx.load(tmp_path / "m.onnx")
    found = {t.name: onnx.numpy_helper.to_array(t) for t in loaded.graph.initializer}
    assert found["w"][1, 0] == 32
    assert found["half"][10] == 10
    assert found["four"].astype(int).sum() == 4001


def test_offsets_are_aligned_and_saving_again_does_not_append(tmp_path: Path) -> None:
    model = Model.load(full_model())
    sizes: set[int] = set()
    for _ in range(3):
        model.save(tmp_path / "m.onnx", external=True)
        sizes.add((tmp_path / "m.onnx.data").stat().st_size)
    assert len(sizes) == 1
    proto = onnx.ModelProto.FromString((tmp_path / "m.onnx").read_bytes())
    offsets = {
        tensor.name: int(entry.value)
        for tensor in proto.graph.initializer
        for entry in tensor.external_data
        if entry.key == "offset"
    }
    assert offsets["w"] % 4096 == offsets["half"] % 4096 == offsets["four"] % 64 == 0


def test_external_data_stays_external_unless_told_otherwise(tmp_path: Path) -> None:
    Model.load(full_model()).save(tmp_path / "a.onnx", external=True)
    model = Model.load(tmp_path / "a.onnx")
    model.copy().save(tmp_path / "b.onnx")
    model.save(tmp_path / "c.onnx", external=False)
    assert names(tmp_path) == {"a.onnx", "a.onnx.data", "b.onnx", "b.onnx.data", "c.onnx"}
    assert Model.load(tmp_path / "b.onnx").to_bytes() == Model.load(tmp_path / "c.onnx").to_bytes()


def test_it_may_replace_its_own_input(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    Model.load(full_model()).save(path, external=True)
    model = Model.load(path)
    changed = model.copy()
    changed.set_constants({"half": ArrayTensor.of(np.zeros(3000, np.float16))})
    changed.save(path)
    again = Model.load(path)
    assert again.constants["half"].shape == (3000,)
    assert again.constants["w"].numpy()[1, 0] == 32
    with pytest.raises(ModelError, match="changed"):
        model.constants["w"].numpy()


def test_large_models_go_external_by_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(save, "EXTERNAL_THRESHOLD_BYTES", 10_000)
    Model.load(full_model()).save(tmp_path / "m.onnx")
    assert names(tmp_path) == {"m.onnx", "m.onnx.data"}


def test_one_file_over_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encode, "_MAX_PROTOBUF_BYTES", 10_000)
    with pytest.raises(ModelError, match="external data"):
        Model.load(full_model()).save(tmp_path / "m.onnx", external=False)
    assert names(tmp_path) == set()


def test_without_large_weights_there_is_no_data_file(tmp_path: Path) -> None:
    model = Model.load(full_model())
    model.drop_constants(["w", "half", "four"])
    model.save(tmp_path / "m.onnx", external=True)
    assert names(tmp_path) == {"m.onnx"}


def test_new_files_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        Model.load(full_model()).save(tmp_path / "m.onnx")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "m.onnx").stat().st_mode) == 0o640


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("precious")
    (tmp_path / "m.onnx").symlink_to("other")
    (tmp_path / "m.onnx.data").symlink_to("other")
    Model.load(full_model()).save(tmp_path / "m.onnx", external=True)
    assert (tmp_path / "other").read_text() == "precious"
    assert Model.load(tmp_path / "m.onnx").constants["w"].numpy()[1, 0] == 32


def test_a_very_long_name_is_fine(tmp_path: Path) -> None:
    path = tmp_path / ("m" * 250)
    Model.load(full_model()).save(path)
    assert path.is_file()


# Failures


class _Failing(InlineTensor):
    """A constant that cannot be read when its turn comes."""

    error: BaseException = KeyboardInterrupt()

    def raw(self) -> bytes:
        raise type(self).error

    def fill(self, target: onnx.TensorProto) -> None:
        raise type(self).error


def _full_disk(patch: pytest.MonkeyPatch, _: Model) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    patch.setattr(os, "fsync", fsync)


def _no_second_rename(patch: pytest.MonkeyPatch, _: Model) -> None:
    original, target = os.replace, "m.onnx"

    def replace(source: Path, destination: Path) -> None:
        if destination.name == target:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        original(source, destination)

    patch.setattr(os, "replace", replace)


def _interrupted(patch: pytest.MonkeyPatch, model: Model) -> None:
    patch.setattr(_Failing, "error", KeyboardInterrupt())
    proto = full_model().graph.initializer[1]
    del proto.metadata_props[:]  # so that it is not passed on as it is
    model.constants["half"] = _Failing(proto)


def _unreadable(patch: pytest.MonkeyPatch, model: Model) -> None:
    _interrupted(patch, model)
    patch.setattr(_Failing, "error", ModelError("external data cannot be read"))


FAILURES: dict[Callable[[pytest.MonkeyPatch, Model], None], type[BaseException]] = {
    _full_disk: WriteError,
    _no_second_rename: WriteError,
    _interrupted: KeyboardInterrupt,
    _unreadable: ModelError,
}


@pytest.mark.parametrize("external", [False, True])
@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("fail", FAILURES, ids=lambda fail: fail.__name__)
def test_a_failure_leaves_everything_as_it_was(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fail: Callable[[pytest.MonkeyPatch, Model], None],
    existing: bool,
    external: bool,
) -> None:
    if existing:
        (tmp_path / "m.onnx").write_bytes(b"old model")
        (tmp_path / "m.onnx.data").write_bytes(b"old data")
    model = Model.load(full_model())
    with monkeypatch.context() as patch:
        fail(patch, model)
        with pytest.raises(FAILURES[fail]):
            model.save(tmp_path / "m.onnx", external=external)
    found = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert found == ({"m.onnx": b"old model", "m.onnx.data": b"old data"} if existing else {})


@pytest.mark.parametrize("external", [False, True])
def test_a_file_that_cannot_grow_is_reported(tmp_path: Path, external: bool) -> None:
    model = Model.load(full_model())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, hard))
    try:
        with pytest.raises(WriteError, match="could not be written") as caught:
            model.save(tmp_path / "m.onnx", external=external)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.exit_code == 7
    assert str(tmp_path / "m.onnx") in caught.value.where
    assert "limit" in caught.value.hint
    assert names(tmp_path) == set()


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model.load(full_model())
    _full_disk(monkeypatch, model)
    with pytest.raises(WriteError, match="No space left") as caught:
        model.save(tmp_path / "m.onnx")
    assert "free some space" in caught.value.hint


def test_targets_that_are_no_files_are_refused(tmp_path: Path) -> None:
    model = Model.load(full_model())
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe")
    for target, expected in (
        (tmp_path / "folder", "a folder stands"),
        (tmp_path / "none" / "m.onnx", "does not exist"),
        (tmp_path / "file" / "m.onnx", "not a folder"),
        (tmp_path / "pipe", "other than a file"),
        (Path("/dev/null"), "other than a file"),
    ):
        with pytest.raises(WriteError, match=expected):
            model.save(target)
    assert names(tmp_path) == {"folder", "file", "pipe"}


def test_a_folder_in_the_place_of_the_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.onnx.data").mkdir()
    with pytest.raises(WriteError, match="a folder stands"):
        Model.load(full_model()).save(tmp_path / "m.onnx", external=True)
    assert names(tmp_path) == {"m.onnx.data"}
