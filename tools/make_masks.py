"""Writes the masks that PyTorch's pruning makes of some weights, for tests to agree with.

Use, from the root of the repository:

    pip install torch numpy
    python tools/make_masks.py [--out fixtures]

It writes `torch_masks.npz`. For each way of pruning it holds a bit for each element, true where the
weight becomes zero, of all layers of `LAYERS` one behind the other, packed by `numpy.packbits`:

* `uniform/AMOUNT`: `torch.nn.utils.prune.l1_unstructured`, each layer by itself;
* `global/AMOUNT`: `torch.nn.utils.prune.global_unstructured` by `L1Unstructured`;
* `N:M`: `torch.ao.pruning.WeightNormSparsifier` in blocks of 1 x M, of the linear layer alone.

Weights are ``RandomState(seed).standard_normal(shape)`` in float32, times 2 for every layer more,
with the layer's place as its seed: numpy promises that this stream stays what it is.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.ao.pruning import WeightNormSparsifier
from torch.nn.utils import prune

LAYERS = {
    "conv": lambda: nn.Conv2d(16, 24, 3),
    "groups": lambda: nn.Conv2d(16, 16, 3, groups=4),
    "transposed": lambda: nn.ConvTranspose2d(12, 8, 3),
    "line": lambda: nn.Conv1d(8, 12, 5),
    "linear": lambda: nn.Linear(48, 32),
}
AMOUNTS = (0.1, 0.35, 0.5, 0.9)
PATTERNS = ((2, 4), (4, 8), (1, 4))

Masks = Mapping[str, npt.NDArray[np.bool_]]


def layers() -> dict[str, nn.Module]:
    """Fresh layers with the weights that tests make anew."""
    made = {name: make() for name, make in LAYERS.items()}
    for seed, layer in enumerate(made.values()):
        weight = np.random.RandomState(seed).standard_normal(tuple(layer.weight.shape)) * 2**seed
        layer.weight.data = torch.from_numpy(weight.astype(np.float32))
    return made


def uniform(amount: float) -> Masks:
    """Each layer by itself."""
    made = layers()
    for layer in made.values():
        prune.l1_unstructured(layer, "weight", amount)
    return {name: layer.weight_mask.numpy() == 0 for name, layer in made.items()}


def ranked(amount: float) -> Masks:
    """All layers together."""
    made = layers()
    weights = [(layer, "weight") for layer in made.values()]
    prune.global_unstructured(weights, prune.L1Unstructured, amount=amount)
    return {name: layer.weight_mask.numpy() == 0 for name, layer in made.items()}


def patterned(stay: int, of: int) -> Masks:
    """Linear layers, N of each M."""
    made = {name: layer for name, layer in layers().items() if isinstance(layer, nn.Linear)}
    network = nn.ModuleDict(made)
    sparsifier = WeightNormSparsifier(1.0, (1, of), of - stay)
    sparsifier.prepare(network, [{"tensor_fqn": f"{name}.weight"} for name in made])
    sparsifier.step()
    sparsifier.squash_mask()
    return {name: layer.weight.detach().numpy() == 0 for name, layer in network.items()}


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    default_out = Path(__file__).resolve().parent.parent / "fixtures"
    parser.add_argument("--out", type=Path, default=default_out, help="folder to write to")
    out = parser.parse_args().out / "torch_masks.npz"
    found = {f"uniform/{amount}": uniform(amount) for amount in AMOUNTS}
    found |= {f"global/{amount}": ranked(amount) for amount in AMOUNTS}
    found |= {f"{stay}:{of}": patterned(stay, of) for stay, of in PATTERNS}
    flat = {way: [mask.reshape(-1) for mask in masks.values()] for way, masks in found.items()}
    arrays = {way: np.packbits(np.concatenate(masks)) for way, masks in flat.items()}
    np.savez_compressed(out, **arrays)
    print(
        f"{out}: {len(arrays)} arrays, {out.stat().st_size:,} bytes, by torch {torch.__version__}"
    )


if __name__ == "__main__":
    main()
