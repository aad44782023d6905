"""Trains and exports the two networks under `fixtures/`, with their data.

Use, from the root of the repository:

    pip install torch onnx onnxscript scikit-learn
    python tools/make_fixtures.py [--out fixtures]

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
from onnx.reference import ReferenceEvaluator
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional

SEED = 17
NUM_CLASSES = 10
NUM_TEST = 540
NUM_CALIBRATION = 256
BATCH_SIZE = 64
LABEL_SMOOTHING = 0.05
WARMUP_RATIO = 0.1
MAX_SIZE_BYTES = 1_000_000
TORCHSCRIPT_OPSET = 17
DYNAMO_OPSET = 20  # what PyTorch 2.13 takes unless told
ABSOLUTE_TOLERANCE = 1e-4
# What the default exporter notes of the source of each node: absolute paths of this machine.
STACK_TRACE_KEY = "pkg.torch.onnx.stack_trace"


@dataclass(frozen=True, slots=True)
class Digits:
    """The digits, split once.

    Attributes:
        train_image: float32 `[T, 1, 8, 8]` in [0, 1].
        train_label: int64 `[T]`.
        test_image: float32 `[E, 1, 8, 8]` in [0, 1], never trained on.
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
    """

    build: Callable[[], nn.Module]
    epochs: int
    learning_rate: float
    weight_decay: float


class ConvUnit(nn.Sequential):
    """Convolution without bias, batch normalization and, unless told otherwise, ReLU."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        groups: int = 1,
        activate: bool = True,
    ) -> None:
        """Builds the unit; padding keeps the resolution at stride 1."""
        convolution = nn.Conv2d(
            channels_in,
            channels_out,
            kernel,
            stride=stride,
            padding=kernel // 2,
            groups=groups,
            bias=False,
        )
        layers: list[nn.Module] = [convolution, nn.BatchNorm2d(channels_out)]
        if activate:
            layers.append(nn.ReLU())
        super().__init__(*layers)


class SqueezeExcitation(nn.Module):
    """Scales each channel by a gate computed from the means of all channels.

    Source: Hu, Shen, Sun, "Squeeze-and-Excitation Networks", CVPR 2018.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        """Builds the two 1x1 convolutions of the gate."""
        super().__init__()
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.expand = nn.Conv2d(hidden, channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Maps `[N, C, H, W]` to the same shape."""
        mean = functional.adaptive_avg_pool2d(image, 1)
        gate = torch.sigmoid(self.expand(functional.relu(self.reduce(mean))))
        return image * gate


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, an optional gate, and a shortcut, added.

    Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        stride: int = 1,
        gate: nn.Module | None = None,
    ) -> None:
        """Builds the block; the shortcut is a 1x1 convolution where the shape changes."""
        super().__init__()
        self.first = ConvUnit(channels_in, channels_out, stride=stride)
        self.second = ConvUnit(channels_out, channels_out, activate=False)
        self.gate = nn.Identity() if gate is None else gate
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = ConvUnit(channels_in, channels_out, 1, stride=stride, activate=False)

    def forward(self, image: Tensor) -> Tensor:
        """Maps `[N, C, H, W]` to `[N, C', H', W']`."""
        return functional.relu(self.gate(self.second(self.first(image))) + self.shortcut(image))


class ConcatBlock(nn.Module):
    """Three branches of unlike depth, concatenated along the channels.

    Source: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015.
    """

    def __init__(self, channels_in: int, point: int, middle: int, deep: int) -> None:
        """Builds branches that give `point`, `middle` and `deep` channels."""
        super().__init__()
        self.point = ConvUnit(channels_in, point, 1)
        self.middle = ConvUnit(channels_in, middle)
        self.deep = nn.Sequential(ConvUnit(channels_in, deep, 1), ConvUnit(deep, deep))

    def forward(self, image: Tensor) -> Tensor:
        """Maps `[N, C, H, W]` to `[N, point + middle + deep, H, W]`."""
        return torch.cat([self.point(image), self.middle(image), self.deep(image)], dim=1)


