"""Architectures that no package has as small as this, a class each."""

from itertools import pairwise

import torch
from architectures.architecture import Architecture, Input
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm


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


class Tcn(nn.Module):
    """Temporal convolutions whose kernels are normalised in the graph.

    Source: Bai, Kolter, Koltun, "An Empirical Evaluation of Generic Convolutional and Recurrent
    Networks for Sequence Modeling", 2018.
    """

    def __init__(self) -> None:
        """Builds two residual levels."""
        super().__init__()
        self.convolutions = nn.ModuleList(
            weight_norm(nn.Conv1d(narrow, wide, 3, dilation=dilation))
            for narrow, wide, dilation in ((5, 48, 1), (48, 48, 1), (48, 64, 2), (64, 64, 2))
        )
        self.shortcuts = nn.ModuleList([nn.Conv1d(5, 48, 1), nn.Conv1d(48, 64, 1)])
        self.head = nn.Linear(64, 10)

    def forward(self, signal: Tensor) -> Tensor:
        """Maps `[N, 5, T]` to `[N, 10]`."""
        x = signal
        for level, shortcut in enumerate(self.shortcuts):
            y = x
            for convolution in self.convolutions[2 * level : 2 * level + 2]:
                y = functional.relu(convolution(functional.pad(y, (2 << level, 0))))
            x = functional.relu(y + shortcut(x))
        logits: Tensor = self.head(x[:, :, -1])
        return logits


class PointNet(nn.Module):
    """Points, a learnt transform of their features, and a maximum over points.

    Source: Qi et al., "PointNet: Deep Learning on Point Sets", CVPR 2017.
    """

    def __init__(self) -> None:
        """Builds the network with a transform of 32 features."""
        super().__init__()
        self.first = nn.Sequential(nn.Conv1d(3, 32, 1), nn.BatchNorm1d(32), nn.ReLU())
        self.local = nn.Sequential(nn.Conv1d(32, 64, 1), nn.ReLU())
        self.transform = nn.Linear(64, 32 * 32)
        self.second = nn.Sequential(nn.Conv1d(32, 96, 1), nn.BatchNorm1d(96), nn.ReLU())
        self.head = nn.Sequential(nn.Linear(96, 48), nn.ReLU(), nn.Linear(48, 10))

    def forward(self, points: Tensor) -> Tensor:
        """Maps `[N, 3, P]` to `[N, 10]`."""
        x = self.first(points)
        matrix = self.transform(self.local(x).amax(2)).view(-1, 32, 32) + torch.eye(32)
        x = torch.bmm(matrix, x)
        logits: Tensor = self.head(self.second(x).amax(2))
        return logits


class Dlrm(nn.Module):
    """Embeddings and dense features, joined by their pairwise products.

    Source: Naumov et al., "Deep Learning Recommendation Model for Personalization and
    Recommendation Systems", 2019.
    """

    def __init__(self) -> None:
        """Builds three tables of 24 features."""
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(count, 24) for count in (50, 70, 90))
        self.bottom = nn.Sequential(nn.Linear(13, 64), nn.ReLU(), nn.Linear(64, 24), nn.ReLU())
        self.top = nn.Sequential(nn.Linear(24 + 6, 80), nn.ReLU(), nn.Linear(80, 1), nn.Sigmoid())

    def forward(self, dense: Tensor, sparse: Tensor) -> Tensor:
        """Maps `[N, 13]` and indices `[N, 3]` to `[N, 1]`."""
        x = self.bottom(dense)
        looked_up = [table(sparse[:, place]) for place, table in enumerate(self.tables)]
        features = torch.stack([x, *looked_up], dim=1)
        products = torch.bmm(features, features.transpose(1, 2))
        rows, columns = torch.tril_indices(4, 4, offset=-1).unbind(0)
        chance: Tensor = self.top(torch.cat([x, products[:, rows, columns]], dim=1))
        return chance


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


class GraphAttention(nn.Module):
    """Two layers over a dense adjacency, with additive attention of four heads.

    Source: Velickovic et al., "Graph Attention Networks", ICLR 2018.
    """

    def __init__(self) -> None:
        """Builds the layers on 4 heads of 16 features."""
        super().__init__()
        self.value = nn.Linear(20, 64, bias=False)
        self.left = nn.Parameter(torch.randn(4, 16))
        self.right = nn.Parameter(torch.randn(4, 16))
        self.last = nn.Linear(64, 7)

    def forward(self, nodes: Tensor, adjacency: Tensor) -> Tensor:
        """Maps `[N, V, 20]` and `[N, V, V]` to `[N, V, 7]`."""
        values = self.value(nodes).unflatten(2, (4, 16))
        left, right = (values * self.left).sum(-1), (values * self.right).sum(-1)
        scores = functional.leaky_relu(left[:, :, None] + right[:, None], 0.2)
        weights = (scores + adjacency[..., None]).softmax(2)
        mixed = torch.einsum("nuvh,nvhd->nuhd", weights, values).flatten(2)
        logits: Tensor = self.last(functional.elu(mixed))
        return adjacency @ logits


def _square(side: int) -> Input:
    return Input(("batch", 3, side, side))


ROWS = (
    Architecture("net_dcgan", Dcgan, {"noise": Input(("batch", 24))}),
    Architecture("net_stylegan2", StyleGan, {"noise": Input((2, 24))}),
    Architecture("net_vae", Vae, {"image": _square(16), "noise": Input(("batch", 20))}),
    Architecture(
        "net_wavenet_conditioned",
        WaveNet,
        {"audio": Input(("batch", 1, 64)), "condition": Input(("batch", 12, 64))},
    ),
    Architecture("net_cbam", Cbam, {"image": _square(32)}),
    Architecture("net_vgg", Vgg, {"image": _square(32)}),
    Architecture("net_spp", PyramidPooling, {"image": _square(32)}),
    Architecture("net_pixel_unshuffle", SuperResolution, {"image": _square(16)}),
    Architecture("net_weight_standardised", Standardised, {"image": _square(32)}),
    Architecture("net_weight_norm_tcn", Tcn, {"signal": Input(("batch", 5, 40))}),
    Architecture("net_pointnet", PointNet, {"points": Input(("batch", 3, 50))}),
    Architecture(
        "net_dlrm",
        Dlrm,
        {"dense": Input(("batch", 13)), "sparse": Input(("batch", 3), range(50))},
    ),
    Architecture("net_unet3d", Unet3d, {"volume": Input(("batch", 1, 8, 8, 8))}),
    Architecture("net_maxout", Maxout, {"image": _square(16)}),
    Architecture(
        "net_style_transfer",
        StyleTransfer,
        {"content": _square(16), "style": _square(16), "mood": Input(("batch", 12))},
    ),
    Architecture(
        "net_graph_attention",
        GraphAttention,
        {"nodes": Input(("batch", 9, 20)), "adjacency": Input(("batch", 9, 9))},
    ),
)
