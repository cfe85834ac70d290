"""The networks: from the features of all roads and the clock to scaled speeds (moments, roads, horizons).

All predict the change from the last known speed: what a network has not learnt yet is the last value, not nonsense.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trafficapp.forecast.clock import Floats
from trafficapp.forecast.features import CLOCK_COLUMNS, FeatureLayout


class RoadLstm(nn.Module):
    """The LSTM of the road system: the last steps of one road, LSTM 64, dropout, dense 32, horizons out."""

    def __init__(self, layout: FeatureLayout, *, width: int = 64, dense: int = 32, dropout: float = 0.2) -> None:
        super().__init__()
        self.steps, self.horizons = layout.input_steps, len(layout.horizon_steps)
        self.lstm = nn.LSTM(1, width, batch_first=True)
        self.head = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(width + CLOCK_COLUMNS, dense), nn.ReLU(), nn.Linear(dense, self.horizons)
        )

    def forward(self, roads: Tensor, clock: Tensor) -> Tensor:
        """Scaled speeds; every road is a sequence of its own."""
        moments, count, _ = roads.shape
        own = roads[:, :, : self.steps]
        hidden, _ = self.lstm(own.reshape(-1, self.steps, 1))
        last = hidden[:, -1].reshape(moments, count, -1)
        time = clock[:, None].expand(-1, count, -1)
        return own[:, :, -1:] + self.head(torch.cat([last, time], -1))


class GatedTimes(nn.Module):
    """A convolution over time, one half of its channels opening or closing the other."""

    def __init__(self, channels_in: int, channels: int, width: int = 3) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels_in, 2 * channels, (width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """From (moments, channels, steps, roads) to the same with fewer steps."""
        value, gate = self.convolution(x).chunk(2, 1)
        return value * torch.sigmoid(gate)


class StGcn(nn.Module):
    """ST-GCN: gated convolutions over time, and means over neighbouring roads between them."""

    neighbours: Tensor

    def __init__(self, layout: FeatureLayout, neighbours: Floats, *, channels: int = 16, dropout: float = 0.1) -> None:
        super().__init__()
        self.steps, self.horizons = layout.input_steps, len(layout.horizon_steps)
        self.register_buffer("neighbours", torch.from_numpy(neighbours))
        spread = channels * (1 + len(neighbours))
        self.first = GatedTimes(1, channels)
        self.mixing = nn.ModuleList([nn.Conv2d(spread, channels, 1) for _ in range(2)])
        self.times = nn.ModuleList([GatedTimes(channels, channels) for _ in range(2)])
        self.dropout = nn.Dropout(dropout)
        left = self.steps - 6
        head_inputs = channels * left + CLOCK_COLUMNS
        self.head = nn.Sequential(nn.Linear(head_inputs, 64), nn.ReLU(), nn.Linear(64, self.horizons))

    def forward(self, roads: Tensor, clock: Tensor) -> Tensor:
        """Scaled speeds."""
        own = roads[:, :, : self.steps]
        x = self.first(own.transpose(1, 2)[:, None])
        for mix, over_time in zip(self.mixing, self.times, strict=True):
            near = [x @ matrix.T for matrix in self.neighbours.unbind(0)]
            x = over_time(torch.relu(self.dropout(mix(torch.cat([x, *near], 1))) + x))
        flat = x.permute(0, 3, 1, 2).flatten(2)
        time = clock[:, None].expand(-1, flat.shape[1], -1)
        return own[:, :, -1:] + self.head(torch.cat([flat, time], -1))


class NeighbourNetwork(nn.Module):
    """Ours: residual layers over all features of a road, which also exchange what they know through districts.

    A road belongs to each of a few learnt districts to some degree. In every layer it learns their means. That costs
    roads x districts, so that thousands of roads are no matter.
    """

    def __init__(
        self,
        layout: FeatureLayout,
        road_count: int,
        *,
        width: int = 96,
        layers: int = 3,
        traits: int = 24,
        districts: int = 16,
        dropout: float = 0.15,
    ) -> None:
        super().__init__()
        self.steps, self.horizons = layout.input_steps, len(layout.horizon_steps)
        self.traits = nn.Parameter(torch.randn(road_count, traits) * 0.1)
        self.belongs = nn.Parameter(torch.randn(road_count, districts) * 0.5)
        self.first = nn.Linear(len(layout.columns) + CLOCK_COLUMNS + traits, width)
        self.layers = nn.ModuleList(
            [
                nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, width))
                for _ in range(layers)
            ]
        )
        self.last = nn.Linear(width, self.horizons)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, roads: Tensor, clock: Tensor) -> Tensor:
        """Scaled speeds."""
        moments, count, _ = roads.shape
        time = clock[:, None].expand(-1, count, -1)
        x = self.first(torch.cat([roads, time, self.traits[None].expand(moments, -1, -1)], -1))
        belongs = torch.softmax(self.belongs, -1)
        gather = (belongs / belongs.sum(0, keepdim=True)).T
        for layer in self.layers:
            around = belongs @ (gather @ x)
            x = x + layer(torch.cat([x, around], -1))
        return roads[:, :, self.steps - 1 : self.steps] + self.last(torch.relu(x))


class Mean(nn.Module):
    """The mean of several networks, as one."""

    def __init__(self, members: list[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, roads: Tensor, clock: Tensor) -> Tensor:
        """Scaled speeds."""
        return torch.stack([member(roads, clock) for member in self.members]).mean(0)