class DigitsCnn(nn.Module):
    """Convolutional network with one block of each coupling a pruner has to see."""

    def __init__(self) -> None:
        """Builds the stem, the five blocks and the head."""
        super().__init__()
        self.stem = ConvUnit(1, 32)
        self.residual = ResidualBlock(32, 32)
        self.concat = ConcatBlock(32, point=16, middle=32, deep=16)
        self.gated = ResidualBlock(64, 64, gate=SqueezeExcitation(64, 16))
        self.separable = nn.Sequential(ConvUnit(64, 64, groups=64), ConvUnit(64, 64, 1))
        self.projected = ResidualBlock(64, 64, stride=2)
        self.widen = ConvUnit(64, 96, 1)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(96, NUM_CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        """Maps images `[N, 1, 8, 8]` to logits `[N, 10]`."""
        x = self.concat(self.residual(self.stem(image)))
        x = self.widen(self.projected(self.separable(self.gated(x))))
        x = torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1)
        logits: Tensor = self.head(self.dropout(x))
        return logits


class Attention(nn.Module):
    """Self-attention with one fused projection for query, key and value.

    Source: Vaswani et al., "Attention Is All You Need", NeurIPS 2017.
    """

    def __init__(self, width: int, heads: int) -> None:
        """Builds the projections of `heads` heads of `width / heads` features each."""
        super().__init__()
        self.heads = heads
        self.head_width = width // heads
        self.scale = self.head_width**-0.5
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps `[N, S, W]` to the same shape."""
        batch, length, width = tokens.shape
        qkv = self.qkv(tokens).reshape(batch, length, 3, self.heads, self.head_width)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        weights = ((query * self.scale) @ key.transpose(-2, -1)).softmax(dim=-1)
        mixed = (weights @ value).transpose(1, 2).reshape(batch, length, width)
        projected: Tensor = self.project(mixed)
        return projected


class TransformerBlock(nn.Module):
    """Attention and a two-layer perceptron, each normalized before and added to its input."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        """Builds a block whose perceptron has `hidden` features in the middle."""
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps `[N, S, W]` to the same shape."""
        tokens = tokens + self.dropout(self.attention(self.norm_attention(tokens)))
        return tokens + self.dropout(self.mlp(self.norm_mlp(tokens)))


class DigitsVit(nn.Module):
    """Vision transformer over patches of 2x2 pixels and one class token.

    Source: Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021.
    """

    def __init__(
        self, width: int = 64, depth: int = 4, heads: int = 4, dropout: float = 0.1
    ) -> None:
        """Builds `depth` blocks of `width` features and `heads` heads."""
        super().__init__()
        self.patch = nn.Conv2d(1, width, kernel_size=2, stride=2)
        self.class_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.position = nn.Parameter(torch.randn(1, 17, width) * 0.02)
        blocks = [TransformerBlock(width, heads, 4 * width, dropout) for _ in range(depth)]
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, NUM_CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        """Maps images `[N, 1, 8, 8]` to logits `[N, 10]`."""
        patches = self.patch(image).flatten(2).transpose(1, 2)
        class_token = self.class_token.expand(patches.shape[0], -1, -1)
        tokens = torch.cat([class_token, patches], dim=1) + self.position
        logits: Tensor = self.head(self.norm(self.blocks(tokens))[:, 0])
        return logits


RECIPES = {
    "digits_cnn": Recipe(DigitsCnn, epochs=40, learning_rate=3e-3, weight_decay=0.05),
    "digits_vit": Recipe(DigitsVit, epochs=240, learning_rate=1.5e-3, weight_decay=0.05),
}


def load_split() -> Digits:
    """Loads the digits and splits them, each class in the same proportion."""
    digits = load_digits()
    image = (digits.images[:, None] / 16).astype(np.float32)
    label = digits.target.astype(np.int64)
    train_image, test_image, train_label, test_label = train_test_split(
        image, label, test_size=NUM_TEST, random_state=SEED, stratify=label
    )
    return Digits(*map(torch.from_numpy, (train_image, train_label, test_image, test_label)))


def write_data(digits: Digits, out: Path) -> None:
    """Writes the held-out images with their labels, and the calibration data."""
    test = {"image": digits.test_image.numpy(), "label": digits.test_label.numpy()}
    np.savez_compressed(out / "digits_test.npz", **test)
    calibration = digits.train_image[:NUM_CALIBRATION].numpy()
    np.savez_compressed(out / "digits_calibration.npz", image=calibration)


def shift(image: Tensor) -> Tensor:
    """Moves each image of `[N, 1, 8, 8]` by -1, 0 or 1 pixels along both axes, filling with 0."""
    padded = functional.pad(image, (1, 1, 1, 1))
    count, size = image.shape[0], image.shape[-1]
    rows = torch.randint(0, 3, (count, 1)) + torch.arange(size)
    columns = torch.randint(0, 3, (count, 1)) + torch.arange(size)
    index = torch.arange(count)[:, None, None]
    return padded[index, 0, rows[:, :, None], columns[:, None, :]][:, None]


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


