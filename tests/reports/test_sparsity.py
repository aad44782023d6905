"""What `inspect --sparsity` shows of a model whose zeros are known."""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np

from onnxprune.coupling.analysis import analyse
from onnxprune.ir.canonical import canonicalise
from onnxprune.ir.model import Model
from onnxprune.ir.sparse import stored_sparsely
from onnxprune.reports.sparsity import WEIGHTS_SHOWN, print_sparsity, sparsity
from onnxprune.reports.terminal import WIDTH
from tests.texts import f32, model_of

TEXT = """g (float[2,40] x) => (float[2,8] y) {
    h = MatMul(x, thin)  s = Add(h, bias)  r = Relu(s)  y = MatMul(r, halved)
}"""


def record_of(model: Model) -> dict[str, Any]:
    return sparsity(model, analyse(canonicalise(model)))


def text_of(record: dict[str, Any]) -> str:
    file = io.StringIO()
    print_sparsity(record, file, "a model")
    return file.getvalue()


def sample() -> Model:
    rng = np.random.default_rng(0)
    thin = f32(rng.standard_normal((40, 32)) * (np.arange(40) % 10 == 0)[:, None])
    thin[:, 5] = 0
    halved = f32(rng.standard_normal((32, 8)) * (np.arange(32) % 4 < 2)[:, None])
    return model_of(TEXT, {"thin": thin, "halved": halved, "bias": f32(rng.standard_normal(32))})


def test_each_weight_is_described() -> None:
    record = record_of(sample())
    assert [weight["name"] for weight in record["weights"]] == ["thin", "halved", "bias"]
    thin, halved, bias = record["weights"]
    assert (thin["numbers"], thin["zeros"]) == (40 * 32, 40 * 32 - 4 * 31)
    assert thin["channels"] == {
        "summed": 40,
        "inputs": 40,
        "outputs": 32,
        "empty_inputs": 36,
        "empty_outputs": 1,
    }
    assert halved["conforms"] == {"1:4": False, "1:2": False, "2:4": True, "4:8": True}
    assert [reader["op_type"] for reader in halved["readers"]] == ["MatMul"]
    assert (bias["conforms"], bias["channels"]) == (None, None)
    zeros = 40 * 32 - 4 * 31 + 16 * 8
    assert record["totals"]["zeros"] == zeros
    assert record["totals"]["share"] == zeros / (40 * 32 + 32 * 8 + 32)


def test_shares_are_by_multiply_accumulates() -> None:
    shares = record_of(sample())["totals"]["macs_that_conform"]
    assert (shares["1:4"], shares["2:4"]) == (40 * 32 / (40 * 32 + 32 * 8), 1.0)


def test_a_layer_of_few_channels_does_not_count() -> None:
    """Of one channel for each output all patterns are true, and worth nothing."""
    text = "g (float[1,8,6,6] x) => (float[1,8,6,6] y) { y = Conv<group=8, pads=[1,1,1,1]>(x, w) }"
    record = record_of(model_of(text, {"w": (8, 1, 3, 3)}))
    assert record["totals"]["macs_that_conform"] == dict.fromkeys(("1:4", "1:2", "2:4", "4:8"), 0.0)
    (row,) = (line for line in text_of(record).splitlines() if line.startswith("w "))
    assert row.split() == ["w", "8x1x3x3", "0.0", "%", "0,", "0", "Conv"]


def test_sizes_are_those_of_the_files() -> None:
    model = sample()
    sizes = record_of(model)["size"]
    content = model.to_bytes()
    assert sizes["raw_bytes"] == len(content)
    assert abs(sizes["sparse_bytes"] - len(stored_sparsely(model).model.to_bytes())) < 8
    packer = zlib.compressobj(6)
    assert abs(sizes["compressed_bytes"] - len(packer.compress(content) + packer.flush())) < 16
    assert sizes["sparse_bytes"] < sizes["raw_bytes"]


def test_a_report_says_what_providers_make_of_it() -> None:
    text = text_of(record_of(sample()))
    assert max(map(len, text.splitlines())) <= WIDTH
    words = " ".join(text.split())
    assert "1,284 of 1,568 numbers in weights are zero, 81.9 %" in words
    assert "thin 40x32 90.3 % 36, 1 MatMul" in words.replace("1:4 ", "")
    assert "halved 32x8 50.0 % 2:4 16, 0 MatMul" in words
    assert "here these have 100.0 % of the MACs" in words
    assert [entry["provider"] for entry in record_of(sample())["providers"]] == [
        "cpu",
        "cuda",
        "tensorrt",
        "openvino",
    ]


def test_small_weights_are_counted() -> None:
    nodes = " ".join(f"h{i + 1} = Add(h{i}, b{i})" for i in range(WEIGHTS_SHOWN + 5))
    text = f"g (float[2,6] x) => (float[2,6] y) {{ h0 = Relu(x) {nodes} y = Relu(h25) }}"
    model = model_of(text, {f"b{i}": (6,) for i in range(WEIGHTS_SHOWN + 5)})
    assert "and 5 smaller weights" in text_of(record_of(model))


def test_a_model_without_weights() -> None:
    record = record_of(model_of("g (float[2,6] x) => (float[2,6] y) { y = Relu(x) }", {}))
    assert record["totals"]["share"] == 0.0
    assert "0 of 0 numbers" in text_of(record)
