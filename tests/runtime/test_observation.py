"""Models are observed in processes of their own; how much they take is not looked at."""

import os
from pathlib import Path

import numpy as np
import pytest

from onnxprune.errors import ProviderUnavailableError, RuntimeFailureError
from onnxprune.runtime import Load, Session, in_fresh_process, observe
from onnxprune.runtime.observation import peak_memory
from tests.texts import proto_of

RELU = proto_of("g (float[N] x) => (float[N] y) { y = Relu(x) }", {}).SerializeToString()
X = np.ones(4, dtype=np.float32)


def test_a_model_is_observed(tmp_path: Path) -> None:
    path = tmp_path / "relu.onnx"
    path.write_bytes(RELU)
    seen = in_fresh_process(observe, path, {"x": X}, Load())
    assert seen.load_ms > 0
    assert (seen.memory_bytes is None) == (peak_memory() is None)
    assert set(seen.profile.by_operator) == {"Relu"}
    assert seen.operators == Session(path).operators_by_provider


def test_errors_cross_the_border(tmp_path: Path) -> None:
    with pytest.raises(ProviderUnavailableError, match="ROCM") as caught:
        in_fresh_process(observe, tmp_path / "none.onnx", {}, Load("rocm"))
    assert "--provider cpu" in caught.value.hint


def test_the_process_is_another_one() -> None:
    assert in_fresh_process(os.getpid) != os.getpid()


def test_a_process_that_dies_is_an_error() -> None:
    with pytest.raises(RuntimeFailureError, match="has died"):
        in_fresh_process(os._exit, 3)


def test_what_the_process_prints_is_kept_off_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    in_fresh_process(os.system, "echo noise")
    out, err = capfd.readouterr()
    assert (out, "noise" in err) == ("", True)


@pytest.mark.parametrize(
    ("text", "size"),
    [("VmPeak:\t 9 kB\nVmHWM:\t  12 kB\nVmRSS:\t 7 kB\n", 12 * 1024), ("Name:\tx\n", None)],
)
def test_the_peak_is_read(tmp_path: Path, text: str, size: int | None) -> None:
    (tmp_path / "status").write_text(text)
    assert peak_memory(tmp_path / "status") == size


def test_a_system_without_status_cannot_tell(tmp_path: Path) -> None:
    assert peak_memory(tmp_path / "none") is None
