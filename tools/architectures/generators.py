"""Networks that make images and sounds out of noise, a class each."""

from itertools import pairwise

import torch
from architectures.architecture import Architecture, Input, square_image
from torch import Tensor, nn
from torch.nn import functional


class Dcgan(nn.Module):
    """Generator of transposed convolutions.

    Source: Radford, Metz, Chintala, "Unsupervised Representation Learning with DCGANs", ICLR 2016.
    """

    def __init__(self) -> None:
        """Builds the layers from 24 noise channels to a 32x32 image."""
        super().__init__()
        self.seed = nn.Linear(24, 96 * 4 * 4)
        layers: list[nn.Module] = []
        for narrow, wide in pairwise((96, 64, 48)):
            layers += [nn.ConvTranspose2d(narrow, wide, 4, 2, 1, bias=False)]
            layers += [nn.BatchNorm2d(wide), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.ConvTranspose2d(48, 3, 4, 2, 1), nn.Tanh())

    def forward(self, noise: Tensor) -> Tensor:
        """Maps `[N, 24]` to `[N, 3, 32, 32]`."""
        image: Tensor = self.body(self.seed(noise).view(-1, 96, 4, 4))
        return image


class ModulatedConv(nn.Module):
    """Convolution whose weights a style scales and demodulates for each sample.

    Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020.
    """

    def __init__(self, channels_in: int, channels_out: int, style: int) -> None:
        """Builds a 3x3 kernel and the map from styles to scales."""
        super().__init__()
        self.scale = nn.Linear(style, channels_in)
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, 3, 3))

    def forward(self, image: Tensor, style: Tensor) -> Tensor:
        """Maps `[N, C, H, W]` and `[N, S]` to `[N, C', H, W]`."""
        samples, _, height, width = image.shape
        channels_out, channels_in = self.weight.shape[:2]
        weight = self.weight * (1 + self.scale(style))[:, None, :, None, None]
        weight = weight * torch.rsqrt(weight.square().sum((2, 3, 4), keepdim=True) + 1e-8)
        weight = weight.reshape(samples * channels_out, channels_in, 3, 3)
        image = image.reshape(1, samples * channels_in, height, width)
        made = functional.conv2d(image, weight, padding=1, groups=samples)
        return made.reshape(samples, channels_out, height, width)


class StyleGan(nn.Module):
    """Mapping network and modulated convolutions from a learnt constant."""

    def __init__(self) -> None:
        """Builds two resolutions."""
        super().__init__()
        self.mapping = nn.Sequential(
            nn.Linear(24, 56), nn.LeakyReLU(0.2), nn.Linear(56, 40), nn.LeakyReLU(0.2)
        )
        self.start = nn.Parameter(torch.randn(1, 64, 8, 8))
        self.convolutions = nn.ModuleList(
            [ModulatedConv(64, 48, 40), ModulatedConv(48, 32, 40), ModulatedConv(32, 3, 40)]
        )

    def forward(self, noise: Tensor) -> Tensor:
        """Maps `[N, 24]` to `[N, 3, 32, 32]`."""
        style = self.mapping(noise)
        image = self.start.expand(noise.shape[0], -1, -1, -1)
        for convolution in self.convolutions:
            image = functional.leaky_relu(convolution(image, style), 0.2)
            image = functional.interpolate(image, scale_factor=2)
        return image


class Vae(nn.Module):
    """Variational autoencoder, its noise an input.

    Source: Kingma and Welling, "Auto-Encoding Variational Bayes", ICLR 2014.
    """

    def __init__(self) -> None:
        """Builds encoder and decoder of 16x16 images."""
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 32, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(32, 48, 3, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.mean, self.log_variance = nn.Linear(48 * 16, 20), nn.Linear(48 * 16, 20)
        self.decoder = nn.Sequential(
            nn.Linear(20, 48 * 16),
            nn.Unflatten(1, (48, 4, 4)),
            nn.ConvTranspose2d(48, 32, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 3, 4, 2, 1),
        )

    def forward(self, image: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Maps `[N, 3, 16, 16]` and `[N, 20]` to an image, means and logarithms of variances."""
        code = self.encoder(image)
        mean, log_variance = self.mean(code), self.log_variance(code)
        return self.decoder(mean + noise * torch.exp(log_variance / 2)), mean, log_variance


class WaveNet(nn.Module):
    """Dilated causal convolutions with conditioned gates and a sum of skips.

    Source: van den Oord et al., "WaveNet: A Generative Model for Raw Audio", 2016.
    """

    def __init__(self) -> None:
        """Builds four layers on 40 channels, conditioned on 12."""
        super().__init__()
        self.first = nn.Conv1d(1, 40, 1)
        self.gates = nn.ModuleList(nn.Conv1d(40, 96, 2, dilation=1 << i) for i in range(4))
        self.conditions = nn.ModuleList(nn.Conv1d(12, 96, 1, bias=False) for _ in range(4))
        self.outs = nn.ModuleList(nn.Conv1d(48, 40 + 56, 1) for _ in range(4))
        self.head = nn.Sequential(nn.ReLU(), nn.Conv1d(56, 32, 1), nn.ReLU(), nn.Conv1d(32, 17, 1))

    def forward(self, audio: Tensor, condition: Tensor) -> Tensor:
        """Maps `[N, 1, T]` and `[N, 12, T]` to `[N, 17, T]`."""
        x, skips = self.first(audio), torch.zeros(1)
        for index, (gate, add, out) in enumerate(
            zip(self.gates, self.conditions, self.outs, strict=True)
        ):
            both = gate(functional.pad(x, (1 << index, 0))) + add(condition)
            value, control = both.chunk(2, dim=1)
            residual, skip = out(torch.tanh(value) * torch.sigmoid(control)).split([40, 56], dim=1)
            x, skips = x + residual, skips + skip
        made: Tensor = self.head(skips)
        return made


ROWS = (
    Architecture("net_dcgan", Dcgan, {"noise": Input(("batch", 24))}),
    Architecture("net_stylegan2", StyleGan, {"noise": Input((2, 24))}),
    Architecture("net_vae", Vae, {"image": square_image(16), "noise": Input(("batch", 20))}),
    Architecture(
        "net_wavenet_conditioned",
        WaveNet,
        {"audio": Input(("batch", 1, 64)), "condition": Input(("batch", 12, 64))},
    ),
)
