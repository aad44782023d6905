"""`onnxprune sensitivity`."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from tests.cli.conftest import assert_refused
from tests.conftest import Run

ONE = ("--jobs", "1", "--ratios", "0.25,0.5")


def test_a_table_a_document_and_a_plot(run: Run, cnn: Path, tmp_path: Path) -> None:
    data = cnn.with_name("digits_test.npz")
    given = ("sensitivity", cnn, *ONE, "--data", data, "--labels", "label", "--samples", "64")
    shown = run(*given, "--plot", tmp_path / "plot.svg")
    assert shown.exit_code == 0
    assert "64 samples; top1" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    tree = ElementTree.parse(tmp_path / "plot.svg")
    squares = [e for e in tree.iter() if e.get("fill", "").startswith("rgb")]
    document = json.loads(run(*given, "--json").stdout)
    assert document["metrics"] == ["top1"]
    assert len(squares) == sum(len(group["cuts"]) for group in document["groups"])
    losses = [cut["loss"] for group in document["groups"] for cut in group["cuts"]]
    assert min(losses) > 0


def test_processes_of_their_own_give_the_same(run: Run, mlp: Path) -> None:
    documents = [run("sensitivity", mlp, "--jobs", n, "--json").stdout for n in (1, 2)]
    here, there = map(json.loads, documents)
    assert here.pop("command") != there.pop("command")
    assert here == there


def test_without_data_it_says_what_that_means(run: Run, mlp: Path) -> None:
    result = run("sensitivity", mlp, *ONE)
    assert result.exit_code == 0
    assert "random inputs" in result.stderr


def test_bad_input_is_refused(run: Run, mlp: Path, tmp_path: Path) -> None:
    before = mlp.read_bytes()
    empty = tmp_path / "empty.npz"
    np.savez(empty, x=np.ones((0, 16), np.float32))
    for options, code, message in (
        (("--ratios", "much"), 2, "'much' is no fraction; write 0.3 or 30%"),
        (("--ratios", "2"), 2, "a ratio of 2 cuts nothing or all"),
        (("--plot", tmp_path / "no" / "plot.svg"), 7, "the folder to write to does not exist"),
        (("--plot", mlp), 2, "the result would replace the input model"),
        (("--data", empty), 2, "the data holds no samples"),
    ):
        assert_refused(run("sensitivity", mlp, "--jobs", "1", *options), code, message)
    assert mlp.read_bytes() == before
    assert_refused(run("sensitivity", tmp_path / "none.onnx"), 3, "there is no such model file")
