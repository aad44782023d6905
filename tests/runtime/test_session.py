"""Sessions load, describe and run models, and turn every failure into an error of ours."""

import os
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import ml_dtypes
import numpy as np
import onnx.helper
import pytest

from onnxprune.errors import ProviderUnavailableError, RuntimeFailureError, UsageError
from onnxprune.runtime import Optimization, Port, Session, available_providers
from onnxprune.runtime.binding import explain
from tests.texts import proto_of

AFFINE = """affine (float[N, 3] x, float[3] b) => (float[N, 3] y, float[N, 3] z) {
    y = Add(x, b)
    z = Relu(y)
}"""
X = np.array([[1, -2, 3]], dtype=np.float32)
B = np.array([-2, 0, 1], dtype=np.float32)


def model(text: str) -> bytes:
    """The serialized form of a model in ONNX text."""
    return proto_of(text, {}).SerializeToString()


def test_importing_loads_no_onnxruntime() -> None:
    code = (
        "import sys, onnxprune.runtime, onnxprune.verify.speed; "
        "sys.exit('onnxruntime' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_session_describes_its_ports() -> None:
    session = Session(model(AFFINE))
    assert session.inputs == (
        Port("x", "tensor(float)", ("N", 3)),
        Port("b", "tensor(float)", (3,)),
    )
    assert [port.name for port in session.outputs] == ["y", "z"]
    assert session.providers == ("CPUExecutionProvider",)
    assert session.provider.name == "CPUExecutionProvider"


def test_a_run_returns_all_outputs_in_graph_order() -> None:
    outputs = Session(model(AFFINE)).run({"x": X, "b": B})
    assert list(outputs) == ["y", "z"]
    np.testing.assert_array_equal(outputs["y"], [[-1, -2, 4]])
    np.testing.assert_array_equal(outputs["z"], [[0, 0, 4]])


def test_a_run_returns_the_outputs_asked_for() -> None:
    session = Session(model(AFFINE))
    assert list(session.run({"x": X, "b": B}, ["z"])) == ["z"]
    assert list(session.run({"x": X, "b": B}, ["z", "y"])) == ["z", "y"]
    assert session.run({"x": X, "b": B}, []) == {}


@pytest.mark.parametrize("spell", [str, Path])
def test_a_model_may_be_a_path(spell: Callable[[Path], Any], tmp_path: Path) -> None:
    path = tmp_path / "affine.onnx"
    path.write_bytes(model(AFFINE))
    outputs = Session(spell(path)).run({"x": X, "b": B}, ["z"])
    np.testing.assert_array_equal(outputs["z"], [[0, 0, 4]])


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_threads_do_not_change_the_result(threads: int) -> None:
    session = Session(model(AFFINE), threads=threads)
    assert session.threads == threads
    np.testing.assert_array_equal(session.run({"x": X, "b": B})["z"], [[0, 0, 4]])


def test_a_negative_number_of_threads_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="negative"):
        Session(model(AFFINE), threads=-1)


@pytest.mark.parametrize(("optimization", "nodes"), [("none", 3), ("all", 1)])
def test_optimization_is_passed_on(optimization: Optimization, nodes: int) -> None:
    twice = "g (float[3] x) => (float[3] y) { a = Identity(x) b = Identity(a) y = Relu(b) }"
    session = Session(model(twice), optimization=optimization)
    if not session.nodes_by_provider:
        pytest.skip("this ONNX Runtime does not tell which provider runs a node")
    assert session.optimization == optimization
    assert session.nodes_by_provider == {"CPUExecutionProvider": nodes}


def test_a_twin_is_another_session_of_the_same_kind() -> None:
    session = Session(model(AFFINE), threads=2, optimization="basic")
    twin = session.twin()
    assert twin is not session
    assert (twin.inputs, twin.threads, twin.optimization) == (session.inputs, 2, "basic")
    np.testing.assert_array_equal(twin.run({"x": X, "b": B})["z"], [[0, 0, 4]])


