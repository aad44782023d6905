"""Trains and exports the three networks under `fixtures/`, with the data of two of them.

Use, from the root of the repository:

    pip install torch onnx onnxscript scikit-learn
    python tools/make_fixtures.py [--out fixtures] [--fashion FOLDER]

The script trains a convolutional network (`digits_cnn`) and a small vision transformer
(`digits_vit`) on scikit-learn's digits, 1,797 grey images of 8x8 pixels, and writes

* `NAME.ts.onnx`, from PyTorch's TorchScript exporter (`dynamo=False`, opset 17);
* `NAME.dyn.onnx`, from PyTorch's default exporter (`dynamo=True`, opset 20, its default);
* `digits_cnn.raw.onnx`, from the TorchScript exporter with nothing folded, so that every
  BatchNormalization is still there in inference mode;
* `digits_test.npz`, the held-out images and labels, and `digits_calibration.npz`, a part of the
  training images.

Every graph takes `image`, float32 `[batch, 1, 8, 8]` in [0, 1], and gives `logits`, float32
`[batch, 10]`, for any `batch`. Each is compared with PyTorch, on two batch sizes, by onnx's
reference evaluator before the script ends.

With `--fashion` it trains a residual network on Fashion-MNIST instead, from the files
`fashion_train.npz` and `fashion_t10k.npz` in FOLDER (arrays `x` uint8 `[n, 28, 28]`, `y`), and
writes `fashion_resnet.onnx`: TorchScript exporter, nothing folded, input `x` uint8
`[batch, 28, 28]`, so that the files of the data set are its data as they are.

PyTorch is a dependency of this script and of nothing else in the repository. Everything is seeded
and runs on one thread: the same versions on the same kind of processor give the same weights.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from exported import DYNAMO_OPSET, TORCHSCRIPT_OPSET, strip_stack_traces
from fixture_networks import DigitsCnn, DigitsVit, FashionResnet
from onnx.reference import ReferenceEvaluator
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional

SEED = 17
NUM_TEST = 540
NUM_CALIBRATION = 256
BATCH_SIZE = 64
TEST_BATCH_SIZE = 1000
LABEL_SMOOTHING = 0.05
WARMUP_RATIO = 0.1
MAX_BYTES_A_PARAMETER = 5
ABSOLUTE_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Images:
    """A data set, split once.

    Attributes:
        train_image: float32 `[T, 1, 8, 8]` in [0, 1], or uint8 `[T, 28, 28]`.
        train_label: int64 `[T]`.
        test_image: as `train_image`, `[E, ...]`, never trained on.
        test_label: int64 `[E]`.
    """

    train_image: Tensor
    train_label: Tensor
    test_image: Tensor
    test_label: Tensor


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one network is trained.

    Attributes:
        build: makes the untrained network.
        epochs: passes over the training images.
        learning_rate: the highest of the schedule.
        weight_decay: of AdamW, on every parameter of two or more axes.
        vary: makes other images of a batch of them, of the same shape and type.
        bfloat16: whether convolutions and products run in that type while training.
    """

    build: Callable[[], nn.Module]
    epochs: int
    learning_rate: float
    weight_decay: float
    vary: Callable[[Tensor], Tensor]
    bfloat16: bool = False


def load_digits_split() -> Images:
    """Loads the digits and splits them, each class in the same proportion."""
    digits = load_digits()
    image = (digits.images[:, None] / 16).astype(np.float32)
    label = digits.target.astype(np.int64)
    train_image, test_image, train_label, test_label = train_test_split(
        image, label, test_size=NUM_TEST, random_state=SEED, stratify=label
    )
    return Images(*map(torch.from_numpy, (train_image, train_label, test_image, test_label)))


def load_fashion(folder: Path) -> Images:
    """Loads Fashion-MNIST, split as it comes."""
    parts: list[Tensor] = []
    for name in ("fashion_train.npz", "fashion_t10k.npz"):
        with np.load(folder / name) as arrays:
            parts += [torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["y"].astype(np.int64))]
    return Images(*parts)


