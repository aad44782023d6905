"""Fine-tuning in PyTorch with the plan: export, prune, slice the module, train it, write it back.

Run it with PyTorch at hand as `python tools/examples/finetune.py [FOLDER]`; it writes
`network.onnx` and `tuned.onnx` into FOLDER, by default the current one.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import torch

import onnxprune as op

DIGITS = Path(__file__).resolve().parents[2] / "fixtures/digits_test.npz"
STEPS = 60


def network() -> torch.nn.Sequential:
    """A small convolutional network."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 16, 3, padding=1),
        torch.nn.BatchNorm2d(16),
        torch.nn.ReLU(),
        torch.nn.Conv2d(16, 32, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(32, 10),
    )


def train(module: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Trains for a while and returns the last loss."""
    optimizer = torch.optim.AdamW(module.parameters(), 1e-2)
    module.train()
    loss = torch.zeros(())
    for _ in range(STEPS):
        loss = torch.nn.functional.cross_entropy(module(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    module.eval()
    return float(loss.detach())


def export(module: torch.nn.Module, image: torch.Tensor, path: Path) -> None:
    """Exports with the names of the weights, so that the plan can be matched with the module."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter is the one that keeps names
        torch.onnx.export(
            module,
            (image,),
            str(path),
            dynamo=False,
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
            training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False,
        )


def take(module: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Gives a module other weights, whatever their shapes."""
    for name, part in module.named_modules():
        for key, _ in list(part.named_parameters(recurse=False)):
            setattr(part, key, torch.nn.Parameter(weights[f"{name}.{key}"]))
        for key, buffer in list(part.named_buffers(recurse=False)):
            if buffer.ndim:
                part.register_buffer(key, weights[f"{name}.{key}"])


def main(folder: Path) -> None:
    """Trains, prunes, trains on, and writes the result."""
    torch.manual_seed(0)
    with np.load(DIGITS) as data:
        images, labels = torch.from_numpy(data["image"]), torch.from_numpy(data["label"])
    module = network()
    print(f"trained: loss {train(module, images, labels):.3f}")
    export(module, images[:2], folder / "network.onnx")

    model = op.load(folder / "network.onnx")
    result = op.prune(model, 0.5, data=op.open_data(str(DIGITS), model))
    result.verify()
    weights = result.plan.apply_to_state_dict(module.state_dict())
    for name in weights.keys() & result.plan.repaired.keys():
        weights[name] = torch.from_numpy(result.model.constants[name].numpy().copy())
    take(module, weights)
    print(f"pruned to {result.model.parameters:,} of {model.parameters:,} parameters")
    print(f"trained on: loss {train(module, images, labels):.3f}")

    tuned = op.import_weights(result.model, module.state_dict())
    tuned.model.save(folder / "tuned.onnx")
    print(f"written: {len(tuned.written)} weights")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
