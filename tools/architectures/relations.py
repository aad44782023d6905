"""Networks on signals, points, tables and graphs, a class each."""

import torch
from architectures.architecture import Architecture, Input
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm


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


ROWS = (
    Architecture("net_weight_norm_tcn", Tcn, {"signal": Input(("batch", 5, 40))}),
    Architecture("net_pointnet", PointNet, {"points": Input(("batch", 3, 50))}),
    Architecture(
        "net_dlrm",
        Dlrm,
        {"dense": Input(("batch", 13)), "sparse": Input(("batch", 3), range(50))},
    ),
    Architecture(
        "net_graph_attention",
        GraphAttention,
        {"nodes": Input(("batch", 9, 20)), "adjacency": Input(("batch", 9, 9))},
    ),
)
