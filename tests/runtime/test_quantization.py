"""ONNX Runtime's quantizers: quiet, in order, and with one kind of error."""

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pytest

from onnxprune.errors import RuntimeFailureError, UsageError
from onnxprune.runtime import Session
from onnxprune.runtime.quantization import prepared, quantized_dynamically, quantized_statically
from tests.texts import proto_of

TEXT = "g (float[n,8] x) => (float[n,4] y) { a = MatMul(x, w)  y = Relu(a) }"


def dense() -> bytes:
    model = proto_of(TEXT, {"w": (8, 4)})
    model.graph.node[0].name = "first"
    return model.SerializeToString()


def feeds(count: int = 3) -> list[dict[str, Any]]:
    rng = np.random.default_rng(1)
    return [{"x": rng.standard_normal((4, 8)).astype(np.float32)} for _ in range(count)]


def op_types(model: bytes) -> list[str]:
    return [node.op_type for node in onnx.ModelProto.FromString(model).graph.node]


@pytest.mark.parametrize("form", ["qdq", "operators"])
def test_static_quantization_computes_nearly_the_same(form: Any) -> None:
    made = quantized_statically(prepared(dense()), feeds(), form=form)
    assert ("QLinearMatMul" in op_types(made)) == (form == "operators")
    for feed in feeds():
        expected, found = (Session(model).run(feed)["y"] for model in (dense(), made))
        assert 0 < np.abs(expected - found).max() < 0.1 * np.abs(expected).max()


def test_data_is_read_one_after_the_other() -> None:
    alive: list[int] = []

    def stream() -> Iterator[dict[str, Any]]:
        for place, feed in enumerate(feeds(5)):
            alive.append(place)
            yield feed

    data = stream()
    quantized_statically(prepared(dense()), data)
    assert alive == list(range(5))
    assert next(data, None) is None


@pytest.mark.parametrize(("per_channel", "scales"), [(True, 4), (False, 1)])
def test_weights_have_a_scale_for_each_channel_or_one(per_channel: bool, scales: int) -> None:
    made = quantized_dynamically(prepared(dense()), per_channel=per_channel)
    (scale,) = (
        onnx.numpy_helper.to_array(tensor)
        for tensor in onnx.ModelProto.FromString(made).graph.initializer
        if tensor.name == "w_scale"
    )
    assert scale.size == scales


@pytest.mark.parametrize("per_channel", [True, False])
def test_excluded_nodes_stay(per_channel: bool) -> None:
    ready = prepared(dense())
    made = quantized_dynamically(ready, per_channel=per_channel)
    assert "MatMulInteger" in op_types(made)
    left = quantized_dynamically(ready, per_channel=per_channel, exclude=["first"])
    assert op_types(left) == ["MatMul", "Relu"]


def test_a_gemm_is_excluded_by_its_own_name() -> None:
    """The dynamic quantizer makes a MatMul of it, and gives that another name."""
    model = onnx.ModelProto.FromString(dense())
    model.graph.node[0].op_type = "Gemm"
    ready = prepared(model.SerializeToString())
    assert "MatMulInteger" in op_types(quantized_dynamically(ready))
    assert "MatMulInteger" not in op_types(quantized_dynamically(ready, exclude=["first"]))


def test_nobody_hears_of_it(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    before = logging.root.manager.disable
    quantized_statically(dense(), feeds())
    quantized_dynamically(dense())
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
    assert logging.root.manager.disable == before


def test_failures_are_errors_of_one_kind() -> None:
    with pytest.raises(RuntimeFailureError, match="cannot quantize the model") as raised:
        quantized_statically(dense(), [{"x": np.ones((4, 9), np.float32)}])
    assert raised.value.why
    assert "\n" not in raised.value.why
    with pytest.raises(RuntimeFailureError, match="cannot prepare"):
        prepared(b"no model")


def test_errors_of_the_data_stay_what_they_are() -> None:
    def broken() -> Iterator[dict[str, Any]]:
        yield from feeds(1)
        raise UsageError("the data broke off")

    with pytest.raises(UsageError, match="the data broke off"):
        quantized_statically(dense(), broken())
    with pytest.raises(UsageError, match="no data to calibrate"):
        quantized_statically(dense(), [])
