"""What a report rests on."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from onnxprune.ir.load import load
from onnxprune.reports.provenance import hash_of_files, provenance
from tests.conftest import FIXTURES, Run

FIXTURE = FIXTURES / "digits_cnn.ts.onnx"


def test_models_and_files_are_told_by_their_hashes(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"data")
    found = provenance(
        {"original": load(FIXTURE)}, {"data": tmp_path / "a.npz", "plan": None}, seed=3
    )
    assert found["inputs"] == {
        "original": {
            "path": str(FIXTURE),
            "sha256": sha256(FIXTURE.read_bytes()).hexdigest(),
        },
        "data": {"path": str(tmp_path / "a.npz"), "sha256": sha256(b"data").hexdigest()},
    }
    assert found["settings"] == {"seed": 3}
    assert {"python", "numpy", "onnx"} <= found["versions"].keys()
    assert {"cpu", "onnxruntime"} <= found["machine"].keys()


def test_a_folder_is_told_by_names_and_contents(tmp_path: Path) -> None:
    def hashed(**files: str) -> str | None:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
        return hash_of_files(folder)

    first = hashed(a="1", b="2")
    assert hashed(b="2", a="1") == first
    assert len({first, hashed(a="2", b="1"), hashed(a="1"), hashed(a="1", c="2")}) == 4
    assert hash_of_files(tmp_path / "module:function") is None


@pytest.mark.parametrize(
    "arguments",
    [
        ("prune", FIXTURE, "OUT", "--channels", "0.3", "--no-benchmark"),
        ("verify", FIXTURE, FIXTURE),
        ("benchmark", FIXTURE, FIXTURE, "--budget", "0.1"),
        ("sensitivity", FIXTURE, "--ratios", "0.5", "--jobs", "1"),
    ],
)
def test_every_report_holds_it(run: Run, tmp_path: Path, arguments: tuple[str | Path, ...]) -> None:
    result = run(*(tmp_path / "out.onnx" if a == "OUT" else a for a in arguments), "--json")
    assert result.exit_code in (0, 6), result.stderr
    found = json.loads(result.stdout)["provenance"]
    assert found["inputs"]["original"]["sha256"] == sha256(FIXTURE.read_bytes()).hexdigest()
