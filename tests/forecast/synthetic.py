"""A small town's made-up speeds, and a network over all features that is fitted by least squares: no torch needed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from trafficapp.forecast.artifacts.inference import INPUTS, OUTPUT
from trafficapp.forecast.clock import Floats, Integers
from trafficapp.forecast.features import CLOCK_COLUMNS
from trafficapp.forecast.learning.history import SpeedHistory
from trafficapp.forecast.learning.judging import Judged, judge
from trafficapp.forecast.learning.packing import Candidate, write_artifact
from trafficapp.forecast.learning.windows import TrainingData
from trafficapp.forecast.neighbours import RoadLinks

ROADS = ("north", "east", "south", "west", "bridge", "tunnel")
STEP_SECONDS = 900
HORIZONS = (15.0, 30.0, 45.0)
ZONE = "Europe/Rome"


def town(days: int = 12, seed: int = 3) -> SpeedHistory:
    """A ring of roads with two rush hours, through which disturbances travel one road a step."""
    rng, steps = np.random.default_rng(seed), days * 96
    hour = np.arange(steps) % 96 / 4
    rush = np.exp(-(((hour - 8) / 1.5) ** 2)) + np.exp(-(((hour - 18) / 2) ** 2))
    disturbance = np.zeros((steps, len(ROADS)))
    for step in range(1, steps):
        upstream = np.roll(disturbance[step - 1], 1)
        disturbance[step] = 0.9 * upstream + rng.normal(0, 4, len(ROADS))
    speeds = 60 - 20 * rush[:, None] * np.linspace(0.6, 1.2, len(ROADS)) + disturbance
    ring = np.roll(np.eye(len(ROADS), dtype=np.float32), 1, 1)
    start = datetime(2026, 3, 2, 23, tzinfo=UTC)
    return SpeedHistory(
        ROADS, start, STEP_SECONDS, np.clip(speeds, 3, 120).astype(np.float32), ZONE, RoadLinks.from_matrix(ring)
    )


def with_gaps(history: SpeedHistory, share: float = 0.2, seed: int = 4) -> SpeedHistory:
    """The same, a share of it not measured."""
    gaps = np.random.default_rng(seed).random(history.speeds_kmh.shape) < share
    speeds = np.where(gaps, np.float32(np.nan), history.speeds_kmh)
    return SpeedHistory(history.road_ids, history.start, history.step_seconds, speeds, history.zone, history.links)


class LinearNetwork:
    """One matrix from a road's features to its scaled speeds."""

    def __init__(self, data: TrainingData) -> None:
        self.data = data
        columns = data.features(data.split.train).roads.reshape(-1, len(data.layout.columns)).astype(np.float64)
        targets = data.layout.scale(data.targets(data.split.train)).reshape(-1, len(data.layout.horizon_steps))
        known = np.isfinite(targets).all(1)
        columns, targets = columns[known], targets[known]
        square = columns.T @ columns + np.eye(columns.shape[1])
        self.weights: Floats = np.linalg.solve(square, columns.T @ targets).astype(np.float32)

    def predict(self, moments: Integers) -> Floats:
        """In km/h."""
        return self.predict_of(self.data, moments)

    def predict_of(self, data: TrainingData, moments: Integers) -> Floats:
        """The same of any data."""
        return data.layout.speeds(data.features(moments).roads @ self.weights)

    def onnx(self) -> bytes:
        """The same as a graph."""
        roads, (columns, horizons) = len(self.data.history.road_ids), self.weights.shape
        graph = helper.make_graph(
            [helper.make_node("MatMul", [INPUTS[0], "weights"], [OUTPUT])],
            "linear",
            [
                helper.make_tensor_value_info(INPUTS[0], TensorProto.FLOAT, ["moments", roads, columns]),
                helper.make_tensor_value_info(INPUTS[1], TensorProto.FLOAT, ["moments", CLOCK_COLUMNS]),
            ],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["moments", roads, horizons])],
            [helper.make_tensor("weights", TensorProto.FLOAT, self.weights.shape, self.weights.tobytes(), raw=True)],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        content: bytes = model.SerializeToString()
        return content


def candidate(data: TrainingData, network: LinearNetwork) -> Candidate:
    """The linear network, judged like any other."""
    linear = data.linear_ar()
    parts = (data.split.validation, data.split.test)
    judged = Judged(*(judge(data, linear, network.predict(part), part) for part in parts))
    return Candidate("linear", data, linear, judged, network.predict_of, network.onnx())


def artifact(data: TrainingData, folder: Path, at: datetime | None = None) -> Path:
    """An artifact of the linear network."""
    return write_artifact(candidate(data, LinearNetwork(data)), folder, "made up", at)
