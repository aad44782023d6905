"""`--data` and `--metric`: measured on the user's data; what does not fit is said early."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from onnxprune.pipelines.pipeline import Pipeline
from onnxprune.reports.record import RANDOM_INPUTS
from tests.cli.conftest import Write, assert_refused
from tests.conftest import FIXTURES, Run

DIGITS = FIXTURES / "digits_test.npz"
LABELLED = ("--data", DIGITS, "--labels", "label")
PRUNE = ("--channels", "0.1", "--no-benchmark")
TWO_OUTPUTS = """two (float[N, 16] x, float[16, 64] w1, float[64, 8] w2)
  => (float[N, 8] y, float[N, 8] z) {
    a = MatMul(x, w1)
    b = Relu(a)
    y = MatMul(b, w2)
    z = Neg(y)
}"""
MODULE = """
import numpy as np
calls = 0

def accuracy(outputs, reference, labels):
    (scores,) = outputs.values()
    return scores.argmax(axis=1) == labels

def broken(outputs, reference, labels):
    raise ValueError("out of order")

def tiring(outputs, reference, labels):
    global calls
    calls += 1
    if calls > 6:
        raise ValueError("tired")
    return 1.0

def feeds():
    while True:
        yield {"image": np.random.default_rng(0).random((3, 1, 8, 8), np.float32)}
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module with functions of the user's, in the current folder; its name."""
    name = f"own_{tmp_path.parent.name}_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    """Data for the small networks, with labels."""
    rng = np.random.default_rng(1)
    path = tmp_path / "vectors.npz"
    x = rng.standard_normal((20, 16)).astype(np.float32)
    np.savez(path, x=x, label=rng.integers(0, 8, 20))
    return path


def document_of(result: Result) -> dict[str, Any]:
    assert (result.exit_code, result.stderr) == (0, "")
    document: dict[str, Any] = json.loads(result.stdout)
    return document


MORE = ("--samples", "all", "--no-repair", "--json")


@pytest.mark.parametrize("network", ["digits_cnn.ts", "digits_vit.dyn"])
def test_metrics_of_both_models_stand_in_the_document(
    run: Run, tmp_path: Path, network: str
) -> None:
    named = [
        part for name in ("top1", "top5", "agreement", "cosine") for part in ("--metric", name)
    ]
    source, target = FIXTURES / f"{network}.onnx", tmp_path / "out.onnx"
    result = run(source, target, *PRUNE, *LABELLED, *named, *MORE)
    document = document_of(result)
    assert document["measured_on"] == {
        "source": str(DIGITS),
        "samples": 540,
        "dropped": 0,
        "warning": None,
    }
    found = document["metrics"]
    assert list(found) == ["top1", "top5", "agreement", "cosine"]
    top1 = found["top1"]
    assert top1["original"] == pytest.approx({"c": 539, "v": 535}[network[7]] / 540)
    assert top1["pruned"] < top1["original"]
    assert top1["difference"] == pytest.approx(top1["pruned"] - top1["original"])
    assert top1["samples"] == 540
    points = top1["points"]
    assert points["difference"] == pytest.approx(100 * top1["difference"])
    assert points["low"] < points["difference"] < points["high"]
    assert found["agreement"]["points"] is found["agreement"]["original"] is None
    assert document["fidelity"]["logits"]["cosine"] == found["cosine"]["pruned"]
    assert document["fidelity"]["logits"]["top1"] == found["agreement"]["pruned"]
    assert document["fidelity"]["logits"]["non_finite"] == 0


def test_labels_imply_top_1(run: Run, cnn: Path, tmp_path: Path) -> None:
    result = run(cnn, tmp_path / "out.onnx", *PRUNE, *LABELLED)
    assert (result.exit_code, result.stderr) == (0, "")
    (row,) = (line for line in result.stdout.splitlines() if line.startswith("top1 "))
    assert row.count(" %") == 2
    assert row.count("points") == row.count(" to ") == 1
    assert "metric, on 512 samples" in result.stdout
    assert "fidelity, on 512 samples" in result.stdout
    assert "Warning" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_without_metrics_data_gives_fidelity(run: Run, mlp: Path, vectors: Path) -> None:
    options = ("--data", vectors, "--batch", "7", "--samples", "9")
    document = document_of(run("verify", mlp, mlp, *options, "--json"))
    assert (document["metrics"], document["measured_on"]["samples"]) == ({}, 9)
    assert document["fidelity"]["y"]["cosine"] == pytest.approx(1)


def test_without_data_a_warning_says_what_the_inputs_are(
    run: Run, mlp: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.onnx"
    for command in ((mlp, target, *PRUNE), ("verify", mlp, target)):
        result = run(*command)
        assert (result.exit_code, result.stderr) == (0, "")
        lines = result.stdout.splitlines()
        assert lines.count(f"Warning: {RANDOM_INPUTS}") == 1
        assert max(map(len, lines)) <= 80
        assert run(*command, "--quiet").output == ""
        measured_on = document_of(run(*command, "--json"))["measured_on"]
        assert (measured_on["source"], measured_on["warning"]) == ("random", RANDOM_INPUTS)


def test_verify_and_apply_measure_the_same(run: Run, cnn: Path, tmp_path: Path) -> None:
    target, plan = tmp_path / "out.onnx", tmp_path / "plan.json"
    options = (*LABELLED, "--samples", "40", "--seed", "3", "--json")
    pruned = document_of(run(cnn, target, *PRUNE, "--plan", plan, *options))
    compared = document_of(run("verify", cnn, target, "--plan", plan, *options))
    again = tmp_path / "again.onnx"
    applied = document_of(run("apply", plan, cnn, again, "--no-benchmark", *options))
    for key in ("measured_on", "metrics", "fidelity"):
        assert pruned[key] == compared[key] == applied[key]
    assert pruned["metrics"]["top1"]["samples"] == 40
    shown = run("verify", cnn, target, *LABELLED)
    assert "top1" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80


def test_metrics_and_data_of_the_users_own(
    run: Run, cnn: Path, tmp_path: Path, module: str
) -> None:
    metric = ("--metric", f"{module}:accuracy", "--metric", "top1")
    document = document_of(run(cnn, tmp_path / "a.onnx", *PRUNE, *LABELLED, *metric, "--json"))
    own, top1 = document["metrics"].values()
    assert own["original"] == pytest.approx(top1["original"])
    assert own["pruned"] == pytest.approx(top1["pruned"])
    assert own["difference"] == pytest.approx(top1["difference"])
    options = ("--data", f"{module}:feeds", "--samples", "10", "--metric", "agreement")
    document = document_of(run(cnn, tmp_path / "b.onnx", *PRUNE, *options, "--json"))
    assert document["metrics"]["agreement"]["samples"] == 10


def test_a_metric_given_twice_is_measured_once(run: Run, mlp: Path, vectors: Path) -> None:
    twice = ("--metric", "cosine") * 2
    document = document_of(run("verify", mlp, mlp, "--data", vectors, *twice, "--json"))
    assert list(document["metrics"]) == ["cosine"]


def test_the_output_that_holds_the_scores(
    run: Run, write: Write, vectors: Path, tmp_path: Path
) -> None:
    source, target = write(TWO_OUTPUTS), tmp_path / "out.onnx"
    options = ("--data", vectors, "--metric", "agreement")
    unclear = run(source, target, *PRUNE, *options)
    assert_refused(unclear, 2, "it is not clear which output holds the scores", "--scores")
    unknown = run(source, target, *PRUNE, *options, "--scores", "zz")
    assert_refused(unknown, 2, "the model has no output 'zz'", "did you mean 'z'?")
    assert not target.exists()
    found = run(source, target, *PRUNE, *options, "--scores", "z", "--json")
    assert document_of(found)["metrics"]["agreement"]["samples"] == 20


def test_whole_feeds(run: Run, write: Write, tmp_path: Path) -> None:
    """The leading axis runs over time."""
    source = write(
        """g (float[T, 16] x, float[16, 64] w1, float[64, 8] w2) => (float[T, 8] y) {
            a = MatMul(x, w1)
            b = Relu(a)
            y = MatMul(b, w2)
        }"""
    )
    series = np.random.default_rng(1).standard_normal((6, 5, 16)).astype(np.float32)
    np.savez(tmp_path / "series.npz", x=series, label=np.zeros((6, 5), np.int64))
    data = ("--data", tmp_path / "series.npz", "--labels", "label")
    target = tmp_path / "out.onnx"
    refused = run(source, target, *PRUNE, *data)
    assert_refused(refused, 2, "does not fit input 'x'", "--batch none")
    document = document_of(run(source, target, *PRUNE, *data, "--batch", "none", "--json"))
    assert document["measured_on"]["samples"] == 6
    assert 0 < document["metrics"]["top1"]["original"] < 1


def test_samples_that_fill_no_batch_are_counted(run: Run, write: Write, vectors: Path) -> None:
    source = write("g (float[8, 16] x, float[16, 8] w1) => (float[8, 8] y) { y = MatMul(x, w1) }")
    result = run("verify", source, source, "--data", vectors)
    assert "fidelity, on 16 samples" in result.stdout
    assert "Left over, too few for a batch: 4 samples." in result.stdout
    document = document_of(run("verify", source, source, "--data", vectors, "--json"))
    assert document["measured_on"]["dropped"] == 4


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--labels", "label"),
        ("--samples", "10"),
        ("--batch", "none"),
        ("--metric", "agreement"),
        ("--scores", "logits"),
    ],
)
def test_options_that_need_data(run: Run, tmp_path: Path, option: str, value: str) -> None:
    nothing = tmp_path / "none.onnx"
    for command in (
        (nothing, tmp_path / "out.onnx", *PRUNE),
        ("apply", tmp_path / "plan.json", nothing, tmp_path / "out.onnx"),
        ("verify", nothing, nothing),
    ):
        result = run(*command, option, value)
        assert_refused(result, 2, f"{option} is of use only with --data", "--data samples.npz")


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        (("--samples", "0"), "'0' is neither a number from 1 on nor all", ""),
        (("--batch", "all"), "'all' is neither a number from 1 on nor none", ""),
        (("--metric", "top1"), "metric 'top1' needs labels", "--labels"),
        (("--metric", "top2"), "there is no metric 'top2'", "did you mean 'top5'?"),
        (("--metric", "nowhere:at_all"), "there is no module 'nowhere'", "install it"),
        (("--metric", "MODULE:brokn"), "has no 'brokn'", "did you mean 'broken'?"),
        (("--metric", "MODULE:broken"), "broken failed", "ValueError: out of order"),
        (("--scores", "logits"), "--scores is of use only with --metric", "--metric agreement"),
        (("--labels", "lable"), "no array for the labels 'lable'", "did you mean 'label'?"),
        (("--labels", "image"), "the array does not fit input 'image'", "hint"),
        (("--data", "none.npz"), "there is no such data", "module:function"),
        (("--data", "MODULE:brokn"), "has no 'brokn'", "did you mean 'broken'?"),
    ],
)
def test_what_is_wrong_is_said_before_the_work(
    run: Run,
    cnn: Path,
    tmp_path: Path,
    module: str,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, str],
    message: str,
    hint: str,
) -> None:
    def work(*arguments: object, **named: object) -> None:
        raise AssertionError("the work has begun")

    monkeypatch.setattr(Pipeline, "run", work)
    given = [part.replace("MODULE", module) for part in options]
    result = run(cnn, tmp_path / "out.onnx", *PRUNE, "--data", DIGITS, *given)
    assert_refused(result, 2, message, hint)


def test_data_for_another_model(run: Run, mlp: Path, cnn: Path, vectors: Path) -> None:
    result = run("verify", mlp, mlp, "--data", DIGITS)
    assert_refused(result, 2, "the data has no array for input 'x'", "(--labels)")
    result = run("verify", cnn, cnn, "--data", vectors, "--labels", "label")
    assert_refused(result, 2, "the array does not fit input 'image'", "preprocess it")


def test_a_model_that_does_not_run(run: Run, write: Write, vectors: Path, tmp_path: Path) -> None:
    source = write("g (float[N, 16] x) => (float[N, 16] y) { y = acme.Twist(x) }")
    result = run(source, tmp_path / "out.onnx", *PRUNE, "--no-verify", "--data", vectors)
    assert (result.exit_code, "ONNX Runtime cannot load the model" in result.stderr) == (3, True)


def test_what_breaks_later_costs_no_model(run: Run, cnn: Path, tmp_path: Path, module: str) -> None:
    target = tmp_path / "out.onnx"
    options = ("--data", DIGITS, "--metric", f"{module}:tiring", "--json")
    result = run(cnn, target, *PRUNE, *options)
    document = json.loads(result.stdout)
    assert (result.exit_code, document["status"]) == (2, "failed")
    assert "ValueError: tired" in document["error"]["why"]
    assert f"{target} is written" in document["error"]["hint"]
    assert document["equivalence"]["passed"] is True
    assert run("verify", cnn, target, *LABELLED).exit_code == 0


def test_a_model_that_collapsed_is_told(run: Run, mlp: Path, write: Write, vectors: Path) -> None:
    empty = write(
        """g (float[N, 16] x, float[16, 8] w1) => (float[N, 8] y) <float nan = {0}> {
            a = MatMul(x, w1)
            b = Div(a, nan)
            y = Sub(b, b)
        }""",
        name="empty.onnx",
    )
    result = run("verify", mlp, empty, "--data", vectors, "--labels", "label")
    assert result.exit_code == 0, result.stderr
    assert "160 values are not finite any more: y" in result.stdout
    document = document_of(run("verify", mlp, empty, "--data", vectors, "--json"))
    assert document["fidelity"]["y"]["cosine"] == document["fidelity"]["y"]["top1"] == 0
    assert document["fidelity"]["y"]["non_finite"] == 160