@pytest.mark.parametrize("garbage", [b"", b"not a model", b"\x08\x08"])
def test_garbage_is_not_a_model(garbage: bytes) -> None:
    with pytest.raises(RuntimeFailureError, match="cannot load the model") as caught:
        Session(garbage)
    assert caught.value.exit_code == 3
    assert caught.value.why.split(":")[0] in {"INVALID_PROTOBUF", "INVALID_ARGUMENT"}
    assert caught.value.where == f"{len(garbage)} bytes in memory"


@pytest.mark.parametrize("name", ["missing.onnx", ""])
def test_a_path_that_is_no_model_is_named(name: str, tmp_path: Path) -> None:
    path = os.path.join(tmp_path, name)
    with pytest.raises(RuntimeFailureError, match="cannot load the model") as caught:
        Session(path)
    assert caught.value.where == str(Path(path))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("g (float[3] x) => (float[3] y) { y = NoSuchOperator(x) }", "NoSuchOperator"),
        ("g (float[3] x) => (float[3] y) { y = Relu(nothing) }", "'nothing'"),
        ('g (int32[3] x) => (int32[3] y) { y = BitShift<direction = "LEFT">(x, x) }', "int32"),
        ("g (float[3] x, float[4] y) => (float[3] z) { z = Add(x, y) }", "dimensions"),
    ],
    ids=["operator", "value", "dtype", "shape"],
)
def test_an_invalid_graph_says_why(body: str, reason: str) -> None:
    with pytest.raises(RuntimeFailureError, match="cannot load the model") as caught:
        Session(model(body))
    assert reason in caught.value.why


@pytest.mark.parametrize(
    ("feeds", "reason"),
    [
        ({"x": X}, "missing"),
        ({"x": X, "b": B, "c": B}, "Invalid input name"),
        ({"x": X.astype(np.float64), "b": B}, "Unexpected input data type"),
        ({"x": X[:, :2], "b": B}, "Got: 2 Expected: 3"),
        ({"x": X.astype(np.complex64), "b": B}, "can't be converted"),
    ],
    ids=["missing", "unknown", "dtype", "shape", "complex"],
)
def test_inputs_that_do_not_fit_say_why(feeds: dict[str, Any], reason: str) -> None:
    session = Session(model(AFFINE))
    with pytest.raises(RuntimeFailureError, match="cannot run the model") as caught:
        session.run(feeds)
    assert reason in caught.value.why
    with pytest.raises(RuntimeFailureError, match="cannot run the model"):
        session.timed(feeds).time_ns()


def test_a_sequence_comes_as_its_elements() -> None:
    text = (
        "g (float[3] x) => (float[3] y, seq(float[3]) s)"
        " { y = Relu(x) s = SequenceConstruct(x, y) }"
    )
    session = Session(model(text))
    found = session.run({"x": B})
    assert list(found) == ["y", "s[0]", "s[1]"]
    np.testing.assert_array_equal(found["s[0]"], B)
    np.testing.assert_array_equal(found["s[1]"], [0, 0, 1])
    assert list(session.run({"x": B}, ["y"])) == ["y"]
    assert session.timed({"x": B}).time_ns() > 0


def test_an_optional_without_a_value_is_left_out() -> None:
    text = "g (float[3] x) => (optional(float[3]) s, float[3] y) { s = Optional()  y = Relu(x) }"
    proto = proto_of(text, {})
    kind = onnx.helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, [3])
    proto.graph.node[0].attribute.append(onnx.helper.make_attribute("type", kind))
    assert list(Session(proto.SerializeToString()).run({"x": B})) == ["y"]


def test_an_output_without_tensors_is_an_error_only_if_asked_for() -> None:
    text = """<ir_version: 8, opset_import: ["": 17, "ai.onnx.ml": 1]>
        g (float[2, 3] x) => (float[2, 3] y, s) {
            y = Relu(x)
            s = ai.onnx.ml.ZipMap <classlabels_int64s = [1, 2, 3]> (x)
        }"""
    session = Session(model(text))
    feeds = {"x": np.stack((B, B))}
    assert list(session.run(feeds, ["y"])) == ["y"]
    with pytest.raises(RuntimeFailureError, match=r"'s\[0\]' is not a tensor"):
        session.run(feeds)