def write_digits(images: Images, out: Path) -> None:
    """Writes the held-out images with their labels, and the calibration data."""
    test = {"image": images.test_image.numpy(), "label": images.test_label.numpy()}
    np.savez_compressed(out / "digits_test.npz", **test)
    calibration = images.train_image[:NUM_CALIBRATION].numpy()
    np.savez_compressed(out / "digits_calibration.npz", image=calibration)


def shift(image: Tensor, most: int = 1) -> Tensor:
    """Moves each image of `[N, ..., S, S]` by up to `most` pixels both ways, filled with 0."""
    padded = functional.pad(image, (most,) * 4)
    count, size = image.shape[0], image.shape[-1]
    rows = torch.randint(0, 2 * most + 1, (count, 1)) + torch.arange(size)
    columns = torch.randint(0, 2 * most + 1, (count, 1)) + torch.arange(size)
    index = torch.arange(count)[:, None, None]
    flat = padded.reshape(count, *padded.shape[-2:])
    return flat[index, rows[:, :, None], columns[:, None, :]].reshape(image.shape)


def shift_and_mirror(image: Tensor) -> Tensor:
    """Moves by up to two pixels, and mirrors half of the images."""
    moved = shift(image, 2)
    mirrored = torch.rand(image.shape[0]) < 0.5
    moved[mirrored] = moved[mirrored].flip(-1)
    return moved


RECIPES = {
    "digits_cnn": Recipe(DigitsCnn, epochs=40, learning_rate=3e-3, weight_decay=0.05, vary=shift),
    "digits_vit": Recipe(
        DigitsVit, epochs=240, learning_rate=1.5e-3, weight_decay=0.05, vary=shift
    ),
    "fashion_resnet": Recipe(
        FashionResnet,
        epochs=15,
        learning_rate=3e-3,
        weight_decay=0.05,
        vary=shift_and_mirror,
        bfloat16=True,
    ),
}


def make_optimizer(
    network: nn.Module, recipe: Recipe, steps: int
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.OneCycleLR]:
    """Makes AdamW and its schedule: a linear rise, then a cosine down to nothing."""
    matrices = [p for p in network.parameters() if p.ndim >= 2]
    vectors = [p for p in network.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}],
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=steps, pct_start=WARMUP_RATIO
    )
    return optimizer, schedule


def train(recipe: Recipe, images: Images) -> nn.Module:
    """Trains one network from scratch and returns it after the last step, in inference mode."""
    torch.manual_seed(SEED)
    network = recipe.build()
    count = images.train_label.shape[0]
    steps_per_epoch = count // BATCH_SIZE
    optimizer, schedule = make_optimizer(network, recipe, recipe.epochs * steps_per_epoch)
    network.train()
    for _ in range(recipe.epochs):
        order = torch.randperm(count)[: steps_per_epoch * BATCH_SIZE]
        for batch in order.split(BATCH_SIZE):
            with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
                logits = network(recipe.vary(images.train_image[batch]))
            loss = functional.cross_entropy(
                logits.float(), images.train_label[batch], label_smoothing=LABEL_SMOOTHING
            )
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
    return network.eval()


def measure_accuracy(network: nn.Module, images: Images) -> float:
    """Returns the part of the held-out images that the network names correctly."""
    with torch.inference_mode():
        parts = [network(part).argmax(dim=1) for part in images.test_image.split(TEST_BATCH_SIZE)]
    return float((torch.cat(parts) == images.test_label).double().mean())


def export_torchscript(
    network: nn.Module, example: Tensor, name: str, path: Path, *, fold: bool
) -> None:
    """Exports by tracing.

    Args:
        network: in inference mode.
        example: images that it takes.
        name: the name of the graph's input.
        path: the file to write.
        fold: whether the exporter folds constants and merges BatchNormalization into Conv.
    """
    mode = torch.onnx.TrainingMode.EVAL if fold else torch.onnx.TrainingMode.PRESERVE
    torch.onnx.export(
        network,
        (example,),
        str(path),
        dynamo=False,
        opset_version=TORCHSCRIPT_OPSET,
        training=mode,
        do_constant_folding=fold,
        input_names=[name],
        output_names=["logits"],
        dynamic_axes={name: {0: "batch"}, "logits": {0: "batch"}},
    )


