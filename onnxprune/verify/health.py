"""Does an execution provider work here? Each runs a tiny model, and numpy has the right answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxprune.errors import OnnxPruneError, ProviderUnavailableError
from onnxprune.ir.tiny import one_layer
from onnxprune.progress import track
from onnxprune.runtime import Session, available_providers, in_fresh_process, parse_provider
from onnxprune.runtime.binding import load_onnxruntime
from onnxprune.runtime.inventory import Inventory, take_inventory
from onnxprune.runtime.providers import CPU, advice, require_installed

WELL_KNOWN = ("cpu", "cuda", "tensorrt", "openvino")
"""Providers that are told of even where ONNX Runtime was built without them."""
TOLERANCE = 0.02
"""Largest deviation, as a share of the largest value: GPUs may compute in TF32 or float16."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Check:
    """Whether a provider works.

    Attributes:
        provider: its full name.
        available: whether ONNX Runtime was built with it.
        operators: number of nodes of the tiny model by provider and operator type.
        deviation: largest deviation from numpy as a share of the largest value; None where the
            model did not run.
        error: why it does not work; None if it does.
        missing: what it needs that was not found.
    """

    provider: str
    available: bool = True
    operators: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])
    deviation: float | None = None
    error: OnnxPruneError | None = None
    missing: tuple[str, ...] = ()

    @property
    def works(self) -> bool:
        """Whether it does."""
        return self.error is None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is installed, and which providers work.

    Attributes:
        inventory: what is installed.
        checks: one for each provider of this ONNX Runtime, of those that are well known, and of
            those asked for.
        broken: why ONNX Runtime cannot be used at all; None if it can.
    """

    inventory: Inventory
    checks: list[Check]
    broken: ProviderUnavailableError | None = None

    def require(self, spec: str) -> None:
        """Make sure that a provider works.

        Args:
            spec: one that was examined.

        Raises:
            ProviderUnavailableError: it does not; says why, and what to install.
        """
        name = parse_provider(spec).name
        check = next(check for check in self.checks if check.provider == name)
        if check.error is None:
            return
        error, missing = check.error, ", ".join(check.missing)
        raise ProviderUnavailableError(
            error.message,
            why=f"{error.why}\nnot found: {missing}".strip() if missing else error.why,
            hint=advice(parse_provider(spec)),
        ) from error


def diagnose(spec: str | None = None) -> Diagnosis:
    """Look up what is installed, and try every provider.

    Args:
        spec: a provider to try as well, perhaps with options.

    Raises:
        UsageError: the provider cannot be read.
    """
    inventory = take_inventory()
    specs = {parse_provider(name).name: name for name in WELL_KNOWN}
    available: list[str] = []
    broken: ProviderUnavailableError | None = None
    try:
        available = sorted(available_providers(), key=lambda name: name != CPU)
        specs = {name: name for name in available} | specs
    except ProviderUnavailableError as error:
        broken = error
    if spec is not None:
        specs[parse_provider(spec).name] = spec
    tried = track(specs.values(), "trying providers") if available else ()
    checks = [check_provider(each, inventory) for each in tried]
    return Diagnosis(inventory, checks, broken)


def check_provider(spec: str, inventory: Inventory) -> Check:
    """Run a tiny model on a provider, in a process of its own, and compare with numpy.

    Args:
        spec: the provider.
        inventory: what is installed.

    Raises:
        UsageError: the provider cannot be read.
        ProviderUnavailableError: ONNX Runtime itself cannot be used.
    """
    provider = parse_provider(spec)
    available = provider.name in available_providers()
    rng = np.random.default_rng(0)
    x, weight, bias = (
        rng.standard_normal(shape).astype(np.float32) for shape in ((2, 32), (32, 64), (64,))
    )
    try:
        require_installed(load_onnxruntime(), provider)
        found, operators = in_fresh_process(_run, spec, one_layer(weight, bias).to_bytes(), x)
    except OnnxPruneError as error:
        missing = tuple(inventory.missing(provider))
        return Check(provider.name, available, error=error, missing=missing)
    deviation = _deviation(found, np.maximum(x @ weight + bias, 0))
    if deviation <= TOLERANCE:
        return Check(provider.name, available, operators, deviation)
    wrong = ProviderUnavailableError(
        f"execution provider {provider.name} computes something else than numpy",
        why=f"it deviates by {deviation:.1e} of the largest value",
    )
    return Check(provider.name, available, operators, deviation, wrong)


def _run(spec: str, model: bytes, x: Floats) -> tuple[Floats, dict[str, dict[str, int]]]:
    session = Session(model, provider=spec)
    found: npt.NDArray[Any] = session.run({"x": x})["y"]
    return found, session.operators_by_provider


def _deviation(found: Floats, expected: Floats) -> float:
    """NaN counts as infinitely far."""
    apart = float(np.max(np.abs(found - expected)) / np.max(np.abs(expected)))
    return apart if np.isfinite(apart) else float("inf")
