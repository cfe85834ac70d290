"""Training a model from a history, and judging it against the baselines."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from trafficapp.forecast.baselines import LinearRules
from trafficapp.forecast.learning.fitting import Fitted, Recipe, Watch, fit, predict
from trafficapp.forecast.learning.judging import Judged, judge
from trafficapp.forecast.learning.networks import Mean, NeighbourNetwork, RoadLstm, StGcn
from trafficapp.forecast.learning.windows import TrainingData

Maker = Callable[[TrainingData], nn.Module]

#: Each model and how it is fitted; the numbers of epochs are such that a week of 207 roads takes a core a few minutes.
MODELS: dict[str, tuple[Maker, Recipe]] = {
    "lstm": (lambda data: RoadLstm(data.layout), Recipe(epochs=8)),
    "stgcn": (lambda data: StGcn(data.layout, data.neighbours[:2]), Recipe(epochs=12)),
    "ours": (lambda data: NeighbourNetwork(data.layout, len(data.history.road_ids)), Recipe(epochs=24)),
}


class Trained(NamedTuple):
    """A fitted model with all that an artifact says about it."""

    kind: str
    network: nn.Module
    data: TrainingData
    linear: LinearRules
    judged: Judged
    seeds: tuple[int, ...]
    epochs: tuple[int, ...]
    seconds: float


def train(
    kind: str, data: TrainingData, *, seed: int = 0, members: int = 1, epochs: int | None = None, watch: Watch
) -> Trained:
    """Fit a model and judge it.

    Args:
        kind: one of `MODELS`.
        data: what to learn from.
        seed: of the first member; the next has the next seed.
        members: how many networks are fitted; their mean is the model, in one graph.
        epochs: at most so many; else what is usual for the model.
        watch: told after each epoch.
    """
    maker, recipe = MODELS[kind]
    if epochs is not None:
        recipe = recipe._replace(epochs=epochs)
    seeds = tuple(range(seed, seed + members))
    fitted: list[Fitted] = [fit(lambda: maker(data), data, recipe, one, watch) for one in seeds]
    network = fitted[0].network if members == 1 else Mean([one.network for one in fitted])
    linear = data.linear_ar()
    validation, test = (
        judge(data, linear, predict(network, data, part), part) for part in (data.split.validation, data.split.test)
    )
    seconds = sum(one.seconds for one in fitted)
    return Trained(
        kind, network, data, linear, Judged(validation, test), seeds, tuple(one.epochs for one in fitted), seconds
    )
