"""Masks agree with those of PyTorch: as it made them once, and as it makes them where it is there.

`tools/make_masks.py` wrote the former; see `fixtures/README.md`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import onnxprune as op
from onnxprune.passes import Sparsify
from tests.conftest import FIXTURES
from tests.texts import model_of

Array = npt.NDArray[Any]
FILE = FIXTURES / "torch_masks.npz"
OPERATORS = {
    "conv": ("float[n,16,5,5]", "float[n,24,3,3]", "Conv"),
    "groups": ("float[n,16,5,5]", "float[n,16,3,3]", "Conv<group=4>"),
    "transposed": ("float[n,12,5,5]", "float[n,8,7,7]", "ConvTranspose"),
    "line": ("float[n,8,9]", "float[n,12,5]", "Conv"),
    "linear": ("float[n,48]", "float[n,32]", "Gemm<transB=1>"),
}
"""What each layer is in ONNX: its input, its output, its operator."""
SHAPES = {
    "conv": (24, 16, 3, 3),
    "groups": (16, 4, 3, 3),
    "transposed": (12, 8, 3, 3),
    "line": (12, 8, 5),
    "linear": (32, 48),
}
with np.load(FILE) as stored:
    STORED: dict[str, Array] = dict(stored)


def weights(shapes: Mapping[str, tuple[int, ...]], first: int = 0) -> dict[str, Array]:
    """As the tool makes them."""
    return {
        name: (np.random.RandomState(first + place).standard_normal(shape) * 2**place).astype(
            np.float32
        )
        for place, (name, shape) in enumerate(shapes.items())
    }


def masks(arrays: Mapping[str, Array], **options: Any) -> dict[str, Array]:
    """Where our pass puts zeros, in a network of these layers side by side."""
    inputs = ", ".join(f"{OPERATORS[name][0]} x_{name}" for name in arrays)
    outputs = ", ".join(f"{OPERATORS[name][1]} y_{name}" for name in arrays)
    nodes = " ".join(f"y_{n} = {OPERATORS[n][2]}(x_{n}, {n})" for n in arrays)
    model = model_of(f"g ({inputs}) => ({outputs}) {{ {nodes} }}", arrays)
    result = op.Pipeline([Sparsify(**options)]).run(model)
    assert result.verify().passed
    return {name: result.model.constants[name].numpy() == 0 for name in arrays}


def options_of(case: str) -> dict[str, Any]:
    scope, _, amount = case.partition("/")
    return {"scope": scope, "sparsity": float(amount)} if amount else {"pattern": scope}


def test_there_are_masks() -> None:
    kinds = Counter(case.partition("/")[0] for case in STORED)
    assert kinds == {"uniform": 4, "global": 4, "2:4": 1, "4:8": 1, "1:4": 1}


@pytest.mark.parametrize("case", sorted(STORED))
def test_masks_that_torch_made(case: str) -> None:
    arrays = weights(SHAPES)
    if ":" in case:
        arrays = {"linear": arrays["linear"]}
    found = masks(arrays, **options_of(case))
    flat = np.concatenate([found[name].reshape(-1) for name in arrays])
    expected = np.unpackbits(STORED[case], count=flat.size)
    assert 0 < expected.sum() < flat.size
    assert (flat == expected).all()


@pytest.mark.parametrize("amount", [0.1, 0.25, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("seed", [10, 20, 30])
def test_masks_that_torch_makes(amount: float, seed: int) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
    prune = pytest.importorskip("torch.nn.utils.prune")
    arrays = weights(SHAPES, seed)

    def modules() -> dict[str, Any]:
        made = {name: torch.nn.Module() for name in arrays}
        for name, module in made.items():
            module.weight = torch.nn.Parameter(torch.from_numpy(arrays[name]))
        return made

    alone, together = modules(), modules()
    for module in alone.values():
        prune.l1_unstructured(module, "weight", amount)
    pairs = [(module, "weight") for module in together.values()]
    prune.global_unstructured(pairs, prune.L1Unstructured, amount=amount)
    for scope, made in (("uniform", alone), ("global", together)):
        found = masks(arrays, sparsity=amount, scope=scope)
        for name, module in made.items():
            assert (found[name] == (module.weight_mask.numpy() == 0)).all(), (scope, name)
