"""Every network learns, is written as ONNX, and answers without torch as it did in training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner

from tests.forecast.camera_town import camera_data
from tests.forecast.synthetic import HORIZONS, ROADS, ZONE, town, with_gaps
from trafficapp.cli import main
from trafficapp.forecast.artifacts.artifact import load
from trafficapp.forecast.artifacts.registry import ModelRegistry
from trafficapp.forecast.learning.export import candidate
from trafficapp.forecast.learning.fitting import Recipe, fit, predict
from trafficapp.forecast.learning.networks import NeighbourNetwork
from trafficapp.forecast.learning.packing import write_artifact
from trafficapp.forecast.learning.training import train
from trafficapp.forecast.learning.windows import TrainingData, prepare
from trafficapp.training.commands import NOT_BETTER

torch.set_num_threads(1)


def unwatched(epoch: int, epochs: int, mae_kmh: float) -> None:
    """Nobody looks."""


@pytest.mark.parametrize(("kind", "members"), [("lstm", 1), ("stgcn", 1), ("ours", 2)])
def test_a_network_answers_without_torch_as_in_training(kind: str, members: int, tmp_path: Path) -> None:
    data = prepare(with_gaps(town(), 0.05), HORIZONS)
    trained = train(kind, data, epochs=1, members=members, watch=unwatched)
    assert trained.seeds == tuple(range(members))
    artifact = load(write_artifact(candidate(trained), tmp_path, "made up"))
    for moment in data.split.test[[0, 50]]:
        said, _ = artifact.predict(data.recent(np.array([moment]))[0], int(data.history.times[moment]))
        np.testing.assert_allclose(said, predict(trained.network, data, np.array([moment]))[0], atol=0.01)


def test_ours_beats_the_baselines_of_a_made_up_town() -> None:
    data = prepare(town(), HORIZONS)
    trained = train("ours", data, epochs=12, watch=unwatched)
    for judged in (trained.judged.validation, trained.judged.test):
        for place, score in enumerate(judged["model"]):
            for baseline in ("last_value", "time_of_day", "linear_ar", "smoothed_ar"):
                assert score.mae_kmh < judged[baseline][place].mae_kmh


def test_the_same_seed_gives_the_same_network(data: TrainingData) -> None:
    def once(seed: int) -> np.ndarray:
        fitted = fit(lambda: NeighbourNetwork(data.layout, len(ROADS)), data, Recipe(epochs=1), seed, unwatched)
        return predict(fitted.network, data, data.split.test[:3])

    np.testing.assert_array_equal(once(1), once(1))
    assert np.abs(once(1) - once(2)).max() > 0.01


def test_it_stops_when_nothing_gets_better(data: TrainingData) -> None:
    told = []
    recipe = Recipe(epochs=40, rate=0.0, patience=2)
    fitted = fit(lambda: NeighbourNetwork(data.layout, len(ROADS)), data, recipe, 0, lambda *said: told.append(said))
    assert (fitted.epochs, len(told)) == (1, 3)


def test_the_command_trains_from_rows_and_promotes(tmp_path: Path) -> None:
    history = town()
    steps, roads = history.speeds_kmh.shape
    rows = {
        "road_id": list(ROADS) * steps,
        "timestamp": pa.array(np.repeat(history.times, roads) * 1000, pa.timestamp("ms", "UTC")),
        "speed_kmh": history.speeds_kmh.ravel(),
    }
    pq.write_table(pa.table(rows), tmp_path / "rows.parquet")
    links = {"from_road": ROADS, "to_road": ROADS[1:] + ROADS[:1]}
    pq.write_table(pa.table(links), tmp_path / "links.parquet")
    paths = ["--from", str(tmp_path / "rows.parquet"), "--links", str(tmp_path / "links.parquet")]
    command = ["train", *paths, "--out", str(tmp_path / "models"), "--step-seconds", "900", "--zone", ZONE]
    ran = CliRunner().invoke(main, [*command, "--horizons", "15,30", "--epochs", "12", "--promote"])
    assert ran.exit_code == 0, ran.output
    assert "linear_ar" in ran.output
    registry = ModelRegistry(tmp_path / "models")
    (version,) = registry.candidates()
    assert registry.promotion().version == version
    bad = CliRunner().invoke(main, [*command, "--horizons", "7"])
    assert bad.exit_code == 1
    assert "7 minutes are not" in bad.output
    worse = CliRunner().invoke(main, [*command, "--model", "lstm", "--horizons", "15,30", "--epochs", "1", "--promote"])
    assert worse.exit_code == NOT_BETTER
    assert "is not promoted" in worse.output.splitlines()[-1]
    assert registry.promotion().version == version


def test_a_model_of_cameras_learns_and_beats_the_rules(tmp_path: Path) -> None:
    data = camera_data()
    trained = train("stgcn", data, epochs=3, watch=unwatched)
    path = write_artifact(candidate(trained), tmp_path, "made up")
    artifact, moment = load(path), data.split.test[-1:]
    said, _ = artifact.predict(data.recent(moment)[0], int(data.history.times[moment][0]))
    np.testing.assert_allclose(said, predict(trained.network, data.as_served(), moment)[0], atol=1e-3)
    assert said.shape == (4, 13)
    assert ((said >= 0) & (said <= 1)).all()
    judged = trained.judged.test
    assert judged["model"][9].mae_kmh < min(judged[name][9].mae_kmh for name in ("last_value", "time_of_day"))
