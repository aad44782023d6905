"""Models are observed in processes of their own; how much they take is not looked at."""

import os
import signal
import subprocess
import sys
from importlib import import_module
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


def test_faults_of_our_own_cross_it_with_their_trace() -> None:
    with pytest.raises(TypeError) as caught:
        in_fresh_process(observe)
    assert "in serve" in caught.value.__notes__[0]


def test_the_process_is_another_one() -> None:
    assert in_fresh_process(os.getpid) != os.getpid()


def test_a_process_that_dies_is_an_error() -> None:
    with pytest.raises(RuntimeFailureError, match=r"has died(.|\n)*exit code 3"):
        in_fresh_process(os._exit, 3)
    with pytest.raises(RuntimeFailureError, match=r"has died(.|\n)*signal SIGSEGV"):
        in_fresh_process(signal.raise_signal, signal.SIGSEGV)


def test_a_script_needs_no_guard(tmp_path: Path) -> None:
    """It is not read again; `multiprocessing` would."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os\n"
        "from onnxprune.runtime import in_fresh_process\n"
        "print('read', in_fresh_process(os.getpid) != os.getpid())\n"
    )
    command = [sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "read True\n", "")


def test_what_is_imported_from_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "of_a_user.py").write_text("def answer(): return 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert in_fresh_process(import_module("of_a_user").answer) == 42


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
