"""The networks that `make_fixtures.py` trains."""

import torch
from torch import Tensor, nn
from torch.nn import functional

NUM_CLASSES = 10


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


class FashionResnet(nn.Module):
    """Residual network of nine blocks for images of 28x28 bytes, normalized in the graph.

    Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016.
    """

    MEAN, DEVIATION = 0.2860, 0.3530  # of the training images

    def __init__(self, widths: tuple[int, ...] = (32, 64, 128), depth: int = 3) -> None:
        """Builds the stem, `depth` blocks of each width, and the head."""
        super().__init__()
        self.stem = ConvUnit(1, widths[0], stride=2)
        ends = (widths[0], *widths[:-1])
        self.stages = nn.Sequential(
            *(
                ResidualBlock(
                    width if place else end,
                    width,
                    stride=2 if width != end and not place else 1,
                )
                for end, width in zip(ends, widths, strict=True)
                for place in range(depth)
            )
        )
        self.head = nn.Linear(widths[-1], NUM_CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        """Maps images `[N, 28, 28]`, uint8, to logits `[N, 10]`."""
        x = (image[:, None].float() / 255 - self.MEAN) / self.DEVIATION
        x = functional.adaptive_avg_pool2d(self.stages(self.stem(x)), 1)
        logits: Tensor = self.head(torch.flatten(x, 1))
        return logits
