"""`--report FILE`: which files there are then, and which there must not be."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from onnxprune.reports.provenance import hashes
from tests.cli.conftest import assert_refused
from tests.conftest import Run

QUICK = ("--no-benchmark", "-q")


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_one_record_in_several_formats(run: Run, mlp: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"report.{suffix}" for suffix in ("md", "json", "xml")]
    reports = [part for file in files for part in ("--report", file)]
    arguments = [mlp, tmp_path / "out.onnx", "--channels", "0.5", *QUICK]
    result = run(*arguments, *reports)
    assert (result.exit_code, result.stdout) == (0, ""), result.stderr
    text, record, suite = files[0].read_text(), read(files[1]), ElementTree.parse(files[2])
    assert text.startswith("### onnxprune: pruned, `in.onnx` → `out.onnx`")
    assert record["status"] == "pruned"
    assert record["command"] == ["onnxprune", *(str(part) for part in (*arguments, *reports))]
    assert [layer["node"] for layer in record["layers"]] == ["hidden", "y"]
    assert record["layers"][0]["after"]["outputs"] == 32
    histogram = record["fidelity"]["y"]["histogram"]
    assert len(histogram["edges"]) == len(histogram["counts"]) + 1
    assert sum(histogram["counts"]) > 0
    assert [case.get("name") for case in suite.iter("testcase")] == ["equivalence"]


def test_the_record_is_that_of_json(run: Run, mlp: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    result = run(
        mlp, tmp_path / "out.onnx", "--channels", "0.5", *QUICK, "--json", "--report", report
    )
    assert json.loads(result.stdout) == read(report)


def test_paired_ratios_are_in_the_record(run: Run, mlp: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    assert run(mlp, tmp_path / "out.onnx", "--channels", "0.5", "--report", report).exit_code == 0
    speedup = read(report)["speedup"]
    assert 0 < len(speedup["ratios"]) == min(500, speedup["pairs"])
    assert min(speedup["ratios"]) <= speedup["ratio"] <= max(speedup["ratios"])


def test_a_run_that_fails_is_reported(run: Run, mlp: Path, tmp_path: Path) -> None:
    reports = [tmp_path / "report.md", tmp_path / "report.json", tmp_path / "report.xml"]
    wanted = [part for file in reports for part in ("--report", file)]
    result = run(mlp, tmp_path / "out.onnx", "--channels", "0", "-q", *wanted)
    assert result.exit_code == 3
    assert not (tmp_path / "out.onnx").exists()
    assert read(reports[1])["status"] == "nothing-to-prune"
    assert read(reports[1])["error"]["message"] in result.stderr
    assert reports[0].read_text().startswith("### onnxprune: nothing to prune")
    assert len(list(ElementTree.parse(reports[2]).iter("error"))) == 1


COMMANDS = {
    "prune": ("in.onnx", "out.onnx", "--channels", "0.5"),
    "apply": ("plan.json", "in.onnx", "out.onnx"),
    "verify": ("in.onnx", "out.onnx"),
    "benchmark": ("in.onnx", "out.onnx"),
    "sensitivity": ("in.onnx",),
    "gate": ("--policy", "policy.toml", "in.onnx", "out.onnx"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("content", [None, b"no model"])
def test_what_is_missing_or_cannot_be_read_is_reported(
    run: Run, tmp_path: Path, command: str, content: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all that is known then: the files, the versions, the machine."""
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("in.onnx").write_bytes(content)
        Path("plan.json").write_text('{"schema": 1, "initializers": {}}')
    reports = ("--report", "report.json", "--report", "report.html", "--report", "report.md")
    result = run(command, *COMMANDS[command], *reports)
    record = read(Path("report.json"))
    assert result.exit_code == record["error"]["exit_code"] != 0
    assert record["error"]["message"] in result.stderr
    known = record["provenance"]
    digest = None if content is None else sha256(content).hexdigest()
    assert known["inputs"]["original"] == {"path": "in.onnx", "sha256": digest}
    assert known["versions"]["onnxprune"]
    assert known["machine"]["cpu"]
    for page in ("report.html", "report.md"):
        assert "in.onnx" in Path(page).read_text()


