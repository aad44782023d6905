"""Bad input gets a clear error, and loses nothing."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxprune.axes import Dim, Keep
from onnxprune.coupling.analysis import Analysis
from onnxprune.ir.model import Model
from onnxprune.ir.tensors import ArrayTensor
from onnxprune.passes import work
from onnxprune.passes.remove import slicing
from tests.cli.conftest import Write, assert_refused
from tests.conftest import Run

PRUNE = ("--channels", "0.5", "--no-benchmark")


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_missing_file(run: Run, tmp_path: Path) -> None:
    result = run(tmp_path / "none.onnx", tmp_path / "out.onnx", *PRUNE)
    assert_refused(result, 3, "there is no such model file")


def test_a_directory(run: Run, tmp_path: Path) -> None:
    assert_refused(run(tmp_path, tmp_path / "out.onnx", *PRUNE), 3, "not a folder")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the model file is empty"),
        (b"Dear Sir or Madam,\nhere is the model.\n", "the file is not an ONNX model"),
        (b"<html>404</html>", "perhaps an error page"),
    ],
    ids=["empty", "text", "html"],
)
def test_a_file_that_is_no_model(run: Run, tmp_path: Path, content: bytes, message: str) -> None:
    source = tmp_path / "in.onnx"
    source.write_bytes(content)
    target = tmp_path / "out.onnx"
    assert_refused(run(source, target, *PRUNE), 3, message)
    assert not target.exists()


def test_a_truncated_model(run: Run, mlp: Path, tmp_path: Path) -> None:
    mlp.write_bytes(mlp.read_bytes()[:-1000])
    result = run(mlp, tmp_path / "out.onnx", *PRUNE)
    assert_refused(result, 3, "the file is not an ONNX model", "the file may be incomplete")


def test_a_model_that_the_checker_rejects(run: Run, write: Write, tmp_path: Path) -> None:
    source = write("g (float[2] x) => (float[2] y) { y = Relu(nowhere) }")
    result = run(source, tmp_path / "out.onnx", *PRUNE)
    assert_refused(result, 3, "nowhere")


def test_external_data_that_is_missing(run: Run, write: Write, tmp_path: Path) -> None:
    source = write(external="in.data")
    (tmp_path / "in.data").unlink()
    result = run(source, tmp_path / "out.onnx", *PRUNE)
    assert_refused(result, 3, "external data is missing")
    assert "in.data" in result.stderr


def test_external_data_that_lies_outside(run: Run, write: Write, tmp_path: Path) -> None:
    source = write(external="in.data")
    model = onnx.ModelProto.FromString(source.read_bytes())
    for tensor in model.graph.initializer:
        tensor.external_data[0].value = "../in.data"
    source.write_bytes(model.SerializeToString())
    result = run(source, tmp_path / "out.onnx", *PRUNE)
    assert_refused(result, 3, "it leads out of the model's folder")


CUSTOM = """g (float[N, 16] x, float[16, 64] w1, float[64, 32] w2, float[32, 8] w3)
  => (float[N, 8] y) {
    a = MatMul(x, w1)
    b = Relu(a)
    c = MatMul(b, w2)
    twisted = acme.Twist(c)
    y = MatMul(twisted, w3)
}"""


def test_unknown_operators_are_refused_with_a_way_out(
    run: Run, write: Write, tmp_path: Path
) -> None:
    target = tmp_path / "out.onnx"
    result = run(write(CUSTOM), target, *PRUNE)
    assert_refused(result, 3, "the result cannot be verified, and nothing was written")
    assert "acme.Twist" in result.stderr
    assert "--no-verify" in result.stderr
    assert not target.exists()


def test_unknown_operators_are_pruned_around_without_verification(
    run: Run, write: Write, tmp_path: Path
) -> None:
    target = tmp_path / "out.onnx"
    result = run(write(CUSTOM), target, *PRUNE, "--no-verify")
    assert result.exit_code == 0
    assert "Unknown operator acme.Twist, 1 node" in result.stdout
    assert "not verified" in result.stdout
    shapes = {
        tensor.name: list(tensor.dims)
        for tensor in onnx.ModelProto.FromString(target.read_bytes()).graph.initializer
    }
    assert shapes == {"w1": [16, 32], "w2": [32, 32], "w3": [32, 8]}


@pytest.mark.parametrize("ratio", ["-0.1", "1", "1.5", "nan", "half"])
def test_a_ratio_outside_its_range(run: Run, mlp: Path, tmp_path: Path, ratio: str) -> None:
    result = run(mlp, tmp_path / "out.onnx", "--channels", ratio)
    assert_refused(result, 2, ratio)


def test_a_target_without_its_folder(run: Run, mlp: Path, tmp_path: Path) -> None:
    result = run(mlp, tmp_path / "none" / "out.onnx", *PRUNE)
    assert_refused(result, 7, "the folder to write to does not exist")


def test_a_folder_as_the_target(run: Run, mlp: Path, tmp_path: Path) -> None:
    assert_refused(run(mlp, tmp_path, *PRUNE), 7, "a folder stands where")


def test_a_folder_that_may_not_be_written_to(
    run: Run, mlp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def access(path: object, mode: int) -> bool:
        del path
        return not mode & os.W_OK

    monkeypatch.setattr(os, "access", access)  # permissions do not bind root
    result = run(mlp, tmp_path / "out.onnx", *PRUNE)
    assert_refused(result, 7, "the folder may not be written to")


@pytest.mark.parametrize("through", ["itself", "a symbolic link", "a hard link"])
def test_the_source_as_the_target(run: Run, mlp: Path, tmp_path: Path, through: str) -> None:
    before = mlp.read_bytes()
    target = mlp if through == "itself" else tmp_path / "link.onnx"
    if through == "a symbolic link":
        target.symlink_to(mlp)
    elif through == "a hard link":
        target.hardlink_to(mlp)
    result = run(mlp, target, *PRUNE)
    assert_refused(result, 2, "the result would replace the input model")
    assert "--in-place" in result.stderr
    assert mlp.read_bytes() == before


def test_the_weights_of_the_source_as_the_target(run: Run, write: Write, tmp_path: Path) -> None:
    source = write(external="out.onnx.data")
    before = (tmp_path / "out.onnx.data").read_bytes()
    result = run(source, tmp_path / "out.onnx", *PRUNE)
    assert_refused(result, 2, "the result's weights would replace those of the input model")
    assert (tmp_path / "out.onnx.data").read_bytes() == before


def test_a_plan_that_would_replace_the_model(run: Run, mlp: Path, tmp_path: Path) -> None:
    result = run(mlp, tmp_path / "out.onnx", *PRUNE, "--plan", mlp)
    assert_refused(result, 2, "the plan would replace a model")


def test_a_provider_that_is_not_there(run: Run, mlp: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    result = run(mlp, target, *PRUNE, "--provider", "rocm")
    assert_refused(result, 4, "execution provider ROCMExecutionProvider is not available")
    assert not target.exists()


DISK_FULL = """
import resource, sys
from onnxprune.cli import main
from onnxprune.runtime import available_providers
available_providers()
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
main()
"""


def test_a_full_disk(mlp: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    target.write_bytes(b"what was there")
    done = python(DISK_FULL, mlp, target, *PRUNE)
    assert done.returncode == 7, done.stderr
    assert "the model could not be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert target.read_bytes() == b"what was there"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.onnx", "out.onnx"]


INTERRUPTED = """
import os, signal
from onnxprune.cli import main
from onnxprune.ir import save

