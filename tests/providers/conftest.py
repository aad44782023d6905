"""Each test here runs once on every execution provider of the ONNX Runtime that is installed.

One that does not work here is skipped with its reason. `tools/test --providers` runs them with
OpenVINO; on a machine with CUDA or TensorRT, `pytest -m providers` runs them there.
"""

from functools import cache
from pathlib import Path

import pytest

from onnxprune.runtime import available_providers
from onnxprune.runtime.inventory import take_inventory
from onnxprune.verify.health import Check, check_provider
from tests.texts import with_weights

# Azure's runs nothing but operators that ask a service.
SPECS = [name for name in available_providers() if name != "AzureExecutionProvider"]

MIXED = """<ir_version: 8, opset_import: ["": 17]>
mixed (float[N, 16] x, float[16, 64] w1, float[64, 8] w2) => (float[N, 8] y, float[M] values) {
    hidden = MatMul(x, w1)
    active = Relu(hidden)
    y = MatMul(active, w2)
    values = Unique(y)
}"""


@cache
def checked(spec: str) -> Check:
    """Whether a provider works here."""
    return check_provider(spec, take_inventory())


def require_working(spec: str) -> None:
    """Skips the test where a provider does not work."""
    error = checked(spec).error
    if error is not None:
        pytest.skip(f"{error.message}: {error.why}".replace("\n", "; "))


@pytest.fixture(params=SPECS)
def provider(request: pytest.FixtureRequest) -> str:
    """An execution provider that works here."""
    spec: str = request.param
    require_working(spec)
    return spec


@pytest.fixture
def accelerator(provider: str) -> str:
    """An execution provider that works here, and is not the CPU."""
    if provider == "CPUExecutionProvider":
        pytest.skip("nothing falls back from the CPU")
    return provider


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A model of which accelerators leave a node, Unique, to the CPU."""
    path = tmp_path / "mixed.onnx"
    path.write_bytes(with_weights(MIXED).SerializeToString())
    return path