NARROW = [
    ("bfloat16", ml_dtypes.bfloat16, 10),
    ("float8e4m3fn", ml_dtypes.float8_e4m3fn, 10),
    ("float8e5m2", ml_dtypes.float8_e5m2, 10),
    ("int4", ml_dtypes.int4, 10),
    ("uint4", ml_dtypes.uint4, 10),
    ("int2", ml_dtypes.int2, 11),
    ("uint2", ml_dtypes.uint2, 11),
]


@pytest.mark.parametrize(("name", "dtype", "ir"), NARROW)
@pytest.mark.parametrize("shape", [(3,), (3, 3), (), (0, 2)])
def test_types_that_numpy_does_not_have_go_in_and_out(
    name: str, dtype: type, ir: int, shape: tuple[int, ...]
) -> None:
    number = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    proto = proto_of(
        f'<ir_version: {ir}, opset_import: ["": 25]> g (float x, float z) => (float y, float w)'
        " { y = Cast<to = 1>(x) w = Cast<to = 1>(z) }",
        {},
    )
    graph = proto.graph
    for info, elem_type in zip((*graph.input, *graph.output), (number, 1, 1, number), strict=True):
        info.CopyFrom(onnx.helper.make_tensor_value_info(info.name, elem_type, shape))
    graph.node[1].attribute[0].i = number
    rng = np.random.default_rng(0)
    low = -2 if name in ("int4", "int2") else 0
    narrow: Any = rng.integers(low, 2, shape).astype(np.float32).astype(dtype)
    wide = narrow.astype(np.float32)
    session = Session(proto.SerializeToString())
    found = session.run({"x": narrow, "z": wide})
    np.testing.assert_array_equal(found["y"], wide)
    assert found["w"].dtype == dtype
    np.testing.assert_array_equal(found["w"].astype(np.float32), wide)
    assert session.timed({"x": narrow, "z": wide}).time_ns() > 0


def test_a_provider_that_is_not_installed_is_an_error() -> None:
    if "CUDAExecutionProvider" in available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(ProviderUnavailableError, match="CUDAExecutionProvider") as caught:
        Session(model(AFFINE), provider="cuda")
    assert caught.value.exit_code == 4
    assert "CPUExecutionProvider" in caught.value.why
    assert "onnxruntime-gpu" in caught.value.hint


def test_a_provider_that_takes_no_node_is_an_error() -> None:
    if "AzureExecutionProvider" not in available_providers():
        pytest.skip("this ONNX Runtime lacks the provider that takes no ordinary node")
    with pytest.raises(ProviderUnavailableError, match="none of the model's nodes"):
        Session(model(AFFINE), provider="azure")


PAIR = {"TensorrtExecutionProvider", "CPUExecutionProvider"}


class Assigned(SimpleNamespace):
    """A part of a model that one provider took."""

    def get_nodes(self) -> list[SimpleNamespace]:
        """Returns its nodes."""
        return [SimpleNamespace(op_type=name) for name in self.operators]


class Shared:
    """A session of which TensorRT took a part; it remembers how it was made."""

    made: ClassVar[list[Any]] = []

    def __init__(self, *_: object, **settings: object) -> None:
        """Notes the providers."""
        self.made.append(settings["providers"])

    def get_inputs(self) -> list[object]:
        """Returns no inputs."""
        return []

    get_outputs = get_inputs

    def get_providers(self) -> list[str]:
        """Returns both providers."""
        return sorted(PAIR, reverse=True)

    def get_provider_graph_assignment_info(self) -> list[Assigned]:
        """Returns what each provider took."""
        return [
            Assigned(ep_name="TensorrtExecutionProvider", operators=["Conv", "Relu"]),
            Assigned(ep_name="CPUExecutionProvider", operators=["Unique"]),
        ]


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """ONNX Runtime as on a machine with TensorRT; returns the providers of sessions made."""
    names = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: names)
    monkeypatch.setattr("onnxruntime.InferenceSession", Shared)
    monkeypatch.setattr("onnxruntime.preload_dlls", lambda: None, raising=False)
    monkeypatch.setattr(Shared, "made", [])
    return Shared.made


