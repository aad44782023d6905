"""Providers are tried for real, and what does not work says why."""

import numpy as np
import pytest

from onnxprune.errors import ProviderUnavailableError, UsageError
from onnxprune.runtime import available_providers
from onnxprune.runtime.inventory import Inventory
from onnxprune.verify import health
from onnxprune.verify.health import check_provider, diagnose

NOTHING = Inventory({}, {}, {}, {}, "")


def test_the_cpu_works() -> None:
    check = check_provider("cpu", NOTHING)
    assert (check.provider, check.works) == ("CPUExecutionProvider", True)
    assert check.deviation is not None
    assert check.deviation < 1e-5


def test_a_provider_that_is_not_there_says_what_it_needs() -> None:
    if "CUDAExecutionProvider" in available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    check = check_provider("cuda", NOTHING)
    assert (check.available, check.works) == (False, False)
    assert check.missing == ("NVIDIA driver", "CUDA package", "cuDNN package")


@pytest.mark.parametrize("factor", [1.5, np.nan])
def test_a_provider_that_computes_something_else_does_not_work(
    factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: object) -> tuple[object, dict[str, dict[str, int]]]:
        return np.full((2, 64), factor, np.float32), {}

    monkeypatch.setattr(health, "in_fresh_process", wrong)
    check = check_provider("cpu", NOTHING)
    assert isinstance(check.error, ProviderUnavailableError)
    assert "something else than numpy" in check.error.message


def test_every_provider_is_tried_the_cpu_first() -> None:
    diagnosis = diagnose("SomePluginProvider")
    names = [check.provider for check in diagnosis.checks]
    assert names[0] == "CPUExecutionProvider"
    assert {*available_providers(), "CUDAExecutionProvider", "SomePluginProvider"} <= set(names)
    assert len(names) == len(set(names))
    diagnosis.require("cpu")
    with pytest.raises(ProviderUnavailableError, match="SomePluginProvider") as caught:
        diagnosis.require("SomePluginProvider")
    assert "an ONNX Runtime built with SomePluginProvider" in caught.value.hint


def test_a_provider_that_cannot_be_read_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="'fast' is not KEY=VALUE"):
        diagnose("cuda:fast")
