"""The table of latencies: what it measures, how it interpolates, and what is kept on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from onnxprune.axes import DimSpace, Keep
from onnxprune.cost.latency import Grid, LatencyTable
from onnxprune.cost.ledger import Ledger
from onnxprune.cost.measurements import Measurements
from onnxprune.coupling.analysis import Analysis, analyse
from onnxprune.coupling.groups import Group, find_groups
from onnxprune.ir.canonical import canonicalise
from onnxprune.ir.edit import NodeEdit
from onnxprune.ir.measure import simple_feeds
from onnxprune.ir.single import nothing_to_do, single_node
from onnxprune.verify.sessions import session_of
from tests.texts import model_of

TEXT = """g (float[n,8,6,6] x) => (float[n,4,6,6] y) {
    a = Conv(x, w1)  b = Relu(a)  c = Conv<group=16, pads=[1,1,1,1]>(b, w2)  y = Conv(c, w3, b3)
}"""
WEIGHTS = {"w1": (16, 8, 1, 1), "w2": (16, 1, 3, 3), "w3": (4, 16, 1, 1), "b3": (4,)}


def analysed() -> tuple[Analysis, Group]:
    analysis = analyse(canonicalise(model_of(TEXT, WEIGHTS)))
    (group,) = find_groups(analysis)
    return analysis, group


def table(analysis: Analysis, group: Group, known: Measurements) -> LatencyTable:
    steps = {group: list(range(16, 0, -1))}
    return LatencyTable(analysis, steps, provider="cpu", threads=1, known=known)


def keep(count: int, size: int) -> Keep:
    return Keep(np.arange(size) < count)


def test_between_measurements_it_interpolates() -> None:
    space = DimSpace()
    rows, columns = space.dim(8), space.dim(4)
    grid = Grid([rows, columns], [[2, 8], [4]], np.array([[1.0], [4.0]]))
    assert grid.at({}) == 4
    assert grid.at({rows: keep(5, 8)}) == 2.5
    assert grid.at({rows: keep(2, 8), columns: keep(1, 4)}) == 1
    plane = Grid([rows, columns], [[2, 8], [2, 4]], np.array([[1.0, 2.0], [3.0, 8.0]]))
    assert plane.at({rows: keep(5, 8), columns: keep(3, 4)}) == 3.5


def test_every_layer_is_measured_at_some_widths(tmp_path: Path) -> None:
    analysis, group = analysed()
    known = Measurements(tmp_path)
    made = table(analysis, group, known)
    times = [made.time_ms(place, {}) for place in range(len(analysis.placed))]
    assert [time > 0 for time in times] == [True, False, True, True]
    made.whole_is(sum(times) + 1.5)
    assert made.rest_ms == pytest.approx(1.5)
    ledger = Ledger(analysis, [group], table=made)
    assert ledger.totals.latency == pytest.approx(sum(times) + 1.5)
    half = ledger.after({group: 8})
    keeps = {group.leaf: group.first(8)}
    by_node = sum(made.time_ms(place, keeps) for place in range(len(analysis.placed)))
    held = ledger.after({group: 8}).latency - by_node
    assert 0 < held < 1.5
    ledger.set({group: 8})
    assert ledger.totals.latency == pytest.approx(half.latency)


def test_measurements_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    analysis, group = analysed()
    first = table(analysis, group, Measurements(tmp_path))
    (file,) = tmp_path.iterdir()

    def fail(*args: object) -> float:
        raise AssertionError("measured again")

    monkeypatch.setattr("onnxprune.cost.latency.single_node", fail)
    again = table(analysis, group, Measurements(tmp_path))
    assert again.time_ms(0, {}) == first.time_ms(0, {})
    keys = json.loads(file.read_text())
    assert keys
    assert all(key in Measurements(tmp_path) for key in keys)
    file.write_text("{broken")
    assert not any(key in Measurements(tmp_path) for key in keys)


def test_measurements_of_two_runs_are_joined(tmp_path: Path) -> None:
    one, two = Measurements(tmp_path), Measurements(tmp_path)
    one["a"], two["b"] = 1.0, 2.0
    one.save()
    two.save()
    both = Measurements(tmp_path)
    assert (both["a"], both["b"]) == (1.0, 2.0)


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    known = Measurements(tmp_path / "file" / "folder")
    known["a"] = 1.0
    known.save()
    assert known["a"] == 1.0
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_without_caches_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    nowhere = Measurements()
    nowhere["a"] = 1.0
    nowhere.save()
    assert "a" not in Measurements()
    assert not list(tmp_path.iterdir())


def test_one_node_by_itself() -> None:
    """The depthwise convolution at 4 of 16 channels."""
    analysis, _ = analysed()
    shapes = {"b": (1, 4, 6, 6), "w2": (4, 1, 3, 3), "c": (1, 4, 6, 6)}
    types = analysis.canonical.facts.elem_types
    edit = NodeEdit({"group": 4})
    single = single_node(analysis.canonical.model, 2, edit, shapes, types)
    with session_of(single) as session:
        result = session.run(simple_feeds(single, {"b": (1, 4, 6, 6)}, 0))
    assert result["c"].shape == (1, 4, 6, 6)
    with session_of(nothing_to_do()) as session:
        assert session.run({"x": np.ones(1, np.float32)})["y"] == 1


def test_a_quantized_node_by_itself_keeps_its_zero_points_equal() -> None:
    """A convolution refuses channels of its kernel with different zero points."""
    text = """
    g (uint8[1,3,6,6] a) => (uint8[1,16,4,4] y) {
        y = QLinearConv (a, s, z, w, ws, wz, s, z, b)
    }"""
    wide: dict[str, npt.NDArray[Any]] = {
        "s": np.array(0.1, np.float32),
        "z": np.array(7, np.uint8),
        "w": np.ones((16, 3, 3, 3), np.int8),
        "ws": np.ones(16, np.float32),
        "wz": np.full(16, 3, np.int8),
        "b": np.arange(16, dtype=np.int32),
    }
    model = model_of(text, wide)
    shapes = {name: array.shape for name, array in wide.items()}
    shapes |= {"a": (1, 2, 6, 6), "w": (20, 2, 3, 3), "ws": (20,), "wz": (20,), "b": (20,)}
    types = {"a": onnx.TensorProto.UINT8, "y": onnx.TensorProto.UINT8}
    with session_of(single_node(model, 0, NodeEdit(), shapes, types)) as session:
        assert session.run({"a": np.ones((1, 2, 6, 6), np.uint8)})["y"].shape == (1, 20, 4, 4)
