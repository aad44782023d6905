"""Networks on images and volumes that no package has as small as this, a class each."""

from itertools import pairwise

import torch
from architectures.architecture import Architecture, Input, square_image
from torch import Tensor, nn
from torch.nn import functional


class Cbam(nn.Module):
    """Residual blocks with channel and spatial attention.

    Source: Woo et al., "CBAM: Convolutional Block Attention Module", ECCV 2018.
    """

    def __init__(self) -> None:
        """Builds one block of 64 channels."""
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, 2, 1)
        self.body = nn.Sequential(nn.Conv2d(64, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64))
        self.shared = nn.Sequential(nn.Conv2d(64, 16, 1), nn.ReLU(), nn.Conv2d(16, 64, 1))
        self.spatial = nn.Conv2d(2, 1, 7, padding=3)
        self.head = nn.Linear(64, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Maps `[N, 3, H, W]` to `[N, 10]`."""
        x = self.stem(image).relu()
        y = self.body(x)
        mean, most = y.mean((2, 3), keepdim=True), y.amax((2, 3), keepdim=True)
        y = y * torch.sigmoid(self.shared(mean) + self.shared(most))
        summary = torch.cat([y.mean(1, keepdim=True), y.amax(1, keepdim=True)], dim=1)
        y = y * torch.sigmoid(self.spatial(summary))
        logits: Tensor = self.head((x + y).relu().mean((2, 3)))
        return logits


class Vgg(nn.Sequential):
    """Plain convolutions, then Flatten over 4x4 places into two linear layers.

    Source: Simonyan and Zisserman, "Very Deep Convolutional Networks", ICLR 2015.
    """

    def __init__(self) -> None:
        """Builds three stages of two convolutions."""
        layers: list[nn.Module] = []
        for narrow, wide in pairwise((3, 32, 48, 64)):
            layers += [nn.Conv2d(narrow, wide, 3, 1, 1), nn.BatchNorm2d(wide), nn.ReLU()]
            layers += [nn.Conv2d(wide, wide, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2)]
        layers += [nn.Flatten(), nn.Linear(64 * 4 * 4, 160), nn.ReLU(), nn.Dropout()]
        super().__init__(*layers, nn.Linear(160, 10))


class PyramidPooling(nn.Module):
    """Pools of three sizes, flattened and joined before a linear layer.

    Source: He et al., "Spatial Pyramid Pooling in Deep Convolutional Networks", ECCV 2014.
    """

    def __init__(self) -> None:
        """Builds two convolutions and the pools."""
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 40, 3, 2, 1), nn.ReLU(), nn.Conv2d(40, 56, 3, 2, 1), nn.PReLU(56)
        )
        self.head = nn.Sequential(nn.Linear(56 * (16 + 4 + 1), 96), nn.ReLU(), nn.Linear(96, 10))

    def forward(self, image: Tensor) -> Tensor:
        """Maps `[N, 3, 32, 32]` to `[N, 10]`."""
        x = self.body(image)
        pools = [functional.adaptive_max_pool2d(x, size).flatten(1) for size in (4, 2, 1)]
        logits: Tensor = self.head(torch.cat(pools, dim=1))
        return logits


class SuperResolution(nn.Module):
    """Pixels folded into channels, processed and folded out again, twice as fine.

    Source: Shi et al., "Real-Time Single Image and Video Super-Resolution", CVPR 2016.
    """

    def __init__(self) -> None:
        """Builds the body and its two pixel shuffles."""
        super().__init__()
        self.squeeze = nn.Sequential(nn.Conv2d(3, 12, 3, 1, 1), nn.PixelUnshuffle(2))
        self.body = nn.Sequential(
            nn.Conv2d(48, 64, 3, 1, 1), nn.PReLU(), nn.Conv2d(64, 48, 3, 1, 1)
        )
        self.widen = nn.Sequential(nn.Conv2d(48, 24 * 16, 3, 1, 1), nn.PixelShuffle(4))
        self.last = nn.Conv2d(24, 3, 3, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Maps `[N, 3, H, W]` to `[N, 3, 2H, 2W]`."""
        x = self.squeeze(image)
        made: Tensor = self.last(self.widen(x + self.body(x)))
        return made


class StandardisedConv(nn.Conv2d):
    """Convolution by a standardised kernel.

    Source: Qiao et al., "Micro-Batch Training with Batch-Channel Normalization and Weight
    Standardization", 2019.
    """

    def forward(self, image: Tensor) -> Tensor:
        """Maps `[N, C, H, W]` to `[N, C', H', W']`."""
        variance, mean = torch.var_mean(self.weight, (1, 2, 3), keepdim=True, correction=0)
        weight = (self.weight - mean) * torch.rsqrt(variance + 1e-5)
        return self._conv_forward(image, weight, self.bias)


class Standardised(nn.Module):
    """Weight standardisation, computed in the graph, before group normalisation."""

    def __init__(self) -> None:
        """Builds a residual block between two convolutions."""
        super().__init__()
        self.stem = nn.Sequential(StandardisedConv(3, 48, 3, 2, 1), nn.GroupNorm(6, 48), nn.ReLU())
        self.body = nn.Sequential(
            StandardisedConv(48, 64, 3, 1, 1),
            nn.GroupNorm(8, 64),
            nn.ReLU(),
            StandardisedConv(64, 48, 3, 1, 1),
            nn.GroupNorm(6, 48),
        )
        self.head = nn.Linear(48, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Maps `[N, 3, H, W]` to `[N, 10]`."""
        x = self.stem(image)
        logits: Tensor = self.head((x + self.body(x)).relu().mean((2, 3)))
        return logits


class Unet3d(nn.Module):
    """Encoder and decoder of volumes with a skip, instance normalised.

    Source: Cicek et al., "3D U-Net", MICCAI 2016.
    """

    def __init__(self) -> None:
        """Builds one level."""
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv3d(1, 24, 3, 1, 1), nn.InstanceNorm3d(24, affine=True), nn.LeakyReLU()
        )
        self.deep = nn.Sequential(
            nn.Conv3d(24, 40, 3, 2, 1), nn.InstanceNorm3d(40, affine=True), nn.LeakyReLU()
        )
        self.up = nn.ConvTranspose3d(40, 24, 2, 2)
        self.last = nn.Sequential(nn.Conv3d(48, 32, 3, 1, 1), nn.ReLU(), nn.Conv3d(32, 2, 1))

    def forward(self, volume: Tensor) -> Tensor:
        """Maps `[N, 1, D, H, W]` to `[N, 2, D, H, W]`."""
        x = self.down(volume)
        made: Tensor = self.last(torch.cat([x, self.up(self.deep(x))], dim=1))
        return made


class Maxout(nn.Module):
    """Signed pairs of channels, then the largest of each three.

    Sources: Shang et al., "Understanding and Improving Convolutional Neural Networks via
    Concatenated Rectified Linear Units", ICML 2016; Goodfellow et al., "Maxout Networks", 2013.
    """

    def __init__(self) -> None:
        """Builds three layers."""
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 32, 3, 1, 1), nn.Conv2d(64, 96, 3, 2, 1)
        self.head = nn.Linear(32, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Maps `[N, 3, H, W]` to `[N, 10]`."""
        x = self.first(image)
        x = self.second(torch.cat([x, -x], dim=1).relu())
        x = x.unflatten(1, (32, 3)).amax(2)
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


class StyleTransfer(nn.Module):
    """Instance statistics of one image given to another, and a linear modulation.

    Sources: Huang and Belongie, "Arbitrary Style Transfer in Real-Time with Adaptive Instance
    Normalization", ICCV 2017; Perez et al., "FiLM: Visual Reasoning with a General Conditioning
    Layer", AAAI 2018.
    """

    def __init__(self) -> None:
        """Builds a shared encoder, a modulation by 12 features, and a decoder."""
        super().__init__()
        self.encoder = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(3, 48, 3), nn.ReLU(), nn.Conv2d(48, 64, 3, 2, 1)
        )
        self.film = nn.Linear(12, 2 * 64)
        self.decoder = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(64, 40, 3, 1, 1), nn.ELU()
        )
        self.last = nn.Conv2d(40, 3, 1)

    def forward(self, content: Tensor, style: Tensor, mood: Tensor) -> Tensor:
        """Maps two images `[N, 3, H, W]` and `[N, 12]` to an image."""
        x, y = self.encoder(content), self.encoder(style)
        places = (2, 3)
        standard = (x - x.mean(places, keepdim=True)) / (x.std(places, keepdim=True) + 1e-5)
        x = standard * y.std(places, keepdim=True) + y.mean(places, keepdim=True)
        gain, shift = self.film(mood)[:, :, None, None].chunk(2, dim=1)
        made: Tensor = self.last(self.decoder(x * (1 + gain) + shift))
        return made


ROWS = (
    Architecture("net_cbam", Cbam, {"image": square_image(32)}),
    Architecture("net_vgg", Vgg, {"image": square_image(32)}),
    Architecture("net_spp", PyramidPooling, {"image": square_image(32)}),
    Architecture("net_pixel_unshuffle", SuperResolution, {"image": square_image(16)}),
    Architecture("net_weight_standardised", Standardised, {"image": square_image(32)}),
    Architecture("net_unet3d", Unet3d, {"volume": Input(("batch", 1, 8, 8, 8))}),
    Architecture("net_maxout", Maxout, {"image": square_image(16)}),
    Architecture(
        "net_style_transfer",
        StyleTransfer,
        {"content": square_image(16), "style": square_image(16), "mood": Input(("batch", 12))},
    ),
)
