"""Two cameras, one with lanes, over some days: scores by the minute with a rush and chance, made up."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from tests.forecast.synthetic import ZONE, artifact
from trafficapp.forecast.cameras import camera_links
from trafficapp.forecast.learning.history import SpeedHistory
from trafficapp.forecast.learning.windows import TrainingData, prepare
from trafficapp.forecast.quantities import CONGESTION_SCORE

#: Minutes.
LEAD = 20

ENTITIES = ("cam_1", "cam_1/0", "cam_1/1", "cam_2")


def scores(days: int = 3, seed: int = 5) -> SpeedHistory:
    """A history; the first lane fills some minutes before its camera and the other lane do, which only networks see."""
    rng, steps = np.random.default_rng(seed), days * 1440
    hour = np.arange(steps) % 1440 / 60
    rush = np.exp(-(((hour - 8) / 1.5) ** 2)) + np.exp(-(((hour - 18) / 2) ** 2))
    drift = np.zeros((steps + LEAD, 2))
    for step in range(1, len(drift)):
        drift[step] = 0.97 * drift[step - 1] + rng.normal(0, 0.02, 2)
    cameras = 0.2 + 0.4 * rush[:, None] + drift[:steps]
    ahead = 0.2 + 0.4 * rush + drift[LEAD:, 0]
    columns = np.stack([cameras[:, 0], ahead, cameras[:, 0], cameras[:, 1]], 1)
    values = np.clip(columns + rng.normal(0, 0.01, columns.shape), 0, 1).astype(np.float32)
    start = datetime(2026, 3, 1, 23, tzinfo=UTC)
    links = camera_links(ENTITIES, {}, None)
    return SpeedHistory(ENTITIES, start, 60, values, ZONE, links, CONGESTION_SCORE)


def camera_data() -> TrainingData:
    """The history, ready to learn from."""
    return prepare(scores(), CONGESTION_SCORE.horizons_minutes)


def camera_artifact(folder: Path) -> Path:
    """An artifact of a linear network."""
    return artifact(camera_data(), folder)
