"""What an architecture to export is, and how its network is made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, cast

import torch
from torch import Tensor, nn

SEED = 17
SPREAD = 0.1  # standard deviation of biases, and of what is added to a tensor of one value
SMALLEST = 1e-3  # no statistic that is divided by is smaller
# What a dynamic axis measures: in the example that exporters see, and in the one that checks them.
SIZES = {"batch": 2, "tokens": 16, "past": 5}
OTHER_SIZES = {"batch": 3, "tokens": 11, "past": 8}


@dataclass(frozen=True, slots=True)
class Input:
    """A graph input.

    Attributes:
        sizes: of its axes; a key of `SIZES` stands for an axis that is left dynamic.
        values: for integers the range that they are drawn from; None for normal floats.
    """

    sizes: tuple[int | str, ...]
    values: range | None = None

    @property
    def dynamic(self) -> dict[int, str]:
        """Names of the dynamic axes."""
        return {axis: size for axis, size in enumerate(self.sizes) if isinstance(size, str)}

    def draw(self, sizes: Mapping[str, int]) -> Tensor:
        """Draws an example with dynamic axes of these sizes."""
        shape = [sizes[size] if isinstance(size, str) else size for size in self.sizes]
        if self.values is None:
            return torch.randn(shape)
        return torch.randint(self.values.start, self.values.stop, shape)


def square_image(side: int) -> Input:
    """An image of three colours behind a dynamic batch."""
    return Input(("batch", 3, side, side))


@dataclass(frozen=True, slots=True)
class Architecture:
    """A row of the tables.

    Attributes:
        name: the package that it is from, and what it is called there.
        build: makes the network, with weights of any kind.
        inputs: of its `forward`, by name and in order.
        outputs: attributes of what `forward` returns, where that is not tensors alone.
        without: exporters that fail on it or write a wrong file, and how.
    """

    name: str
    build: Callable[[], nn.Module]
    inputs: Mapping[str, Input]
    outputs: tuple[str, ...] = ()
    without: Mapping[str, str] = field(default_factory=dict)

    def example(self, sizes: Mapping[str, int]) -> tuple[Tensor, ...]:
        """Draws inputs with dynamic axes of these sizes."""
        return tuple(given.draw(sizes) for given in self.inputs.values())


class InOrder(nn.Module):
    """A network whose `forward` takes any number of tensors, in the order of the graph's inputs."""


class Named(InOrder):
    """A network that takes its inputs by name, and of whose results some attributes are wanted."""

    def __init__(self, network: nn.Module, architecture: Architecture) -> None:
        """Wraps the network of an architecture."""
        super().__init__()
        self.network = network
        self.inputs, self.outputs = tuple(architecture.inputs), architecture.outputs

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Runs the network."""
        given = self.network(**dict(zip(self.inputs, tensors, strict=True)))
        return tuple(getattr(given, name) for name in self.outputs)


def call(package: str, name: str, *arguments: Any, **options: Any) -> nn.Module:
    """Calls a function or class of a package that is imported only now."""
    return cast(nn.Module, getattr(import_module(package), name)(*arguments, **options))


def make(architecture: Architecture) -> nn.Module:
    """Builds the network in inference mode with seeded weights; it gives tensors alone."""
    torch.manual_seed(SEED)
    network = architecture.build().eval()
    if architecture.outputs:
        network = Named(network, architecture)
    with torch.no_grad():
        _spread_constants(network)
        _scale_layers(network, architecture.example(SIZES))
    return network


def _spread_constants(network: nn.Module) -> None:
    """Adds noise to parameters and buffers of one value: fresh norms, code books, statistics.

    Otherwise their channels could not be told apart, and those that start at 0 would mute a
    branch.
    """
    for tensor in network.state_dict().values():
        if tensor.is_floating_point() and tensor.numel() > 1 and tensor.min() == tensor.max():
            tensor.add_(torch.randn_like(tensor) * SPREAD)


def _scale_layers(network: nn.Module, example: tuple[Tensor, ...]) -> None:
    """Scales each linear and convolutional layer so that its output varies by 1, and draws biases.

    Batch normalisations take the statistics that they meet. Deep networks with small random
    weights or large means forget their input, those with large weights overflow.

    Source: Mishkin and Matas, "All you need is a good init", ICLR 2016.
    """

    def scale(layer: nn.Module, _: Any, output: Tensor) -> Tensor:
        factor = output.std().clamp(min=SMALLEST)
        for weight in unscaled.pop(layer, ()):
            weight.div_(factor)
        return output / factor

    def settle(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        axes = [axis for axis in range(inputs[0].ndim) if axis != 1]
        norm.running_mean.copy_(inputs[0].mean(axes))
        norm.running_var.copy_(inputs[0].var(axes, correction=0).clamp(min=SMALLEST))

    kinds = (nn.Linear, nn.modules.conv._ConvNd)
    layers = [module for module in network.modules() if isinstance(module, kinds)]
    biases = [layer.bias for layer in layers if layer.bias is not None]
    for bias in biases:
        bias.zero_()
    unscaled = {
        layer: [p for name, p in layer.named_parameters(recurse=False) if name != "bias"]
        for layer in layers
    }
    hooks = [layer.register_forward_hook(scale) for layer in layers]
    hooks += [
        module.register_forward_pre_hook(settle)
        for module in network.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats
    ]
    network(*example)
    for hook in hooks:
        hook.remove()
    for bias in biases:
        bias.normal_(std=SPREAD)
