"""Small models on disk, and the command line in process."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser
import pytest
from click.testing import CliRunner, Result

from onnxprune.cli import cli

FIXTURES = Path(__file__).parents[2] / "fixtures"
HEADER = '<ir_version: 8, opset_import: ["": 17, "acme": 1]>'
MLP = """mlp (float[N, 16] x, float[16, 64] w1, float[64] wb, float[64, 8] w2) => (float[N, 8] y) {
    hidden = MatMul(x, w1)
    biased = Add(hidden, wb)
    active = Relu(biased)
    y = MatMul(active, w2)
}"""

Run = Callable[..., Result]
Write = Callable[..., Path]


def model_of(text: str, seed: int = 0) -> onnx.ModelProto:
    """A model from ONNX text; inputs whose names begin with w become random weights."""
    model = onnx.parser.parse_model(f"{HEADER} {text}")
    rng = np.random.default_rng(seed)
    for info in list(model.graph.input):
        if info.name.startswith("w"):
            shape = [dim.dim_value for dim in info.type.tensor_type.shape.dim]
            data = rng.standard_normal(shape).astype(np.float32)
            model.graph.initializer.append(onnx.numpy_helper.from_array(data, info.name))
            model.graph.input.remove(info)
    return model


@pytest.fixture
def run() -> Run:
    """Runs the command line in this process."""
    return lambda *arguments: CliRunner().invoke(cli, [str(part) for part in arguments])


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a model from ONNX text and returns its path."""

    def write_model(text: str = MLP, name: str = "in.onnx", external: str | None = None) -> Path:
        path = tmp_path / name
        model = model_of(text)
        if external is None:
            path.write_bytes(model.SerializeToString())
        else:
            onnx.save_model(  # pyright: ignore[reportUnknownMemberType] # PathLike[Unknown]
                model, str(path), save_as_external_data=True, location=external, size_threshold=0
            )
        return path

    return write_model


@pytest.fixture
def mlp(write: Write) -> Path:
    """A network with one group of 64 channels."""
    return write()


@pytest.fixture
def cnn() -> Path:
    """A small trained convolutional network."""
    return FIXTURES / "digits_cnn.ts.onnx"