def train(recipe: Recipe, digits: Digits) -> nn.Module:
    """Trains one network from scratch and returns it after the last step, in inference mode."""
    torch.manual_seed(SEED)
    network = recipe.build()
    count = digits.train_label.shape[0]
    steps_per_epoch = count // BATCH_SIZE
    optimizer, schedule = make_optimizer(network, recipe, recipe.epochs * steps_per_epoch)
    network.train()
    for _ in range(recipe.epochs):
        order = torch.randperm(count)[: steps_per_epoch * BATCH_SIZE]
        for batch in order.split(BATCH_SIZE):
            logits = network(shift(digits.train_image[batch]))
            loss = functional.cross_entropy(
                logits, digits.train_label[batch], label_smoothing=LABEL_SMOOTHING
            )
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
    return network.eval()


def measure_accuracy(network: nn.Module, digits: Digits) -> float:
    """Returns the part of the held-out images that the network names correctly."""
    with torch.inference_mode():
        predicted = network(digits.test_image).argmax(dim=1)
    return float((predicted == digits.test_label).double().mean())


def export_torchscript(network: nn.Module, path: Path, *, fold: bool) -> None:
    """Exports by tracing.

    Args:
        network: in inference mode.
        path: the file to write.
        fold: whether the exporter folds constants and merges BatchNormalization into Conv.
    """
    mode = torch.onnx.TrainingMode.EVAL if fold else torch.onnx.TrainingMode.PRESERVE
    torch.onnx.export(
        network,
        (torch.zeros(2, 1, 8, 8),),
        str(path),
        dynamo=False,
        opset_version=TORCHSCRIPT_OPSET,
        training=mode,
        do_constant_folding=fold,
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
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
    model = onnx.load(path)
    for node in model.graph.node:
        kept = [entry for entry in node.metadata_props if entry.key != STACK_TRACE_KEY]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.save(model, path)


def check(path: Path, network: nn.Module, digits: Digits) -> None:
    """Checks a file against the network it came from.

    Args:
        path: the exported file.
        network: the network, in inference mode.
        digits: whose first held-out images are run, one alone and seven together.

    Raises:
        onnx.checker.ValidationError: the graph is not valid ONNX.
        ValueError: the file is too large, or its logits differ from the network's.
    """
    if path.stat().st_size >= MAX_SIZE_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size} bytes, {MAX_SIZE_BYTES} are too many")
    onnx.checker.check_model(path, full_check=True)
    evaluator = ReferenceEvaluator(str(path))
    for batch in (1, 7):
        image = digits.test_image[:batch]
        with torch.inference_mode():
            expected = network(image).numpy()
        actual: npt.NDArray[np.float32] = evaluator.run(None, {"image": image.numpy()})[0]
        if not np.allclose(actual, expected, rtol=0, atol=ABSOLUTE_TOLERANCE):
            error = np.abs(actual - expected).max()
            raise ValueError(f"{path}: logits differ by up to {error} at batch {batch}")


def write_network(name: str, digits: Digits, out: Path) -> None:
    """Trains one network, writes its graphs and prints what came of it."""
    network = train(RECIPES[name], digits)
    parameters = sum(p.numel() for p in network.parameters())
    accuracy = measure_accuracy(network, digits)
    print(f"{name}: {parameters} parameters, held-out accuracy {accuracy:.4%}", flush=True)
    paths = [out / f"{name}.ts.onnx", out / f"{name}.dyn.onnx"]
    export_torchscript(network, paths[0], fold=True)
    export_dynamo(network, paths[1])
    if name == "digits_cnn":
        paths.append(out / f"{name}.raw.onnx")
        export_torchscript(network, paths[-1], fold=False)
    for path in paths:
        check(path, network, digits)
        print(f"  {path}: {path.stat().st_size} bytes", flush=True)


def main() -> None:
    """Reads the command line and writes every fixture."""
    parser = argparse.ArgumentParser(description="Train and export the fixtures.")
    default_out = Path(__file__).resolve().parent.parent / "fixtures"
    parser.add_argument("--out", type=Path, default=default_out, help="folder to write to")
    out: Path = parser.parse_args().out
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    out.mkdir(parents=True, exist_ok=True)
    digits = load_split()
    write_data(digits, out)
    for name in RECIPES:
        write_network(name, digits, out)


if __name__ == "__main__":
    main()
