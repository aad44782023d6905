"""External data is read only from where a model may keep it, and only if it fits."""

import hashlib
import os
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import pytest

from onnxprune.errors import ModelError
from onnxprune.ir.load import load
from onnxprune.ir.tensors import ExternalTensor
from tests.texts import proto_of


def small_model() -> onnx.ModelProto:
    array = np.arange(64 * 32, dtype=np.float32).reshape(64, 32)
    proto = proto_of("g (float[n,64] x) => (float[n,32] y) { y = MatMul(x, w) }", {"w": array})
    proto.graph.initializer[0].doc_string = "about w"
    return proto


def refer(tensor: onnx.TensorProto, **entries: object) -> None:
    """Makes a tensor refer to external data."""
    for field in ("raw_data", "float_data", "external_data"):
        tensor.ClearField(field)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=str(value))


def write_external(
    folder: Path, location: str = "w.bin", entries: dict[str, object] | None = None
) -> Path:
    """Writes a model whose `w` lies in another file, behind 64 other bytes."""
    proto = small_model()
    data = proto.graph.initializer[0].raw_data
    refer(proto.graph.initializer[0], location=location, **{"offset": 64, **(entries or {})})
    (folder / "w.bin").write_bytes(b"-" * 64 + data)
    path = folder / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def _must_not_read(tensor: ExternalTensor) -> bytes:
    raise AssertionError(f"{tensor.path} was read")


def test_external_data_is_checked_but_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_external(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(ExternalTensor, "raw", _must_not_read)
        model = load(path)
    tensor = model.constants["w"]
    assert isinstance(tensor, ExternalTensor)
    assert (tensor.path, tensor.offset, tensor.shape) == (tmp_path / "w.bin", 64, (64, 32))
    assert model.external
    assert model.to_proto() == small_model()
    assert model.to_bytes() == small_model().SerializeToString(deterministic=True)


def test_size_and_hash_include_external_data(tmp_path: Path) -> None:
    path = write_external(tmp_path)
    model = load(path)
    data = small_model().graph.initializer[0].raw_data
    assert model.size_bytes == len(path.read_bytes()) + len(data)
    assert model.sha256 == hashlib.sha256(path.read_bytes() + data).hexdigest()


def test_it_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    write_external(tmp_path)
    monkeypatch.chdir(tmp_path)
    model = load("m.onnx")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert model.constants["w"].numpy()[1, 0] == 32


def test_a_folder_below_may_hold_it(tmp_path: Path) -> None:
    path = write_external(tmp_path, "data/w.bin")
    (tmp_path / "data").mkdir()
    (tmp_path / "w.bin").rename(tmp_path / "data" / "w.bin")
    assert load(path).constants["w"].numpy()[1, 0] == 32


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("", "relative"),
        ("none.bin", "missing"),
        ("../w.bin", "out of"),
        ("data/../w.bin", "out of"),
        ("..\\w.bin", "out of"),
        ("c:\\w.bin", "out of"),
        ("\\w.bin", "relative"),
        ("/etc/hostname", "relative"),
        ("w.bin\0", "relative"),
        (".", "regular"),
        ("w.bin/x", "missing"),
        ("*/_ORT_MEM_ADDR_/*", "missing"),
    ],
)
def test_a_location_that_leads_out_is_refused(tmp_path: Path, location: str, expected: str) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "w.bin").write_bytes(b"secret")
    with pytest.raises(ModelError, match=expected):
        load(write_external(tmp_path / "model", location))


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("symbolic", "w.bin is a symbolic link"),
        ("hard", "more than one name"),
        ("folder", "linked is a symbolic link"),
        ("fifo", "not a regular file"),
    ],
)
def test_links_and_devices_are_refused(tmp_path: Path, kind: str, why: str) -> None:
    (tmp_path / "model").mkdir()
    location = "linked/w.bin" if kind == "folder" else "w.bin"
    path = write_external(tmp_path / "model", location)
    data = tmp_path / "model" / "w.bin"
    data.rename(tmp_path / "w.bin")
    if kind == "symbolic":
        data.symlink_to(tmp_path / "w.bin")
    elif kind == "hard":
        os.link(tmp_path / "w.bin", data)
    elif kind == "folder":
        (tmp_path / "model" / "linked").symlink_to(tmp_path)
    else:
        os.mkfifo(data)
    with pytest.raises(ModelError, match="refused") as caught:
        load(path)
    assert why in caught.value.why


