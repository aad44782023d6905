"""Provider specifications are read, and a provider that is missing is an error."""

from types import SimpleNamespace

import pytest

from onnxprune.errors import OnnxPruneError, ProviderUnavailableError, UsageError
from onnxprune.runtime import Provider, available_providers, parse_provider
from onnxprune.runtime.providers import advice, require_all, require_registered, require_used


@pytest.mark.parametrize(
    ("spec", "name", "options"),
    [
        ("cpu", "CPUExecutionProvider", {}),
        ("CPU", "CPUExecutionProvider", {}),
        (" cuda ", "CUDAExecutionProvider", {}),
        ("openvino", "OpenVINOExecutionProvider", {}),
        ("CUDAExecutionProvider", "CUDAExecutionProvider", {}),
        ("SomePluginProvider", "SomePluginProvider", {}),
        (
            "tensorrt:trt_fp16_enable=1,foo=2",
            "TensorrtExecutionProvider",
            {"trt_fp16_enable": "1", "foo": "2"},
        ),
        (
            "tensorrt:trt_profile_min_shapes=x:1x3,y:1x4,device_id=0",
            "TensorrtExecutionProvider",
            {"trt_profile_min_shapes": "x:1x3,y:1x4", "device_id": "0"},
        ),
        ("openvino:cache_dir=C:\\a=b", "OpenVINOExecutionProvider", {"cache_dir": "C:\\a=b"}),
    ],
)
def test_a_specification_is_read(spec: str, name: str, options: dict[str, str]) -> None:
    assert parse_provider(spec) == Provider(name, options)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        *((spec, "a provider needs a name") for spec in ("", " ", ":device_id=0")),
        *((spec, "is not KEY=VALUE") for spec in ("cuda:", "cuda:fast", "cuda:=1")),
        ("tensorrt:device_id=x", "'x' is no number of a device"),
    ],
)
def test_a_malformed_specification_is_wrong_usage(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_provider(spec)
    assert caught.value.exit_code == 2
    assert repr(spec) in caught.value.where


def test_an_option_given_twice_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="twice"):
        parse_provider("cuda:device_id=0,device_id=1")


def test_options_that_the_cpu_would_ignore_are_wrong_usage() -> None:
    with pytest.raises(UsageError, match="no options"):
        parse_provider("cpu:threads=2")


def test_the_cpu_is_available() -> None:
    assert "CPUExecutionProvider" in available_providers()


def test_a_missing_onnxruntime_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> SimpleNamespace:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(ProviderUnavailableError) as caught:
        available_providers()
    assert "pip install 'onnxprune[cpu]'" in caught.value.hint


def test_an_onnxruntime_that_lost_its_files_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    left = SimpleNamespace(__path__=["/site-packages/onnxruntime"])
    monkeypatch.setattr("importlib.import_module", lambda name: left)
    with pytest.raises(ProviderUnavailableError, match="incompletely") as caught:
        available_providers()
    assert "/site-packages/onnxruntime" in caught.value.where
    assert "uninstall all onnxruntime packages first" in caught.value.hint


def test_a_provider_that_was_dropped_is_an_error() -> None:
    with pytest.raises(OnnxPruneError) as caught:
        require_registered(
            Provider("CUDAExecutionProvider"),
            ["CPUExecutionProvider"],
            "Failed to load libcudart.so",
        )
    assert caught.value.exit_code == 4
    assert "fell back to CPUExecutionProvider" in caught.value.why
    assert "Failed to load libcudart.so" in caught.value.why
    assert "cuDNN" in caught.value.hint


def test_a_provider_that_took_no_node_is_an_error() -> None:
    with pytest.raises(ProviderUnavailableError, match="none of the model's nodes") as caught:
        require_used(Provider("CUDAExecutionProvider"), {"CPUExecutionProvider": 7})
    assert "CPUExecutionProvider 7" in caught.value.why


@pytest.mark.parametrize(
    "nodes", [{}, {"CUDAExecutionProvider": 1}, {"CPUExecutionProvider": 7, "XProvider": 1}]
)
def test_a_provider_that_took_a_node_passes(nodes: dict[str, int]) -> None:
    name = "XProvider" if "XProvider" in nodes else "CUDAExecutionProvider"
    require_used(Provider(name), nodes)
    assert Provider(name).on_cuda == (name == "CUDAExecutionProvider")


@pytest.mark.parametrize(
    ("name", "advised"),
    [
        ("opnvino", "did you mean 'openvino'?"),
        ("CUDAExecutionProvider", "it needs onnxruntime-gpu"),
        ("ROCMExecutionProvider", "it needs an ONNX Runtime built with ROCMExecutionProvider"),
        ("Something", "it needs an ONNX Runtime built with Something"),
    ],
)
def test_what_to_do_follows_from_the_name(name: str, advised: str) -> None:
    assert advice(Provider(name)).startswith(advised)


CUDA = Provider("CUDAExecutionProvider")


def test_nodes_that_fell_back_are_named() -> None:
    operators = {
        "CUDAExecutionProvider": {"Conv": 5},
        "CPUExecutionProvider": {"Unique": 1, "Gather": 2},
    }
    with pytest.raises(ProviderUnavailableError, match="3 of 8 nodes fell back") as caught:
        require_all(CUDA, operators)
    assert caught.value.why == "CPUExecutionProvider runs Gather (2), Unique (1)"
    assert "--strict-provider" in caught.value.hint


def test_a_build_that_cannot_tell_is_no_strict_one() -> None:
    with pytest.raises(ProviderUnavailableError, match="cannot be told") as caught:
        require_all(CUDA, None)
    assert "1.24" in caught.value.hint


@pytest.mark.parametrize("operators", [{}, {"CUDAExecutionProvider": {"Conv": 1}}])
def test_a_provider_that_took_every_node_passes(operators: dict[str, dict[str, int]]) -> None:
    require_all(CUDA, operators)
    require_all(Provider("CPUExecutionProvider"), None)
    assert CUDA.device == ("cuda", 0)


@pytest.mark.parametrize(
    ("spec", "device"),
    [
        ("cpu", None),
        ("openvino:device_type=GPU", None),
        ("cuda:device_id=1", ("cuda", 1)),
        ("tensorrt", ("cuda", 0)),
        ("dml:device_id=2", ("dml", 2)),
    ],
)
def test_providers_know_where_their_tensors_lie(spec: str, device: tuple[str, int] | None) -> None:
    assert parse_provider(spec).device == device
