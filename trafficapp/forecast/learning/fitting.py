"""Fitting a network: absolute error, one cycle of the learning rate, averaged weights, early stopping."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from trafficapp.forecast.clock import Floats, Integers
from trafficapp.forecast.learning.windows import TrainingData

_AVERAGING = 0.995
_MOMENTS_AT_ONCE = 256


class Recipe(NamedTuple):
    """How long and how fast to learn.

    An epoch takes at most `moments`, others each time: those beside each other in a long history are much alike.
    """

    epochs: int
    rate: float = 2e-3
    batch: int = 32
    weight_decay: float = 1e-3
    patience: int = 8
    moments: int = 5000


class Fitted(NamedTuple):
    """A network with the weights that were best on the validation part."""

    network: nn.Module
    epochs: int
    validation_mae_kmh: float
    seconds: float


#: Told after each epoch: epoch, epochs at most, MAE on the validation part in km/h.
Watch = Callable[[int, int, float], None]


class AveragedWeights:
    """A moving average of a network's weights, which is better than the last of them."""

    def __init__(self, network: nn.Module) -> None:
        self._weights = {name: weight.detach().clone() for name, weight in network.named_parameters()}
        self._updates = 0

    def update(self, network: nn.Module) -> None:
        """Take in the weights after a step."""
        self._updates += 1
        keep = min(_AVERAGING, (1 + self._updates) / (10 + self._updates))
        with torch.no_grad():
            for name, weight in network.named_parameters():
                self._weights[name].mul_(keep).add_(weight, alpha=1 - keep)

    def exchange(self, network: nn.Module) -> None:
        """Swap the network's weights and the averaged ones."""
        with torch.no_grad():
            for name, weight in network.named_parameters():
                now = weight.detach().clone()
                weight.copy_(self._weights[name])
                self._weights[name] = now


def predict(network: nn.Module, data: TrainingData, moments: Integers) -> Floats:
    """What a network says, in km/h, shape (moments, roads, horizons)."""
    network.eval()
    found = []
    with torch.no_grad():
        for start in range(0, len(moments), _MOMENTS_AT_ONCE):
            roads, clock, _ = data.features(moments[start : start + _MOMENTS_AT_ONCE])
            found.append(network(torch.from_numpy(roads), torch.from_numpy(clock)).numpy())
    return data.layout.speeds(np.concatenate(found))


def fit(make: Callable[[], nn.Module], data: TrainingData, recipe: Recipe, seed: int, watch: Watch) -> Fitted:
    """Fit a network.

    Args:
        make: makes the network with fresh weights; called after the seed is set.
        data: what to learn from.
        recipe: how.
        seed: for the weights and the order of the moments; the same seed gives the same network.
        watch: told how it goes.
    """
    torch.manual_seed(seed)
    rng, began = np.random.default_rng(seed), time.perf_counter()
    network = make()
    averaged = AveragedWeights(network)
    batches = max(min(len(data.split.train), recipe.moments) // recipe.batch, 1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.rate, total_steps=recipe.epochs * batches, pct_start=0.1
    )
    truth = data.targets(data.split.validation)
    best, best_epoch, kept, epoch = math.inf, 0, {}, 0
    for epoch in range(1, recipe.epochs + 1):
        network.train()
        order = rng.permutation(data.split.train)
        for batch in np.array_split(order[: batches * recipe.batch], batches):
            loss = _loss(network, data, batch)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            averaged.update(network)
        averaged.exchange(network)
        mae = float(np.nanmean(np.abs(predict(network, data, data.split.validation) - truth)))
        if mae < best:
            best, best_epoch, kept = mae, epoch, _copied(network)
        averaged.exchange(network)
        watch(epoch, recipe.epochs, mae)
        if epoch - best_epoch >= recipe.patience:
            break
    if not kept:
        raise ArithmeticError("the network learnt nothing that could be measured; is the history damaged?")
    network.load_state_dict(kept)
    network.eval()
    return Fitted(network, best_epoch, best, time.perf_counter() - began)


def _copied(network: nn.Module) -> dict[str, Any]:
    return {name: weight.detach().clone() for name, weight in network.state_dict().items()}


def _loss(network: nn.Module, data: TrainingData, moments: Integers) -> Tensor:
    roads, clock, _ = data.features(moments)
    targets = data.layout.scale(data.targets(moments))
    known = np.isfinite(targets)
    predicted = network(torch.from_numpy(roads), torch.from_numpy(clock))
    error = (predicted - torch.from_numpy(np.where(known, targets, 0))).abs() * torch.from_numpy(known)
    return error.sum() / max(int(known.sum()), 1)