def test_a_model_reached_through_a_linked_folder_is_fine(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    write_external(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert load(tmp_path / "link" / "m.onnx").constants["w"].numpy()[1, 0] == 32


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({"offset": 65}, "too short"),
        ({"offset": -1}, "not a number"),
        ({"offset": "1e3"}, "not a number"),
        ({"offset": "9" * 5000}, "not a number"),
        ({"offset": 10**17}, "too short"),
        ({"length": 64 * 32 * 4 - 1}, "length of its tensor"),
        ({"length": 0}, "length of its tensor"),
        ({"length": "x"}, "not a number"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_range_that_does_not_fit_is_refused(
    tmp_path: Path, entries: dict[str, object], expected: str
) -> None:
    with pytest.raises(ModelError, match=expected):
        load(write_external(tmp_path, entries=entries))


def test_external_strings_are_refused(tmp_path: Path) -> None:
    path = write_external(tmp_path)
    proto = onnx.ModelProto.FromString(path.read_bytes())
    proto.graph.initializer[0].data_type = onnx.TensorProto.STRING
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(ModelError, match="strings"):
        load(path)


def nested_model() -> onnx.ModelProto:
    text = """
        <ir_version: 8, opset_import: ["" : 17, "f" : 1]>
        agraph (bool c) => (float[4] y)
        {
            y = If (c) <
                then_branch = t () => (float[4] a) { a = Constant <value = float[4] {1,2,3,4}> () },
                else_branch = e () => (float[4] b) { b = f.k () }
            >
        }
        <domain: "f", opset_import: ["" : 17]>
        k () => (d) { d = Constant <value = float[4] {1,2,3,4}> () }
    """
    proto = proto_of(text, {})
    proto.graph.node[0].attribute[1].g.initializer.append(
        onnx.numpy_helper.from_array(np.arange(4, dtype=np.float32), "inner")
    )
    sparse = proto.graph.sparse_initializer.add(dims=[9])
    sparse.values.CopyFrom(onnx.numpy_helper.from_array(np.ones(4, np.float32), "sparse"))
    sparse.indices.CopyFrom(onnx.numpy_helper.from_array(np.arange(4), "indices"))
    return proto


def nested(proto: onnx.ModelProto, place: str) -> onnx.TensorProto:
    branches = proto.graph.node[0].attribute
    return {
        "attribute": branches[0].g.node[0].attribute[0].t,
        "subgraph": branches[1].g.initializer[0],
        "function": proto.functions[0].node[0].attribute[0].t,
        "sparse": proto.graph.sparse_initializer[0].values,
    }[place]


@pytest.mark.parametrize("place", ["attribute", "subgraph", "function", "sparse"])
def test_external_data_elsewhere_is_held_to_the_same_rules(tmp_path: Path, place: str) -> None:
    proto = nested_model()
    tensor = nested(proto, place)
    array = onnx.numpy_helper.to_array(tensor)
    path = tmp_path / "m.onnx"

    refer(tensor, location="../secret")
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(ModelError, match="refused"):
        load(path)

    refer(tensor, location="w.bin")
    (tmp_path / "w.bin").write_bytes(array.tobytes())
    path.write_bytes(proto.SerializeToString())
    model = load(path)
    assert model.external
    assert model.size_bytes == len(path.read_bytes()) + array.nbytes
    found = nested(model.to_proto(), place)
    assert found.data_location == onnx.TensorProto.DEFAULT
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(found), array)
