"""Comparisons as record and as text, within 80 columns."""

import io
from typing import Any

import pytest

from onnxprune.reports.benchmark import (
    OPERATORS_SHOWN,
    describe_batch,
    describe_observations,
    print_benchmark,
)
from onnxprune.reports.terminal import WIDTH
from onnxprune.runtime import Load, Observation, Profile
from onnxprune.verify.speed import Latency, Speedup, Verdict

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def speedup(verdict: Verdict = "faster") -> Speedup:
    times = Latency(2.0, 3.0, 4.0, 100), Latency(1.0, 1.5, 2.0, 100)
    return Speedup(2.0, 1.9, 2.1, 0.99, 1.01, verdict, *times, pairs=100)


def observation(scale: float, memory_bytes: int | None = 10**6) -> Observation:
    times = {CUDA: {"Conv": 3.0 * scale, "Relu": 0.1}, CPU: {"Unique": 1.0}}
    operators = {CUDA: {"Conv": 5, "Relu": 2}, CPU: {"Unique": 1}}
    return Observation(12.0 * scale, memory_bytes, operators, Profile(times, 10))


def record_of(
    batches: tuple[int | None, ...], pair: tuple[Observation, Observation], provider: str = "cuda"
) -> dict[str, Any]:
    load = Load(provider)
    entries = [describe_batch(speedup(), load, batch) for batch in batches]
    return {"batches": entries, **describe_observations(pair, load)}


def text_of(record: dict[str, Any], *, profile: bool = True, name: str = "m.onnx") -> str:
    file = io.StringIO()
    print_benchmark(record, file, (name, name), profile)
    return file.getvalue()


def test_throughput_is_samples_a_second() -> None:
    entry = describe_batch(speedup(), Load(), 8)
    assert (entry["original"]["throughput"], entry["pruned"]["throughput"]) == (4000, 8000)
    assert describe_batch(speedup(), Load(), None)["original"]["throughput"] == 500


def test_providers_have_their_share_of_nodes_and_time() -> None:
    record = record_of((1,), (observation(1.0), observation(0.3)))
    first, second = record["providers"]["original"]
    assert record["providers"]["asked"] == CUDA
    assert (first["provider"], first["nodes"], first["node_share"]) == (CUDA, 7, 0.875)
    assert first["time_share"] == pytest.approx(3.1 / 4.1)
    assert (second["provider"], second["operators"]) == (CPU, {"Unique": 1})
    assert record["providers"]["pruned"][1]["time_share"] == pytest.approx(0.5)


def test_the_biggest_difference_comes_first() -> None:
    record = record_of((1,), (observation(1.0), observation(0.5)))
    assert record["profile"]["operators"][0] == {
        "operator": "Conv",
        "original_ms": 3.0,
        "pruned_ms": 1.5,
        "difference_ms": -1.5,
    }
    assert [entry["provider"] for entry in record["profile"]["providers"]] == [CUDA, CPU]


def test_what_fell_back_is_shown() -> None:
    text = text_of(record_of((1,), (observation(1.0), observation(0.5))))
    assert f"Fell back to {CPU} in A: Unique (1)." in text
    assert "7 (87.5 %)" in text
    assert "samples/s" in text


def test_a_provider_that_runs_all_is_a_line() -> None:
    pure = Observation(1.0, None, {CUDA: {"Conv": 5}}, Profile({CUDA: {"Conv": 3.0}}, 10))
    text = text_of(record_of((None,), (pure, pure)))
    assert f"{CUDA} runs every node of both." in text
    assert "runs/s" in text
    assert "unknown" in text
    assert "runs every node" not in text_of(record_of((1,), (pure, pure), "cpu"))


def test_operators_are_listed_only_if_asked_for_and_not_without_end() -> None:
    times = {CPU: {f"Operator{i}": float(i) for i in range(OPERATORS_SHOWN + 5)}}
    seen = Observation(1.0, 1, {}, Profile(times, 10))
    record = record_of((1,), (seen, Observation(1.0, 1, {}, Profile({}, 10))), "cpu")
    assert "5 more" in text_of(record)
    assert "Operator" not in text_of(record, profile=False)


def test_a_comparison_fits_its_width() -> None:
    name = "a_model_with_a_rather_long_name.quantized.onnx"
    text = text_of(record_of((1, 32, 1024), (observation(1e5), observation(9e4))), name=name)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "Speed, batch 1024: 2.00x faster (1.90-2.10)" in text