def test_a_strict_session_refuses_nodes_that_fell_back(shared: list[Any]) -> None:
    session = Session(b"", provider="tensorrt")
    assert session.nodes_by_provider == {"TensorrtExecutionProvider": 2, "CPUExecutionProvider": 1}
    assert session.operators_by_provider["CPUExecutionProvider"] == {"Unique": 1}
    with pytest.raises(ProviderUnavailableError, match="1 of 3 nodes fell back") as caught:
        Session(b"", provider="tensorrt", strict=True)
    assert caught.value.why == "CPUExecutionProvider runs Unique (1)"


def test_cuda_takes_what_tensorrt_leaves(shared: list[Any]) -> None:
    Session(b"", provider="tensorrt:device_id=1")
    assert shared == [
        [
            ("TensorrtExecutionProvider", {"device_id": "1"}),
            ("CUDAExecutionProvider", {"device_id": "1"}),
        ]
    ]


def test_engines_are_kept_by_the_hash_of_the_model(
    shared: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ONNXPRUNE_CACHE", str(tmp_path))
    Session(b"one", provider="tensorrt").twin()
    Session(b"two", provider="tensorrt")
    Session(tmp_path / "m.onnx", provider="tensorrt", model_sha256=sha256(b"one").hexdigest())
    Session(tmp_path / "m.onnx", provider="tensorrt")
    one, twin, two, named, unknown = (providers[0][1] for providers in shared)
    assert one == twin == named
    assert sha256(b"one").hexdigest()[:32] in one["trt_engine_cache_path"]
    assert Path(one["trt_engine_cache_path"]).is_dir()
    assert one["trt_engine_cache_path"] != two["trt_engine_cache_path"]
    assert unknown == {}


def test_the_cpu_is_strict_with_itself() -> None:
    session = Session(model(AFFINE), strict=True)
    assert session.twin().providers == ("CPUExecutionProvider",)


class Dropped:
    """A session of which ONNX Runtime dropped the provider asked for."""

    def __init__(self, *_: object, **settings: object) -> None:
        """Checks that onnxruntime's own retry on the CPU is off."""
        assert settings["enable_fallback"] == 0

    def get_inputs(self) -> list[object]:
        """Returns no inputs."""
        return []

    def get_outputs(self) -> list[object]:
        """Returns no outputs."""
        return []

    def get_providers(self) -> list[str]:
        """Returns the provider that is left."""
        return ["CPUExecutionProvider"]


def preload_without_cuda() -> None:
    """Complains as onnxruntime does: on stdout."""
    print("Failed to load libcublasLt.so.13")


def test_a_provider_that_is_dropped_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: both)
    monkeypatch.setattr("onnxruntime.InferenceSession", Dropped)
    monkeypatch.setattr("onnxruntime.preload_dlls", preload_without_cuda, raising=False)
    with pytest.raises(ProviderUnavailableError, match="does not start") as caught:
        Session(b"", provider="cuda")
    assert "fell back to CPUExecutionProvider\nFailed to load libcublasLt.so.13" in caught.value.why
    assert capsys.readouterr().out == ""


def test_a_provider_that_refuses_to_register_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("Please install TensorRT libraries")

    monkeypatch.setattr(
        "onnxruntime.get_available_providers", lambda: ["TensorrtExecutionProvider"]
    )
    monkeypatch.setattr("onnxruntime.InferenceSession", refuse)
    monkeypatch.setattr("onnxruntime.preload_dlls", lambda: None, raising=False)
    with pytest.raises(ProviderUnavailableError, match="does not start") as caught:
        Session(b"", provider="tensorrt:trt_fp16_enable=1")
    assert caught.value.why == "Please install TensorRT libraries"


def test_messages_are_cut_to_their_first_lines() -> None:
    error = RuntimeError("[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : one\n\n two \n3\n4\n5\n6")
    assert explain(error) == "INVALID_ARGUMENT: one\ntwo\n3\n4"
    assert len(explain(RuntimeError("x" * 10_000))) < 1_000