def export_dynamo(network: nn.Module, path: Path) -> None:
    """Exports with PyTorch's default exporter, weights in the file, without source paths."""
    torch.onnx.export(
        network,
        (torch.zeros(2, 1, 8, 8),),
        str(path),
        dynamo=True,
        opset_version=DYNAMO_OPSET,
        external_data=False,
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
        verbose=False,
    )
    strip_stack_traces(path)


def check(path: Path, name: str, network: nn.Module, images: Images) -> None:
    """Checks a file against the network it came from.

    Args:
        path: the exported file.
        name: the name of its input.
        network: the network, in inference mode.
        images: whose first held-out images are run, one alone and seven together.

    Raises:
        onnx.checker.ValidationError: the graph is not valid ONNX.
        ValueError: the file is too large, or its logits differ from the network's.
    """
    most = MAX_BYTES_A_PARAMETER * sum(p.numel() for p in network.parameters())
    if path.stat().st_size >= most:
        raise ValueError(f"{path} has {path.stat().st_size} bytes, {most} are too many")
    onnx.checker.check_model(path, full_check=True)
    evaluator = ReferenceEvaluator(str(path))
    for batch in (1, 7):
        image = images.test_image[:batch]
        with torch.inference_mode():
            expected = network(image).numpy()
        actual: npt.NDArray[np.float32] = evaluator.run(None, {name: image.numpy()})[0]
        if not np.allclose(actual, expected, rtol=0, atol=ABSOLUTE_TOLERANCE):
            error = np.abs(actual - expected).max()
            raise ValueError(f"{path}: logits differ by up to {error} at batch {batch}")


def trained(name: str, images: Images) -> nn.Module:
    """Trains one network and prints what came of it."""
    network = train(RECIPES[name], images)
    parameters = sum(p.numel() for p in network.parameters())
    accuracy = measure_accuracy(network, images)
    print(f"{name}: {parameters} parameters, held-out accuracy {accuracy:.4%}", flush=True)
    return network


def write_digits_networks(images: Images, out: Path) -> None:
    """Trains both networks for digits and writes their graphs."""
    example = torch.zeros(2, 1, 8, 8)
    for name in ("digits_cnn", "digits_vit"):
        network = trained(name, images)
        paths = [out / f"{name}.ts.onnx", out / f"{name}.dyn.onnx"]
        export_torchscript(network, example, "image", paths[0], fold=True)
        export_dynamo(network, paths[1])
        if name == "digits_cnn":
            paths.append(out / f"{name}.raw.onnx")
            export_torchscript(network, example, "image", paths[-1], fold=False)
        for path in paths:
            check(path, "image", network, images)


def write_fashion_network(images: Images, out: Path) -> None:
    """Trains the network for Fashion-MNIST and writes its graph."""
    network = trained("fashion_resnet", images)
    path = out / "fashion_resnet.onnx"
    export_torchscript(network, images.test_image[:2], "x", path, fold=False)
    check(path, "x", network, images)


def main() -> None:
    """Reads the command line and writes fixtures."""
    parser = argparse.ArgumentParser(description="Train and export the fixtures.")
    default_out = Path(__file__).resolve().parent.parent / "fixtures"
    parser.add_argument("--out", type=Path, default=default_out, help="folder to write to")
    parser.add_argument("--fashion", type=Path, help="folder of Fashion-MNIST; train on that only")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.fashion is not None:
        write_fashion_network(load_fashion(options.fashion), options.out)
        return
    images = load_digits_split()
    write_digits(images, options.out)
    write_digits_networks(images, options.out)


if __name__ == "__main__":
    main()