def finish(file):
    file.flush()
    os.kill(os.getpid(), signal.SIGINT)

save._finish = finish
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell runs us behind
main()
"""


def test_an_interruption_while_writing(mlp: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    target.write_bytes(b"what was there")
    done = python(INTERRUPTED, mlp, target, *PRUNE)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "onnxprune: interrupted\n"
    assert target.read_bytes() == b"what was there"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.onnx", "out.onnx"]


def test_nothing_to_prune(run: Run, write: Write, tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    source = write("g (float[N, 16] x, float[16, 8] w1) => (float[N, 8] y) { y = MatMul(x, w1) }")
    result = run(source, target, *PRUNE)
    assert_refused(result, 3, "nothing in this model can be pruned as asked")
    assert "100.0 %" in result.stderr
    assert not target.exists()


def test_a_ratio_too_small_for_the_rounding(run: Run, mlp: Path, tmp_path: Path) -> None:
    result = run(mlp, tmp_path / "out.onnx", "--channels", "0.01")
    assert_refused(result, 3, "keep their full width")
    assert "--round-to 1" in result.stderr


def test_a_wrong_result_is_never_written(
    run: Run, mlp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slicer = slicing.remove

    def wrong(analysis: Analysis, keeps: dict[Dim, Keep]) -> Model:
        model = slicer(analysis, keeps)
        rotated = np.roll(model.constants["w2"].numpy(), 1, axis=0)
        model.set_constants({"w2": ArrayTensor.of(rotated)})
        return model

    monkeypatch.setattr(work, "remove", wrong)
    target = tmp_path / "out.onnx"
    result = run(mlp, target, *PRUNE)
    assert_refused(result, 5, "does not compute what the masked original computes")
    assert not target.exists()


def test_a_proof_that_shows_nothing(run: Run, write: Write, tmp_path: Path) -> None:
    source = write(
        """g (float[N, 16] x, float[16, 64] w1, float[64, 8] w2) => (float[N, 8] y) {
            zero = Sub(x, x)
            a = MatMul(zero, w1)
            b = Relu(a)
            y = MatMul(b, w2)
        }"""
    )
    target = tmp_path / "out.onnx"
    result = run(source, target, *PRUNE)
    assert_refused(result, 6, "no output reacts to the input")
    assert not target.exists()
