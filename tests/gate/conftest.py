"""A released model: the original, a candidate with its plan, data, and a policy file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import onnxprune as op
from tests.conftest import FIXTURES

POLICY = """
schema = 1
original = "in.onnx"
candidate = "out.onnx"

[equivalence]
plan = "plan.json"
"""


def policy_of(folder: Path, text: str) -> Path:
    """The policy of a folder, which names its models and asks for this."""
    path = folder / "policy.toml"
    path.write_text('original = "in.onnx"\ncandidate = "out.onnx"\n' + text)
    return path


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all of it, to be copied."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copy(FIXTURES / "digits_cnn.ts.onnx", folder / "in.onnx")
    shutil.copy(FIXTURES / "digits_test.npz", folder / "test.npz")
    result = op.prune(folder / "in.onnx", 0.3)
    result.model.save(folder / "out.onnx")
    result.plan.save(folder / "plan.json")
    return folder


@pytest.fixture
def release(built: Path, tmp_path: Path) -> Path:
    """A folder of one's own with all of it."""
    folder = tmp_path / "release"
    shutil.copytree(built, folder)
    (folder / "policy.toml").write_text(POLICY)
    return folder