def test_a_run_that_fails_later_keeps_what_it_had_found(
    run: Run, mlp: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    data = tmp_path / "none.npz"
    result = run(
        mlp, tmp_path / "out.onnx", "--channels", "0.5", "--data", data, "--report", report
    )
    assert result.exit_code == 2
    known = read(report)["provenance"]
    assert known["inputs"] == {
        "original": {"path": str(mlp), "sha256": sha256(mlp.read_bytes()).hexdigest()},
        "data": {"path": str(data), "sha256": None},
    }
    assert known["settings"] == {"seed": 0, "provider": "cpu", "threads": 1}


def test_a_command_line_that_cannot_be_read_reports_nothing(
    run: Run, mlp: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    result = run(mlp, tmp_path / "out.onnx", "--report", report, "--chanels", "0.5")
    assert result.exit_code == 2
    assert not report.exists()


@pytest.mark.parametrize("command", [("prune", "--channels", "0.5"), ("sensitivity",)])
def test_what_is_only_told_on_the_way_is_in_the_record(
    run: Run, mlp: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Such as a pattern that fits nothing; the terminal shows it once."""
    name, *options = command
    target = [tmp_path / "out.onnx"] if name == "prune" else []
    report = tmp_path / "report.md"
    arguments = [name, mlp, *target, *options, "--ignore", "hiden", "--report", report]
    result = run(*arguments)
    note = "--ignore 'hiden' fits nothing in the model"
    assert result.exit_code == 0, result.stderr
    assert (result.stdout + result.stderr).count(note) == 1
    assert "'hiden' fits nothing in the model" in report.read_text()
    document = run(*arguments, "--json", "-q")
    assert any(said.startswith(note) for said in json.loads(document.stdout)["notes"])


def test_verify_and_apply_report_as_well(run: Run, mlp: Path, tmp_path: Path) -> None:
    out, plan, report = tmp_path / "out.onnx", tmp_path / "plan.json", tmp_path / "report.json"
    assert run(mlp, out, "--channels", "0.5", *QUICK, "--plan", plan).exit_code == 0
    assert run("verify", mlp, out, "--plan", plan, "--report", report).exit_code == 0
    assert read(report)["equivalence"]["verdict"] == "passed"
    again = run("apply", plan, mlp, tmp_path / "again.onnx", *QUICK, "--report", report)
    assert again.exit_code == 0, again.stderr
    assert read(report)["pruned"]["parameters"] < read(report)["original"]["parameters"]


def test_sensitivity_reports_its_groups(run: Run, mlp: Path, tmp_path: Path) -> None:
    reports = [tmp_path / "report.json", tmp_path / "report.md"]
    wanted = [part for file in reports for part in ("--report", file)]
    result = run("sensitivity", mlp, "--ratios", "0.5", "--jobs", "1", "-q", *wanted)
    assert result.exit_code == 0, result.stderr
    found = read(reports[0])["sensitivity"]
    (group,) = found["groups"]
    assert (group["size"], group["cuts"][0]["removed"]) == (64, 32)
    assert f"| `{group['name']}` | 64 |" in reports[1].read_text()


def test_a_format_that_there_is_not(run: Run, mlp: Path, tmp_path: Path) -> None:
    result = run(mlp, tmp_path / "out.onnx", "--channels", "0.5", "--report", tmp_path / "r.pdf")
    assert result.exit_code == 2
    assert "'r.pdf' ends with none of .html, .md, .json, .xml" in " ".join(result.stderr.split())


@pytest.mark.parametrize("other", ["in.onnx", "out.onnx", "plan.json", "report.md"])
def test_a_report_replaces_nothing(
    run: Run, mlp: Path, tmp_path: Path, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.json").symlink_to(other)
    reports = ("--report", "report.md", "--report", "link.json")
    before = mlp.read_bytes()
    result = run("in.onnx", "out.onnx", "--channels", "0.5", "--plan", "plan.json", *reports)
    assert result.exit_code == 2
    assert "the report would replace another file of this run" in result.stderr
    assert mlp.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.onnx", "link.json"]


def test_a_folder_that_is_missing_is_told_at_once(run: Run, mlp: Path, tmp_path: Path) -> None:
    report = tmp_path / "none" / "report.md"
    result = run(mlp, tmp_path / "out.onnx", "--channels", "0.5", "--report", report)
    assert_refused(result, 7, "the folder to write to does not exist")
    assert not (tmp_path / "out.onnx").exists()


def test_a_report_that_cannot_be_written_leaves_the_others(
    run: Run, mlp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the folder of one goes away during the work."""
    gone = tmp_path / "gone"
    gone.mkdir()

    def removing(*args: Any, **options: Any) -> Any:
        gone.rmdir()
        return hashes(*args, **options)

    monkeypatch.setattr("onnxprune.cli.delivery.hashes", removing)
    reports = ("--report", gone / "a.md", "--report", tmp_path / "b.md")
    result = run(mlp, tmp_path / "out.onnx", "--channels", "0.5", *QUICK, *reports)
    assert result.exit_code == 7
    assert (tmp_path / "b.md").read_text().startswith("### onnxprune: pruned")
    assert (tmp_path / "out.onnx").exists()
