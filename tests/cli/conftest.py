"""Small models on disk."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from click.testing import Result

from tests.conftest import FIXTURES
from tests.texts import with_weights

MLP = """mlp (float[N, 16] x, float[16, 64] w1, float[64] wb, float[64, 8] w2) => (float[N, 8] y) {
    hidden = MatMul(x, w1)
    biased = Add(hidden, wb)
    active = Relu(biased)
    y = MatMul(active, w2)
}"""

Write = Callable[..., Path]


def assert_refused(result: Result, code: int, message: str, hint: str = "") -> None:
    """The run ended with this message on stderr, and a hint behind it; stdout is empty."""
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
    assert hint in result.stderr.partition(message)[2]
    assert "Traceback" not in result.stderr


def width(path: Path) -> int:
    """How many hidden channels the small network has."""
    (weight,) = (
        t for t in onnx.ModelProto.FromString(path.read_bytes()).graph.initializer if t.name == "w1"
    )
    return int(weight.dims[1])


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a model from ONNX text and returns its path."""

    def write_model(text: str = MLP, name: str = "in.onnx", external: str | None = None) -> Path:
        path = tmp_path / name
        model = with_weights(text)
        if external is None:
            path.write_bytes(model.SerializeToString())
        else:
            onnx.save_model(
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
